"""Few bits are really in the file, LiteRT computes with them rightly, and what stayed as it was is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from optimizers.declarations import Rehearsal
from optimizers.errors import InvalidParameter, NotApplicable
from optimizers.litert import edge_quantizer
from optimizers.litert.edge_quantizer import Storage
from optimizers.litert.interpreter import predict
from optimizers.litert.operators import operators
from optimizers.litert.weights import StoredWeight, weights
from optimizers.params import resolve
from optimizers.techniques import _low_bit, low_bit
from optimizers.tf import kernels
from optimizers.tf.build import save_working
from optimizers.tf.verify import random_inputs
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, held_out

Apply = Callable[..., Applied]
Sources = Callable[[str], Path]
ROOT = Path(__file__).resolve().parents[2]


def stored(done: Applied) -> list[StoredWeight]:
    return [w for w in weights(done.main) if w.kernel]


def accuracy(file: Path) -> float:
    part = held_out()
    return float((predict(file, part.x).argmax(axis=1) == part.y).mean())


def rehearsed(network: str, **given: Any) -> Rehearsal:
    model = built(network)
    before = [w.copy() for w in model.get_weights()]
    found = low_bit.rehearse(model, resolve("low_bit", low_bit.LowBitParams, given), frozenset())
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    return found


def test_fewer_bits_are_in_the_file_and_cost_little_accuracy(sources: Sources, apply: Apply) -> None:
    base = apply("float32", sources("conv"))
    floats, size = accuracy(base.main), base.main.stat().st_size
    for bits, at_most, loss in (("int8", 0.5, 0.01), ("int4", 0.4, 0.03)):
        for mode in ("dynamic", "weight_only"):
            done = apply("low_bit", sources("conv"), bits=bits, mode=mode)
            width = int(bits[3:])
            assert {w.bits for w in stored(done)} == {width}
            assert done.main.stat().st_size < at_most * size
            assert abs(accuracy(done.main) - floats) <= loss
            assert operators(done.main)["DEQUANTIZE"] == (3 if mode == "weight_only" else 0)
            layers = done.report.figures["layers"]
            assert {name: told["bits"] for name, told in layers.items()} == dict.fromkeys(layers, width)
            assert {told["computes"] for told in layers.values()} == {"float" if mode == "weight_only" else "integer"}
            assert not done.report.skipped


def test_optimal_clipping_is_what_makes_two_bits_usable(sources: Sources, apply: Apply) -> None:
    clipped = apply("low_bit", sources("conv"), bits="int2")
    plain = apply("low_bit", sources("conv"), bits="int2", clipping="none")
    assert {w.bits for w in stored(clipped)} == {2}
    assert accuracy(clipped.main) > accuracy(plain.main)


def test_convolutions_can_stay_at_eight_bits(sources: Sources, apply: Apply) -> None:
    done = apply("low_bit", sources("conv"), convolutions="int8")
    assert {(w.kinds[0], w.bits) for w in stored(done)} == {("CONV_2D", 8), ("FULLY_CONNECTED", 4)}
    assert not done.report.notes
    slow = apply("low_bit", sources("conv"))
    assert "2 convolutions have fewer than 8 bits and will be unpacked at every run" in slow.report.notes[0]


def test_scales_are_per_channel_per_tensor_or_per_block(sources: Sources, apply: Apply) -> None:
    def scales(**given: Any) -> dict[str, tuple[int, int]]:
        done = apply("low_bit", sources("dense"), **given)
        return {w.name.split("/")[1]: (len(w.scales), w.block) for w in stored(done)}

    assert scales() == {"hidden1": (64, 0), "hidden2": (40, 0), "digit": (10, 0)}
    assert scales(granularity="per_tensor") == dict.fromkeys(("hidden1", "hidden2", "digit"), (1, 0))
    blocks = scales(granularity="block_32")
    assert blocks == {"hidden1": (128, 32), "hidden2": (80, 32), "digit": (10, 0)}, "40 inputs are no blocks of 32"


@pytest.mark.parametrize("given", [{"bits": "int8"}, {"bits": "int2"}, {"mode": "weight_only"}])
def test_blocks_that_litert_gets_wrong_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter, match="blocks need bits 'int4' and mode 'dynamic'"):
        resolve("low_bit", low_bit.LowBitParams, {"granularity": "block_64", **given})


def test_only_chosen_layers_change(sources: Sources, apply: Apply) -> None:
    done = apply("low_bit", sources("conv"), layers="conv*, !conv1")
    assert {w.name.split("/")[1]: w.bits for w in stored(done)} == {"conv1": 32, "conv2": 4, "digit": 32}
    assert done.report.skipped == dict.fromkeys(("conv1", "digit"), "it is not among the chosen layers")
    with pytest.raises(NotApplicable, match=r"matches nowhere; there are: conv1, conv2, digit\."):
        apply("low_bit", sources("conv"), layers="conv1, nowhere")


def test_an_lstm_is_written_out_because_its_fused_cell_stays_float(sources: Sources, apply: Apply) -> None:
    done = apply("low_bit", sources("lstm"))
    assert {w.bits for w in stored(done)} == {4}
    fused = apply("low_bit", sources("lstm"), recurrent="fused")
    assert fused.report.skipped == {
        "lstm": "the quantizer has no version of its operator (UNIDIRECTIONAL_SEQUENCE_LSTM)"
    }
    with pytest.raises(NotApplicable, match=r"can be stored in fewer bits \(lstm: the quantizer has no"):
        apply("low_bit", sources("lstm"), recurrent="fused", layers="lstm")


def test_the_kernels_in_a_loop_are_found_and_stored_in_fewer_bits(sources: Sources, apply: Apply) -> None:
    done = apply("low_bit", sources("gru"))
    assert operators(done.main)["WHILE"] == 1
    assert {w.bits for w in stored(done)} == {4}
    assert done.report.figures["layers"]["gru"]["weights"] == 8 * 72 + 24 * 72


def test_a_layer_whose_scales_take_more_room_is_left_alone(tmp_path: Path, apply: Apply) -> None:
    inputs = tf_keras.Input((1,))
    x = tf_keras.layers.Dense(64, name="narrow")(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(64, name="wide")(x))
    save_working(model, tmp_path / "narrow.keras")
    done = apply("low_bit", tmp_path / "narrow.keras")
    assert done.report.skipped == {"narrow": "its scales would take more room than fewer bits save"}
    assert set(done.report.figures["layers"]) == {"wide"}


def test_kernels_of_all_kinds_are_stored_in_few_bits_or_named(tmp_path: Path, apply: Apply) -> None:
    k = tf_keras.layers
    inputs = tf_keras.Input((16,), dtype="int32")
    x = k.Embedding(50, 24, name="table")(inputs)
    x = k.Conv1D(24, 3, padding="same", name="line")(x)
    x = k.Reshape((4, 4, 24))(x)
    x = k.Conv2DTranspose(16, 3, strides=2, name="up")(x)
    x = k.DepthwiseConv2D(3, name="depth")(x)
    x = k.SeparableConv2D(32, 3, name="separable")(x)
    x = k.Conv2D(32, 3, groups=2, name="grouped")(x)
    model = tf_keras.Model(inputs, k.Dense(10, name="out")(k.Flatten()(x)))
    save_working(model, tmp_path / "all.keras")
    for mode in ("dynamic", "weight_only"):
        done = apply("low_bit", tmp_path / "all.keras", mode=mode)
        assert done.report.skipped == {"table": "the quantizer has no version of its operator (GATHER)"}
        figures = done.report.figures["layers"]
        assert set(figures) == set(kernels.by_layer(model)) - {"table"}
        assert {told["bits"] for told in figures.values()} == {4}


@pytest.mark.parametrize(
    ("network", "given"),
    [
        ("depthwise", {}),
        ("depthwise", {"bits": "int2", "layers": "!stem"}),
        ("gru", {"bits": "int8", "mode": "weight_only"}),
        ("lstm", {"granularity": "block_32"}),
    ],
)
def test_a_rehearsal_tells_what_will_happen(
    network: str, given: dict[str, str], sources: Sources, apply: Apply
) -> None:
    done, told = apply("low_bit", sources(network), **given), rehearsed(network, **given)
    assert told.skipped == done.report.skipped
    assert told.bits == {name: layer["bits"] for name, layer in done.report.figures["layers"].items()}
    assert set(told.touched) == set(told.bits)
    assert told.notes == done.report.notes
    assert told.rounds == 0
    assert told.size == done.main.stat().st_size


def plan_for(file: _low_bit.FloatFile, storage: Storage) -> dict[edge_quantizer.Key, Storage]:
    """Every kernel stored that way, whether LiteRT can run it or not."""
    return {(w.subgraph, w.name): storage for found in file.kernels.values() for w in found}


def test_what_litert_cannot_compute_in_integers_is_unpacked_instead() -> None:
    file = _low_bit.float_file(built("depthwise"), "automatic", 0)
    examples = random_inputs(built("depthwise"), 0)
    found = edge_quantizer.checked(
        file.content, file.weights, plan_for(file, Storage(4, "channel", 0, integers=True)), examples
    )
    assert found.notes[0].startswith("All kernels are unpacked to floating point at run time, because with integers")
    assert not any(storage.integers for storage in found.plan.values())
    oracle = edge_quantizer.unpacked(file.content, file.weights, found.file)
    assert edge_quantizer.agreement_db(found.file, oracle, examples) > 60


def test_what_litert_computes_wrongly_is_noticed() -> None:
    file = _low_bit.float_file(built("dense"), "automatic", 0)
    examples = random_inputs(built("dense"), 0)
    plan = {key: s for key, s in plan_for(file, Storage(4, "block", 32)).items() if "hidden1" in key[1]}
    with pytest.raises(NotApplicable, match="LiteRT answers otherwise than the stored numbers say"):
        edge_quantizer.checked(file.content, file.weights, plan, examples)


def test_a_weight_that_was_silently_skipped_is_noticed() -> None:
    file = _low_bit.float_file(built("dense"), "automatic", 0)
    plan = plan_for(file, Storage(8))
    with pytest.raises(NotApplicable, match=r"has not stored these weights as it was told to: .*hidden2"):
        edge_quantizer.quantized(file.content, [w for w in file.weights if "hidden2" not in w.name], plan)


def test_integers_are_planned_only_where_they_are_right() -> None:
    for network in ("conv", "depthwise", "gru"):
        file = _low_bit.float_file(built(network), "automatic", 0)
        examples = random_inputs(built(network), 0)
        for storage in (Storage(b, p, 0, True) for b in (8, 4, 2) for p in ("channel", "tensor")):
            wanted = {
                (w.subgraph, w.name): settled
                for found in file.kernels.values()
                for w in found
                if isinstance(settled := edge_quantizer.settled(w, storage), Storage)  # type: ignore[arg-type]
            }
            content = edge_quantizer.quantized(file.content, file.weights, wanted)
            oracle = edge_quantizer.unpacked(file.content, file.weights, content)
            assert edge_quantizer.agreement_db(content, oracle, examples) > 20, (network, storage)


def test_quantizing_needs_no_tensorflow(tmp_path: Path) -> None:
    file = _low_bit.float_file(built("dense"), "automatic", 0)
    (tmp_path / "model.tflite").write_bytes(file.content)
    code = (
        "import sys; from pathlib import Path\n"
        "from optimizers.litert import edge_quantizer as q, weights\n"
        "content = Path(sys.argv[1]).read_bytes(); found = weights.weights(content)\n"
        "plan = {(w.subgraph, w.name): q.Storage(4) for w in found if w.kernel}\n"
        "assert len(q.quantized(content, found, plan)) < len(content) / 2\n"
        "assert not {'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.tflite")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
