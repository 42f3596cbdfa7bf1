"""Predictions of a LiteRT file, whatever the types of its inputs and outputs; no state is carried between examples."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.datasets.several import arrays_of
from optimizers.errors import DataRefused, NotApplicable
from optimizers.litert.operators import operators

STATEFUL_OPS = frozenset(
    {
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "LSTM",
        "RNN",
        "SVDF",
    }
)
"""Operators that keep variable tensors of a fixed batch size between invokes."""

_BATCH = 32
_PROBES = 4
_FEWEST = 256
"""Examples for which a thread of its own is worth an interpreter of its own."""


def load(file: Path | bytes, threads: int = 1) -> Any:
    """An ``ai_edge_litert`` interpreter with its tensors allocated.

    Args:
        file: A ``.tflite`` file or its bytes.
        threads: CPU threads for the operators that can use them.

    Raises:
        NotApplicable: LiteRT cannot run the file; the reason is in ``detail``.
    """
    from ai_edge_litert.interpreter import Interpreter

    content = file if isinstance(file, bytes) else file.read_bytes()
    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise NotApplicable("LiteRT cannot run this file.", detail=str(error)) from error
    return interpreter


def inputs(interpreter: Any) -> list[dict[str, Any]]:
    """Input details in the order of the model's inputs."""
    details = interpreter.get_input_details()
    return [details[place] for place in in_order([detail["name"] for detail in details])]


def outputs(interpreter: Any) -> list[dict[str, Any]]:
    """Output details in the order of the model's outputs."""
    details, given = interpreter.get_output_details(), {detail["index"] for detail in interpreter.get_input_details()}
    passed_on = [place for place, detail in enumerate(details) if detail["index"] in given]
    return [details[place] for place in in_order([detail["name"] for detail in details], passed_on)]


def in_order(names: Sequence[str], fixed: Collection[int] = ()) -> list[int]:
    """Places of tensors by the numbers in their names, which is the model's order where the converter named them.

    Args:
        names: Of inputs or outputs, as the file has them.
        fixed: Places of those that stay where they are: outputs that are inputs have the names of these.
    """
    free = iter(sorted((place for place in range(len(names)) if place not in fixed), key=lambda p: natural(names[p])))
    return [place if place in fixed else next(free) for place in range(len(names))]


def natural(name: str) -> list[int | str]:
    """Text with its numbers as numbers, so that ``output_10`` comes after ``output_9``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def output_shapes(file: Path | bytes) -> tuple[tuple[int, ...], ...]:
    """Shape of each output for one example, in the model's order. Raises as `load`."""
    return tuple(tuple(int(d) for d in detail["shape"][1:]) for detail in outputs(load(file)))


def quantized(x: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """Values as a tensor of the file takes them: rounded to its scale and zero point, saturated, or only cast.

    Args:
        x: Real values, any shape.
        detail: An entry of `inputs`.
    """
    dtype, (scale, zero) = np.dtype(detail["dtype"]), detail["quantization"]
    if not np.issubdtype(dtype, np.integer) or scale == 0:
        return x.astype(dtype)
    bounds = np.iinfo(dtype)
    return np.asarray(np.clip(np.round(x / scale) + zero, bounds.min, bounds.max), dtype)


def dequantized(raw: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """Real values (float32) of a tensor that the file gave; the inverse of `quantized` up to rounding."""
    scale, zero = detail["quantization"]
    if not np.issubdtype(raw.dtype, np.integer) or scale == 0:
        return raw.astype(np.float32)
    return np.asarray((raw.astype(np.float32) - zero) * scale, np.float32)


def invoke(interpreter: Any, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One invocation from a clean state.

    Args:
        interpreter: From `load`.
        values: One array per input, in the model's order, each with the input's full shape, batch included.

    Returns:
        One float32 array per output, batch included, in the model's order.
    """
    return _invoke(interpreter, inputs(interpreter), outputs(interpreter), values)


def _invoke(
    interpreter: Any,
    given: Sequence[Mapping[str, Any]],
    told: Sequence[Mapping[str, Any]],
    values: Sequence[np.ndarray],
) -> list[np.ndarray]:
    interpreter.reset_all_variables()
    for detail, value in zip(given, values, strict=True):
        interpreter.set_tensor(detail["index"], quantized(value, detail))
    interpreter.invoke()
    return [dequantized(interpreter.get_tensor(detail["index"]), detail) for detail in told]


def predict(file: Path | bytes, x: np.ndarray, threads: int = 1) -> np.ndarray:
    """Outputs of a file.

    Examples go through in batches where that gives what one by one gives, otherwise one by one: a fused recurrent cell
    keeps its state per batch row, and some graphs have the batch size built in.

    Args:
        file: A ``.tflite`` file or its bytes.
        x: Examples, shape (n, *input_shape), or with one field per input; real values even where the file takes int8.
        threads: Interpreters that work on parts of the examples at the same time, each with one thread: that uses all
            cores also where an operator is too small to be split.

    Returns:
        Float32 with shape (n, classes), or (n,) where the model gives one number per example. Several outputs are
        flattened and put side by side in the model's order.

    Raises:
        NotApplicable: LiteRT cannot run the file.
        DataRefused: ``x`` has other shapes than the file's inputs.
    """
    content = file if isinstance(file, bytes) else file.read_bytes()
    arrays = arrays_of(x)
    expected = [tuple(int(d) for d in detail["shape"][1:]) for detail in inputs(load(content))]
    given = [array.shape[1:] for array in arrays]
    if given != expected:
        shapes = [" and ".join(map(str, found)) for found in (expected, given)]
        raise DataRefused(f"The model takes examples of shape {shapes[0]}, the data have {shapes[1]}.")
    together = len(x) > _PROBES and takes_batches(content, x[:_BATCH])
    answers = _answers(content, arrays, min(_BATCH, len(x)) if together else 1, threads)
    if len(answers) > 1:
        return np.concatenate([scores.reshape(len(x), -1) for scores in answers], axis=1)
    scores = answers[0]
    flat = scores.reshape(len(x), -1) if scores.ndim > 2 and scores[0].size == 1 else scores
    return flat[:, 0] if flat.ndim == 2 and flat.shape[1] == 1 else flat


def takes_batches(file: Path | bytes, x: np.ndarray, threads: int = 1) -> bool:
    """Whether a file answers examples together as it answers them one by one.

    Args:
        file: A ``.tflite`` file or its bytes.
        x: At least two examples, as for `predict`; they are given together.
        threads: CPU threads.

    Raises:
        NotApplicable: LiteRT cannot run the file.
    """
    content = file if isinstance(file, bytes) else file.read_bytes()
    if STATEFUL_OPS & set(operators(content)):
        return False
    single, arrays = load(content, threads), arrays_of(x)
    try:
        together = invoke(_sized(content, len(x), threads), arrays)
    except (RuntimeError, ValueError, NotApplicable):
        return False
    alone = _in_batches(single, [array[:_PROBES] for array in arrays], 1)
    return all(
        len(one) == len(x) and _same(one[: len(other)], other, detail)
        for one, other, detail in zip(together, alone, outputs(single), strict=True)
    )


def _together(parts: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """For each output the answers of all invocations, one after the other."""
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _answers(content: bytes, arrays: Sequence[np.ndarray], size: int, threads: int) -> list[np.ndarray]:
    """One array per output, computed ``size`` examples at once by as many interpreters as there are threads."""
    count = len(arrays[0])
    share = max(_FEWEST, -(-count // max(1, threads) // size) * size)

    def of_part(start: int) -> list[np.ndarray]:
        return _in_batches(_sized(content, size), [array[start : start + share] for array in arrays], size)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        return _together(list(pool.map(of_part, range(0, count, share))))


def _in_batches(interpreter: Any, arrays: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
    given, told = inputs(interpreter), outputs(interpreter)
    parts = []
    for start in range(0, len(arrays[0]), size):
        rows = [array[start : start + size] for array in arrays]
        missing = size - len(rows[0])
        padded = [np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part for part in rows]
        parts.append([scores[: len(rows[0])] for scores in _invoke(interpreter, given, told, padded)])
    return _together(parts)


def _sized(content: bytes, size: int, threads: int = 1) -> Any:
    """An interpreter that takes so many examples at once. Raises RuntimeError or ValueError where there is none."""
    interpreter = load(content, threads)
    if size > 1:
        for detail in inputs(interpreter):
            interpreter.resize_tensor_input(detail["index"], [size, *detail["shape"][1:]], strict=False)
        interpreter.allocate_tensors()
    return interpreter


def _same(one: np.ndarray, other: np.ndarray, detail: Mapping[str, Any]) -> bool:
    if one.shape != other.shape or not np.isfinite(one).all():
        return False
    scale = float(detail["quantization"][0])
    allowed = scale / 2 if scale else 1e-5 * max(1e-6, float(np.abs(other).max()))
    return float(np.abs(one - other).max()) <= allowed
