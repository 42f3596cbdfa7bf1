"""Predictions of a LiteRT file, whatever the types of its inputs and outputs; no state is carried between examples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
    return _in_order(interpreter.get_input_details())


def outputs(interpreter: Any) -> list[dict[str, Any]]:
    """Output details in the order of the model's outputs."""
    return _in_order(interpreter.get_output_details())


def _in_order(details: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(details, key=lambda d: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", d["name"])])


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
    interpreter.reset_all_variables()
    for detail, value in zip(inputs(interpreter), values, strict=True):
        interpreter.set_tensor(detail["index"], quantized(value, detail))
    interpreter.invoke()
    return [dequantized(interpreter.get_tensor(d["index"]), d) for d in outputs(interpreter)]


def predict(file: Path | bytes, x: np.ndarray, threads: int = 1) -> np.ndarray:
    """Outputs of a file with one input and one output.

    Examples go through in batches where that gives what one by one gives, otherwise one by one: a fused recurrent cell
    keeps its state per batch row, and some graphs have the batch size built in.

    Args:
        file: A ``.tflite`` file or its bytes.
        x: Examples, shape (n, *input_shape), real values even where the file takes int8.
        threads: CPU threads.

    Returns:
        Float32 with shape (n, classes), or (n,) where the model gives one number per example.

    Raises:
        NotApplicable: LiteRT cannot run the file, or it has several inputs or outputs.
        DataRefused: ``x`` has another shape than the file's input.
    """
    content = file if isinstance(file, bytes) else file.read_bytes()
    interpreter = load(content, threads)
    ins, outs = inputs(interpreter), outputs(interpreter)
    if len(ins) != 1 or len(outs) != 1:
        raise NotApplicable(f"Predictions need one input and one output; this file has {len(ins)} and {len(outs)}.")
    expected = tuple(int(d) for d in ins[0]["shape"][1:])
    if x.shape[1:] != expected:
        raise DataRefused(f"The model takes examples of shape {expected}, the data have {x.shape[1:]}.")
    batched = None
    if len(x) > _PROBES and not STATEFUL_OPS & set(operators(content)):
        batched = _batched(content, interpreter, x, threads)
    scores = batched if batched is not None else _one_by_one(interpreter, x)
    flat = scores.reshape(len(x), -1) if scores.ndim > 2 and scores[0].size == 1 else scores
    return flat[:, 0] if flat.ndim == 2 and flat.shape[1] == 1 else flat


def _one_by_one(interpreter: Any, x: np.ndarray) -> np.ndarray:
    return np.concatenate([invoke(interpreter, [x[i : i + 1]])[0] for i in range(len(x))])


def _batched(content: bytes, single: Any, x: np.ndarray, threads: int) -> np.ndarray | None:
    """Outputs computed in batches, or None where the graph does not allow it or answers differently."""
    size = min(_BATCH, len(x))
    try:
        many = load(content, threads)
        detail = inputs(many)[0]
        many.resize_tensor_input(detail["index"], [size, *x.shape[1:]], strict=False)
        many.allocate_tensors()
        first = invoke(many, [x[:size]])[0]
    except (RuntimeError, ValueError, NotApplicable):
        return None
    if len(first) != size or not _same(first[:_PROBES], _one_by_one(single, x[:_PROBES]), outputs(single)[0]):
        return None
    parts = [first]
    for start in range(size, len(x), size):
        rows = x[start : start + size]
        padded = np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
        parts.append(invoke(many, [padded])[0][: len(rows)])
    return np.concatenate(parts)


def _same(one: np.ndarray, other: np.ndarray, detail: Mapping[str, Any]) -> bool:
    if one.shape != other.shape or not np.isfinite(one).all():
        return False
    scale = float(detail["quantization"][0])
    allowed = scale / 2 if scale else 1e-5 * max(1e-6, float(np.abs(other).max()))
    return float(np.abs(one - other).max()) <= allowed
