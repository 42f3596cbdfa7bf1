"""What the quantization techniques claim, checked on the bytes, and the ways in which conversion fails silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema

from optimizers import registry
from optimizers.datasets.several import joined
from optimizers.errors import ConversionWrong, NotApplicable
from optimizers.litert.interpreter import load, predict
from optimizers.litert.operators import float_operators, operators, tensor_types
from optimizers.params import resolve
from optimizers.tf import verify
from optimizers.tf.convert import convert
from optimizers.tf.stored_bits import stored
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, digits, held_out

Apply = Callable[..., Applied]
Sources = Callable[[str], Path]


def accuracy(file: Path) -> float:
    part = held_out()
    return float((predict(file, part.x).argmax(axis=1) == part.y).mean())


def io_types(file: Path) -> tuple[Any, Any]:
    loaded = load(file)
    return loaded.get_input_details()[0]["dtype"], loaded.get_output_details()[0]["dtype"]


def test_the_modes_differ_in_type_and_size_and_hardly_in_accuracy(sources: Sources, apply: Apply) -> None:
    source = sources("conv")
    base = apply("float32", source)
    assert set(tensor_types(base.main)) <= {"FLOAT32", "INT32"}
    assert io_types(base.main) == (np.float32, np.float32)
    assert base.report.figures["max_abs_error"] < 1e-4
    floats = accuracy(base.main)
    assert floats > 0.85
    largest = base.main.stat().st_size
    for name, kind, at_most in (
        ("float16", "FLOAT16", 0.65),
        ("dynamic_range", "INT8", 0.5),
        ("int8", "INT8", 0.5),
        ("int16x8", "INT16", 0.6),
    ):
        done = apply(name, source)
        assert tensor_types(done.main)[kind], name
        assert done.main.stat().st_size < at_most * largest, name
        assert abs(accuracy(done.main) - floats) < 0.03, name
        assert done.report.figures["sqnr_db"] > 20, name
        assert io_types(done.main) == (np.float32, np.float32)


@pytest.mark.parametrize(("name", "io"), [("int8", "int8"), ("int16x8", "int16")])
@pytest.mark.parametrize("network", ["conv", "lstm", "gru"])
def test_integer_files_hold_no_float(name: str, io: str, network: str, sources: Sources, apply: Apply) -> None:
    done = apply(name, sources(network), io=io, calibration_samples=50)
    assert io_types(done.main) == (np.dtype(io), np.dtype(io))
    assert done.report.figures["integer_only"]
    assert set(tensor_types(done.main)) <= {"INT8", "INT16", "INT32", "INT64", "BOOL"}


def test_a_calibration_uses_training_examples_only_and_says_how_many(sources: Sources, apply: Apply) -> None:
    assert apply("int8", sources("dense"), calibration_samples=5000).report.figures["calibration_examples"] == 900


def test_an_lstm_is_fused_or_unrolled_as_asked(sources: Sources, apply: Apply) -> None:
    fused = apply("float32", sources("lstm"))
    plain = apply("float32", sources("lstm"), recurrent="unrolled")
    assert operators(fused.main)["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 1
    assert not operators(plain.main)["UNIDIRECTIONAL_SEQUENCE_LSTM"]
    x = held_out().x[:10]
    np.testing.assert_allclose(predict(plain.main, x), predict(fused.main, x), atol=1e-5)


@pytest.mark.parametrize("network", ["lstm", pytest.param("gru", marks=pytest.mark.slow)])
def test_unrolled_cells_are_quantized_the_same_every_time(network: str) -> None:
    examples = digits().train.x[:20]
    files = {convert(built(network), "int8", representative=examples, recurrent="unrolled").file for _ in range(4)}
    assert len(files) == 1
    assert not float_operators(files.pop())


def test_a_loop_is_refused_for_int8_instead_of_crashing(sources: Sources, apply: Apply) -> None:
    with pytest.raises(NotApplicable, match=r"\(GRU\) becomes a loop.*'unrolled'"):
        apply("int8", sources("gru"), recurrent="fused")


def test_other_loops_are_refused_as_well() -> None:
    inputs = tf_keras.Input((3, 6, 6, 2))
    model = tf_keras.Model(inputs, tf_keras.layers.ConvLSTM2D(2, 3)(inputs))
    examples = np.random.default_rng(0).standard_normal((4, 3, 6, 6, 2)).astype(np.float32)
    with pytest.raises(NotApplicable, match=r"\(ConvLSTM2D\) becomes a loop, which int8 cannot have\.$"):
        convert(model, "int8", representative=examples)


def test_a_file_that_aborts_its_process_is_refused() -> None:
    with pytest.raises(NotApplicable, match="cannot be run: LiteRT ends with SIG"):
        convert(built("attention"), "int16x8", representative=digits().train.x[:20])


def test_dynamic_range_says_when_it_quantized_nothing() -> None:
    inputs = tf_keras.Input((4,))
    done = convert(tf_keras.Model(inputs, tf_keras.layers.Dense(3)(inputs)), "dynamic_range")
    assert done.notes == ("No weight was quantized: tensors under 1024 values stay in float.",)


def test_an_operator_without_int8_version_stays_float_and_is_named() -> None:
    inputs = tf_keras.Input((8,))
    x = tf_keras.layers.Dense(8)(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(2)(x * tf_keras.backend.sin(x)))
    examples = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    done = convert(model, "int8", representative=examples)
    assert done.figures["float_operators"] == {"SIN": 1}
    assert "stay in floating point: SIN" in done.notes[0]
    with pytest.raises(NotApplicable, match="SIN"):
        convert(model, "int8", representative=examples, io="int8")


def test_an_operator_that_litert_lacks_is_named() -> None:
    import tensorflow as tf

    inputs = tf_keras.Input((8,))
    model = tf_keras.Model(inputs, tf.linalg.inv(tf.reshape(inputs, (-1, 2, 4)) @ tf.ones((4, 2))))
    with pytest.raises(NotApplicable, match="no built-in operator for: MatrixInverse"):
        convert(model, "float32")


def test_an_open_dimension_is_refused_in_words() -> None:
    inputs = tf_keras.Input((None, 4), name="steps")
    model = tf_keras.Model(inputs, tf_keras.layers.LSTM(3)(inputs))
    with pytest.raises(NotApplicable, match=r"open dimension \(any, 4\)"):
        convert(model, "float32")


@pytest.mark.parametrize("large", [False, True])
def test_several_inputs_and_outputs_keep_their_order(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where weights are handed over as variables, whose converter sorts by name: 10 comes after 9."""
    if large:
        monkeypatch.setattr("optimizers.tf.convert._LARGE", 0)
    inputs = [tf_keras.Input((4,), name=name) for name in ("zebra", *"abcdefghi", "ape")]
    outputs = [tf_keras.layers.Dense(2 + number)(x) for number, x in enumerate(inputs)]
    model = tf_keras.Model(inputs, outputs[::-1])
    assert convert(model, "float32").figures["max_abs_error"] < 1e-5
    rng = np.random.default_rng(0)  # each input has a range of its own, so that none can be calibrated as another
    x = joined([rng.standard_normal((40, 4), np.float32) * 3.0**n for n in range(11)])
    assert convert(model, "int8", representative=x, examples=x).figures["sqnr_db"] > 25


def test_a_large_model_becomes_the_file_of_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [layers.Input((9, 9, 3)), layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(64, 3),
         layers.GlobalAveragePooling2D(), layers.Dense(5)]
    )  # fmt: skip
    for mode in ("float32", "dynamic_range"):
        monkeypatch.undo()
        small = convert(model, mode)
        monkeypatch.setattr("optimizers.tf.convert._LARGE", 0)
        large = convert(model, mode)
        assert large.figures == small.figures
        assert len(small.file) < len(large.file) < len(small.file) + 400, "it names inputs and outputs, nothing more"


def test_token_inputs_are_probed_with_tokens() -> None:
    inputs = tf_keras.Input((6,))
    x = tf_keras.layers.GlobalAveragePooling1D()(tf_keras.layers.Embedding(30, 8)(inputs))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1)(x))
    drawn = np.concatenate([example[0] for example in verify.random_inputs(model, 0)])
    assert drawn.min() >= 0
    assert 20 < drawn.max() < 30
    assert convert(model, "float32").figures["output_scale"] > 0


def test_normalized_inputs_are_probed_in_their_own_range() -> None:
    inputs = tf_keras.Input((2,))
    layer = tf_keras.layers.Normalization(mean=[70.0, 3000.0], variance=[4.0, 1e6])
    drawn = np.concatenate([e[0] for e in verify.random_inputs(tf_keras.Model(inputs, layer(inputs)), 0, 200)])
    np.testing.assert_allclose(drawn.mean(axis=0), [70, 3000], rtol=0.1)


def two_dense(scale: float = 1.0) -> Any:
    inputs = tf_keras.Input((16,))
    hidden = tf_keras.layers.Dense(64, kernel_initializer=tf_keras.initializers.RandomNormal(stddev=scale, seed=1))(
        inputs
    )
    return tf_keras.Model(inputs, tf_keras.layers.Dense(4, kernel_initializer="ones")(hidden))


def test_a_float_file_of_another_model_is_refused() -> None:
    model, other = two_dense(), two_dense(1.01)
    examples = verify.random_inputs(model, 0)
    with pytest.raises(ConversionWrong, match="is off by"):
        verify.against_model(model, convert(other, "float32").file, "float32", examples)


def cancelling(left: float) -> Any:
    """A model whose answer is what is left of two large numbers: their rounding is as large as ``left`` decides."""
    inputs = tf_keras.Input((16,))
    drawn = tf_keras.initializers.RandomNormal(seed=1)
    one, other = (tf_keras.layers.Dense(64, kernel_initializer=drawn) for _ in range(2))
    apart = tf_keras.layers.Subtract()([one(inputs), other(inputs)])
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(4, kernel_initializer="ones")(apart))
    kernel, bias = one.get_weights()
    other.set_weights([kernel + np.float32(left) * np.sign(kernel), bias])
    return model


def test_where_rounding_grows_a_file_may_be_off_by_as_much_and_no_more() -> None:
    model, examples = cancelling(1e-4), verify.random_inputs(cancelling(1e-4), 0)
    moved = verify._rounded_again(model, examples)
    told = verify._references(model, examples)
    grown = max(float(np.abs(a[0] - b[0]).max()) for a, b in zip(moved, told, strict=True))
    largest = max(float(np.abs(answer[0]).max()) for answer in told)
    assert 1e-5 < grown / largest < 2e-2
    assert [a.tolist() for a in verify._references(model, examples)[0]] == [a.tolist() for a in told[0]]
    verify.against_model(model, convert(model, "float32").file, "float32", examples)
    with pytest.raises(ConversionWrong, match="is off by"):
        verify.against_model(model, convert(cancelling(1.1e-4), "float32").file, "float32", examples)


def test_a_file_without_the_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = two_dense()
    with pytest.raises(ConversionWrong, match="weights are missing"):
        verify._refuse_missing_weights(model, bytes(1000), "float32")
    verify._refuse_missing_weights(model, convert(model, "float32").file, "float32")


def test_a_file_that_always_says_the_same_is_refused() -> None:
    want = np.random.default_rng(0).random((8, 3))
    for wrong, words in (
        (np.zeros((8, 3)), "the same to every example"),
        (np.full((8, 3), np.nan), "not finite"),
        (want[:, :2], "in shape"),
    ):
        with pytest.raises(ConversionWrong, match=words):
            verify._refuse_nonsense(want, wrong)


def test_half_precision_that_overflows_is_refused() -> None:
    inputs = tf_keras.Input((4,))
    huge = tf_keras.layers.Dense(64, kernel_initializer=tf_keras.initializers.Constant(1e6))
    with pytest.raises(ConversionWrong):
        convert(tf_keras.Model(inputs, huge(inputs)), "float16")


def test_a_poor_quantization_is_kept_with_a_note() -> None:
    model = two_dense()
    rng = np.random.default_rng(0)
    narrow = rng.standard_normal((50, 16)).astype(np.float32)
    done = convert(model, "int8", representative=narrow / 100, examples=narrow[:20])
    assert done.figures["sqnr_db"] < 15
    assert "expect a loss of quality" in done.notes[-1]


def test_one_scale_per_tensor_keeps_clusters() -> None:
    rng = np.random.default_rng(0)
    model = two_dense()
    centroids = rng.normal(size=8)
    model.layers[1].set_weights([rng.choice(centroids, (16, 64)), np.zeros(64)])
    values = {}
    for granularity in ("per_channel", "per_tensor"):
        loaded = load(convert(model, "dynamic_range", granularity=granularity).file)
        weights = [d for d in loaded.get_tensor_details() if d["dtype"] == np.int8 and d["shape"].tolist() == [64, 16]]
        values[granularity] = len(np.unique(loaded.get_tensor(weights[0]["index"])))
    assert values["per_tensor"] == 8 < values["per_channel"]


# what is stored in how many bits ------------------------------------------------------------------------------------

L = tf_keras.layers
KINDS: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    "dense": ((32,), lambda: L.Dense(32, name="layer")),
    "small_dense": ((31,), lambda: L.Dense(33, name="layer")),
    "convolution": ((8, 8, 4), lambda: L.Conv2D(32, (2, 4), name="layer")),
    "depthwise": ((6, 6, 128), lambda: L.DepthwiseConv2D(3, name="layer")),
    "small_depthwise": ((6, 6, 64), lambda: L.DepthwiseConv2D(3, name="layer")),
    "separable": ((6, 6, 64), lambda: L.SeparableConv2D(64, 3, name="layer")),
    "transposed": ((4, 4, 16), lambda: L.Conv2DTranspose(16, 3, use_bias=False, name="layer")),
    "volume": ((5, 5, 5, 4), lambda: L.Conv3D(16, 3, name="layer")),
    "embedding": ((8,), lambda: L.Embedding(64, 32, name="layer")),
    "attention": ((8, 32), lambda: Attention(name="layer")),
    "lstm": ((4, 32), lambda: L.LSTM(32, name="layer")),
    "small_lstm": ((4, 16), lambda: L.LSTM(32, name="layer")),
    "both_ways": ((4, 32), lambda: L.Bidirectional(L.LSTM(32), name="layer")),
    "gru": ((4, 32), lambda: L.GRU(32, name="layer")),
}
MODES: list[tuple[str, Any, Any]] = [
    *((kind, "dynamic_range", "fused") for kind in KINDS),
    *((kind, "dynamic_range", "unrolled") for kind in ("small_lstm", "gru")),
    *((kind, "int8", "fused") for kind in ("small_dense", "separable", "volume", "embedding")),
    *((kind, "int16x8", "fused") for kind in ("convolution", "embedding")),
    *((kind, "float16", "fused") for kind in ("small_dense", "small_lstm", "volume")),
]


class Attention(L.MultiHeadAttention):
    """A layer of one input that attends to itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(2, 16, **options)

    def call(self, x: Any) -> Any:
        return super().call(x, x)


def kernel_bits(content: bytes) -> float:
    """Mean bits of a value in the larger constants of a file, biases left out."""
    model = schema.Model.GetRootAs(content, 0)
    width = {schema.TensorType.FLOAT32: 32, schema.TensorType.FLOAT16: 16, schema.TensorType.INT16: 16}
    width[schema.TensorType.INT8] = 8
    sizes, bits = [], []
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for place in range(graph.TensorsLength()):
            tensor = graph.Tensors(place)
            shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() > 1 else np.array([0])
            if model.Buffers(tensor.Buffer()).DataLength() and tensor.Type() in width and shape.prod() > 256:
                sizes.append(int(shape.prod()))
                bits.append(width[tensor.Type()])
    return float(np.average(bits, weights=sizes))


@pytest.mark.parametrize(("kind", "mode", "recurrent"), MODES)
def test_the_bits_that_are_foretold_are_those_of_the_file(kind: str, mode: Any, recurrent: Any) -> None:
    shape, make = KINDS[kind]
    inputs = tf_keras.Input(shape)
    model = tf_keras.Model(inputs, make()(inputs))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 64, (8, *shape)) if kind == "embedding" else rng.standard_normal((8, *shape))
    done = convert(model, mode, representative=drawn.astype(np.float32), recurrent=recurrent)
    told = stored(model, mode, recurrent)
    assert told.bits.get("layer", 32.0) == pytest.approx(kernel_bits(done.file))
    partly = kind == "separable" and mode == "dynamic_range"
    assert ("layer" in told.skipped) == ("layer" not in told.bits or partly)


@pytest.mark.parametrize(
    ("kind", "mode", "reason"),
    [
        ("small_dense", "dynamic_range", "1,023 weights, fewer than 1,024, stay in float32"),
        ("separable", "dynamic_range", "depthwise_kernel: 576 weights, fewer than 1,024, stay in float32"),
        ("small_lstm", "dynamic_range", "a matrix of its fused cell has 512 weights, fewer than 1,024, so the cell"),
        ("volume", "int8", "3-D convolutions have only a floating point version"),
    ],
)
def test_what_stays_in_float_is_told_with_the_reason(kind: str, mode: Any, reason: str) -> None:
    shape, make = KINDS[kind]
    inputs = tf_keras.Input(shape)
    told = stored(tf_keras.Model(inputs, make()(inputs)), mode, "fused")
    assert told.skipped["layer"].startswith(reason)


def test_reports_and_rehearsals_tell_the_same(sources: Sources, apply: Apply) -> None:
    done = apply("dynamic_range", sources("conv"))
    technique = registry.technique("dynamic_range")
    assert technique.rehearse is not None
    model = built("conv")
    told = technique.rehearse(model, resolve("dynamic_range", technique.params, {}), frozenset())
    assert told.model is model
    assert told.bits == {"conv2": 8.0, "digit": 8.0}
    assert told.touched == {"conv2": "8 bits", "digit": "8 bits"}
    assert dict(told.skipped) == dict(done.report.skipped) == {
        "conv1": "144 weights, fewer than 1,024, stay in float32"
    }  # fmt: skip
