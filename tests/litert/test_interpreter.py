from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from optimizers.errors import DataRefused, NotApplicable
from optimizers.litert import interpreter
from optimizers.litert.operators import float_operators, hybrid_operators, integer_only, operators, tensor_types
from optimizers.litert.trial import loads
from tests.techniques.networks import built, held_out

ROOT = Path(__file__).resolve().parents[2]


def one_by_one(file: Path, x: np.ndarray) -> np.ndarray:
    loaded = interpreter.load(file)
    return np.concatenate([interpreter.invoke(loaded, [row[None]])[0] for row in x])


@pytest.mark.parametrize("name", ["float", "int8", "fused_lstm", "loop_gru"])
def test_predictions_equal_one_by_one_for_every_length(files: dict[str, Path], name: str) -> None:
    x = held_out().x[:37]
    want = one_by_one(files[name], x)
    for n in (1, 4, 32, 33, 37):
        np.testing.assert_allclose(interpreter.predict(files[name], x[:n]), want[:n], atol=1e-6)


def test_a_fused_lstm_forgets_between_examples(files: dict[str, Path]) -> None:
    assert operators(files["fused_lstm"])["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 1
    x = held_out().x[:20]
    want = np.asarray(built("lstm")(x))
    np.testing.assert_allclose(interpreter.predict(files["fused_lstm"], x), want, atol=1e-5)
    careless = interpreter.load(files["fused_lstm"])
    carried = []
    for row in x:
        careless.set_tensor(careless.get_input_details()[0]["index"], row[None])
        careless.invoke()
        carried.append(careless.get_tensor(careless.get_output_details()[0]["index"]))
    assert np.abs(np.concatenate(carried) - want).max() > 1e-3, "the state is carried on unless it is reset"


def test_int8_inputs_and_outputs_are_scaled_both_ways(files: dict[str, Path]) -> None:
    x = held_out().x[:50]
    scores = interpreter.predict(files["int8"], x)
    assert scores.dtype == np.float32
    assert np.abs(scores - np.asarray(built("conv")(x))).max() < 0.1


def test_quantized_saturates_instead_of_wrapping() -> None:
    detail = {"dtype": np.int8, "quantization": (0.5, 10)}
    np.testing.assert_array_equal(interpreter.quantized(np.array([0.0, 1.0, 1e6, -1e6]), detail), [10, 12, 127, -128])
    np.testing.assert_array_equal(interpreter.dequantized(np.array([10, 12], np.int8), detail), [0.0, 1.0])


def test_batches_are_used_where_they_can_be(files: dict[str, Path]) -> None:
    x = held_out().x[:32]
    assert interpreter.takes_batches(files["float"], x)
    assert interpreter.takes_batches(files["int8"], x)
    assert not interpreter.takes_batches(files["fused_lstm"], x), "its state has the batch size of the file"


@pytest.mark.parametrize("name", ["int8", "fused_lstm", "loop_gru"])
def test_threads_give_what_one_thread_gives(files: dict[str, Path], name: str) -> None:
    x = np.tile(held_out().x[:50], (13, 1, 1, 1))
    np.testing.assert_array_equal(interpreter.predict(files[name], x, 3), interpreter.predict(files[name], x))


def test_data_of_another_shape_are_refused(files: dict[str, Path]) -> None:
    with pytest.raises(DataRefused, match=r"takes examples of shape \(8, 8, 1\), the data have \(8, 8\)"):
        interpreter.predict(files["float"], held_out().x[..., 0])


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(200)])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(NotApplicable, match="cannot run this file"):
        interpreter.load(content)


def test_operators_and_types_are_read_from_the_bytes(files: dict[str, Path]) -> None:
    assert operators(files["float"])["CONV_2D"] == 2
    assert float_operators(files["float"])["CONV_2D"] == 2
    assert not integer_only(files["float"])
    assert integer_only(files["int8"])
    assert not float_operators(files["int8"])
    assert tensor_types(files["int8"])["INT8"] > 5
    assert not hybrid_operators(files["float"])
    assert not hybrid_operators(files["int8"])


def test_a_trial_tells_a_good_file_from_one_that_ends_the_process(files: dict[str, Path]) -> None:
    assert loads(files["int8"].read_bytes()) == ""
    assert loads(b"nonsense") == "LiteRT cannot run this file"


def test_measuring_needs_no_tensorflow(files: dict[str, Path]) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from optimizers.litert import interpreter, latency, operators\n"
        "from optimizers import registry\n"
        "registry.metrics()\n"
        "interpreter.predict(Path(sys.argv[1]), np.zeros((2, 8, 8, 1), np.float32))\n"
        "assert not {'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(files["float"])], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
