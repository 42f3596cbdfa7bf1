"""Multiply-accumulates, arena and energy, against published figures, TensorFlow's profiler, and hand calculation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.errors import NotApplicable
from optimizers.litert import compute
from optimizers.litert.activations import Block, activations, arena
from optimizers.litert.compute import energy, work
from optimizers.litert.file import LiteRtFile
from optimizers.models.sample import resolve
from optimizers.targets import micro
from tests.litert.test_file import changed

Files = dict[str, Path]
MULTIPLIES = ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Einsum")


def of(content: bytes) -> int:
    return sum(step.macs for step in work(LiteRtFile(content)))


def converted(model: Any) -> bytes:
    from optimizers.tf.convert import convert

    return convert(model, "float32").file


def sample(name: str) -> Any:
    from optimizers.tf.build import load_working

    return load_working(resolve(name)[0])


def profiled(model: Any) -> int:
    """As TensorFlow's profiler counts a graph for one example: a multiplication and an addition are two operations."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    shapes = [tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs]
    frozen = convert_variables_to_constants_v2(tf.function(lambda *x: model(list(x))).get_concrete_function(*shapes))
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    told = tf.compat.v1.profiler.profile(frozen.graph, cmd="op", options=options | {"output": "none"})
    nodes, found = [told], 0
    while nodes:
        node = nodes.pop()
        nodes += node.children
        found += node.float_ops if node.name in MULTIPLIES else 0
    return found // 2


def test_digits_cnn_by_hand() -> None:
    """Three convolutions of 3 x 3 on 8 x 8, then 8 x 8 and 4 x 4 after pooling, and two dense layers."""
    model = sample("digits_cnn")
    by_hand = 0
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            positions = int(np.prod(layer.output_shape[1:-1])) if len(layer.output_shape) == 4 else 1
            by_hand += int(np.prod(layer.kernel.shape)) * positions
    assert of(converted(model)) == by_hand == 920_192


@pytest.mark.parametrize(
    "name",
    [
        "penguins_mlp",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("digits_cnn", "digits_resnet", "fashion_cnn", "fashion_mobilenet", "mpg_mlp")
        ),
    ],
)
def test_samples_as_tensorflow_profiles_them(name: str) -> None:
    model = sample(name)
    assert of(converted(model)) == profiled(model) > 0


LAYERS: dict[str, tuple[tuple[int, ...], Any, int]] = {
    "convolution along one dimension": ((10, 4), lambda k: k.Conv1D(6, 3), 8 * 3 * 4 * 6),
    "strides": ((9, 9, 4), lambda k: k.Conv2D(6, 3, strides=2, padding="same"), 25 * 9 * 4 * 6),
    "dilation": ((12, 12, 4), lambda k: k.Conv2D(6, 3, dilation_rate=2), 64 * 9 * 4 * 6),
    "groups": ((8, 8, 4), lambda k: k.Conv2D(6, 3, groups=2), 36 * 9 * 2 * 6),
    "depthwise": ((8, 8, 4), lambda k: k.DepthwiseConv2D(3, depth_multiplier=2), 36 * 9 * 8),
    "transposed": ((8, 8, 4), lambda k: k.Conv2DTranspose(6, 3, strides=2, padding="same"), 64 * 9 * 4 * 6),
    "volumes": ((6, 6, 6, 2), lambda k: k.Conv3D(4, 3), 64 * 27 * 2 * 4),
    "transposed volumes": ((4, 4, 4, 2), lambda k: k.Conv3DTranspose(3, 3, strides=2, padding="same"), 64 * 27 * 6),
    "dense at each step": ((7, 5), lambda k: k.Dense(3), 7 * 5 * 3),
    "both directions": ((6, 5), lambda k: k.Bidirectional(k.LSTM(4)), 2 * 6 * 4 * 4 * (5 + 4)),
    "plain recurrence": ((6, 5), lambda k: k.SimpleRNN(4), 6 * 4 * (5 + 4)),
    "a table": ((6,), lambda k: k.Embedding(10, 3), 0),
}
USUAL = ("groups", "depthwise", "transposed")


@pytest.mark.parametrize("name", [n if n in USUAL else pytest.param(n, marks=pytest.mark.slow) for n in LAYERS])
def test_kinds_of_layers_by_hand(name: str) -> None:
    import tf_keras

    shape, layer, macs = LAYERS[name]
    inputs = tf_keras.Input(shape)
    assert of(converted(tf_keras.Model(inputs, layer(tf_keras.layers)(inputs)))) == macs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions", "parameters"),
    [("MobileNet", 569, 4.2), ("MobileNetV2", 300, 3.4)],  # Howard et al. 2017, table 8; Sandler et al. 2018, table 4
)
def test_published_networks(name: str, millions: int, parameters: float) -> None:
    import tf_keras

    file = LiteRtFile(converted(getattr(tf_keras.applications, name)(weights=None)))
    assert sum(step.macs for step in work(file)) / 1e6 == pytest.approx(millions, abs=1)
    assert file.parameters / 1e6 == pytest.approx(parameters, abs=0.1)


def test_rounds_of_a_loop_count(files: Files) -> None:
    """GRU of 24 units over 8 steps of 8 numbers: three gates, each with an input and a recurrent kernel."""
    done = work(LiteRtFile(files["loop_gru"].read_bytes()))
    assert sum(step.macs for step in done) == 8 * 3 * 24 * (8 + 24) + 24 * 10
    assert {step.rounds for step in done} >= {1, 8}
    assert LiteRtFile(files["loop_gru"].read_bytes()).macs < sum(step.macs for step in done)


def test_fused_cells_count_every_step(files: Files) -> None:
    """LSTM of 32 units over 8 steps of 8 numbers: four gates."""
    done = work(LiteRtFile(files["fused_lstm"].read_bytes()))
    assert sum(step.macs for step in done) == 8 * 4 * 32 * (8 + 32) + 32 * 10
    cell = next(step for step in done if step.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM")
    assert cell.weight_bytes == 8 * cell.new_weight_bytes  # read anew at every step


def test_a_loop_that_does_not_tell_its_rounds_is_told(files: Files) -> None:
    def other_condition(model: Any) -> None:
        for code in model.operatorCodes:
            if code.builtinCode == 58:  # LESS becomes LESS_EQUAL
                code.builtinCode = 63

    with pytest.raises(NotApplicable, match="how often"):
        work(LiteRtFile(changed(files["loop_gru"], other_condition)))


def test_arithmetic_is_that_of_the_stored_types(files: Files) -> None:
    for name, kind in (("float", "float32"), ("int8", "int8")):
        done = work(LiteRtFile(files[name].read_bytes()))
        assert {step.arithmetic for step in done if step.macs} == {kind}
        assert all(step.arithmetic == "none" for step in done if not step.macs)


def test_energy_by_hand(files: Files) -> None:
    """The formula of the documentation, from what is stored and computed."""
    file = LiteRtFile(files["float"].read_bytes())
    macs = 8 * 8 * 9 * 16 + 4 * 4 * 9 * 16 * 24 + 4 * 4 * 24 * 10
    stored = sum({w.buffer: w.stored_bytes for w in file.weights}.values())
    # image in, 8 x 8 x 16 between the convolutions, 4 x 4 x 24 out of the second, flattened once, ten logits, softmax
    numbers = 64 + 1024 + 1024 + 384 + 384 + 384 + 384 + 10 + 10 + 10
    found = energy(work(file))
    assert found.arithmetic == pytest.approx(macs * 4.6e-12)
    assert found.weights == pytest.approx(stored * 1.3e-9 / 8)
    assert found.activations == pytest.approx(4 * numbers * 100e-12 / 8)
    assert found.total == found.arithmetic + found.weights + found.activations


def test_int8_is_estimated_to_take_a_fraction(files: Files) -> None:
    one, other = (energy(work(LiteRtFile(files[name].read_bytes()))) for name in ("float", "int8"))
    assert one.arithmetic / other.arithmetic == pytest.approx(4.6 / 0.3)
    assert 3 < one.total / other.total < 5


def test_arena_of_the_largest_pair(files: Files) -> None:
    """8 x 8 x 16 numbers go into the second convolution, 4 x 4 x 24 come out."""
    for name, size in (("float", 4), ("int8", 1)):
        found = activations(LiteRtFile(files[name].read_bytes()))
        assert found.arena == found.peak == size * (8 * 8 * 16 + 4 * 4 * 24)
        assert found.steps[found.at].kind == "CONV_2D"


@pytest.mark.skipif(not micro.available(), reason="tflite-micro is not installed")
@pytest.mark.parametrize("name", ["float", "int8"])
def test_arena_is_what_the_interpreter_of_microcontrollers_places(name: str, files: Files) -> None:
    dtype = np.float32 if name == "float" else np.int8
    placed = micro.try_out(files[name], (np.zeros((1, 8, 8, 1), dtype),)).activations
    assert activations(LiteRtFile(files[name].read_bytes())).arena == placed


def test_a_loop_holds_what_its_body_needs(files: Files) -> None:
    found = activations(LiteRtFile(files["loop_gru"].read_bytes()))
    body = max(found.steps, key=lambda step: step.live)
    assert body.kind == "WHILE"
    assert found.arena >= found.peak


@given(
    st.lists(st.builds(lambda s, a, b: Block(s, min(a, b), max(a, b)), st.integers(0, 5000), *[st.integers(0, 9)] * 2))
)
@settings(deadline=None)
def test_an_arena_holds_what_is_alive_and_no_more_than_everything(blocks: list[Block]) -> None:
    size = arena(blocks)
    alive = [sum(b.size for b in blocks if b.first <= step <= b.last) for step in range(10)]
    assert max(alive, default=0) <= size <= sum(-(-b.size // 16) * 16 for b in blocks)


def test_every_published_constant_is_told_apart() -> None:
    """Horowitz (2014), figure 1.1.9: 8-bit multiplication 0.2 pJ, 32-bit float 3.7 pJ; additions 0.1 and 0.9 pJ."""
    assert compute.MAC_JOULES["float32"] == pytest.approx(4.6e-12)
    assert compute.MAC_JOULES["int8"] == pytest.approx(0.3e-12)


def test_the_arena_is_that_of_tensorflow_lite_micro_where_rounded_sizes_tie() -> None:
    """Tensors of 24, 32, 5, 32 and 24 bytes, one after the other, for which it reserves 80 bytes."""
    blocks = [Block(24, 0, 0), Block(32, 0, 1), Block(5, 1, 2), Block(32, 2, 3), Block(24, 3, 3)]
    assert arena(blocks) == 80
