"""Does a converted file do what the model does? Compared output by output, and by the bytes that the weights need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from math import log10
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.errors import ConversionWrong
from optimizers.litert import interpreter as litert
from optimizers.litert.file import LiteRtFile
from optimizers.records import InputRange
from optimizers.tf import keras3_only
from optimizers.tf.outputs import answers

_TOLERANCE = {"float32": 1e-4, "float16": 1e-2}
_AMPLIFIED, _MOST_AMPLIFIED = 10.0, 0.02
"""A network that lets rounding grow may differ by ten times what one more rounding of everything does to its outputs,
but never by more than 2% of the largest."""
_BYTES = {"float32": 4, "float16": 2, "low_bit": 0.25, "mixed_precision": 0.25}
_NO_KERNELS = (tf_keras.layers.Embedding, tf_keras.Model, keras.layers.Embedding, keras.Model)
_POOR_DB = 15.0
_EXAMPLES = 16
_TOGETHER = 8
"""Examples that a model answers at once, where it can: calling it costs the same for one and for eight."""
_VARIES = 0.05


def against_model(
    model: Any, content: bytes, mode: str, examples: list[list[np.ndarray]]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Figures and notes on how close a file comes to its model.

    Args:
        model: The tf_keras model that the file was made from, or the `LiteRtFile`.
        content: Bytes of the ``.tflite`` file.
        mode: As in `convert`; float32 must agree within 1e-4 of the largest output, float16 within 1e-2, unless the
            model itself lets rounding grow beyond that, which is noted. Quantized modes are measured, not judged, as
            long as they answer at all.
        examples: For each example one array per input, batch dimension 1 included.

    Returns:
        ``verified_examples``, ``max_abs_error`` and ``output_scale`` (both in the model's output unit), and
        ``sqnr_db``, the ratio of the outputs' energy to the error's, where there is an error.

    Raises:
        ConversionWrong: Too few bytes, another shape, values that are not finite, the same answer to everything, or a
            float file that is off by more than its tolerance.
    """
    expected = _references(model, examples)
    interpreter = litert.load(content)
    given = [litert.invoke(interpreter, example) for example in examples]
    errors, energy, noise, scale = [], 0.0, 0.0, 0.0
    rounded: list[list[np.ndarray]] = []
    notes: tuple[str, ...] = ()
    for position in range(len(expected[0])):
        want, got = np.concatenate([e[position] for e in expected]), _joined(given, position, len(expected[0]))
        _refuse_nonsense(want, got)
        difference = np.abs(want.astype(np.float64) - got)
        error, largest = float(difference.max()), float(np.abs(want).max())
        if mode in _TOLERANCE and error > _TOLERANCE[mode] * max(largest, 1e-6):
            rounded = rounded or _rounded_again(model, examples)
            grown = float(np.abs(want - _joined(rounded, position, len(expected[0]))).max()) if rounded else 0.0
            allowed = max(_TOLERANCE[mode] * largest, min(_AMPLIFIED * grown, _MOST_AMPLIFIED * largest))
            if error > allowed and grown > _MOST_AMPLIFIED * largest:
                raise ConversionWrong(
                    f"Rounding every weight once more moves the model's own outputs by {grown:.2g} where the largest "
                    f"is {largest:.2g}, so no file can be checked against it; train it first, or normalize inside it."
                )
            if error > allowed:
                raise ConversionWrong(
                    f"The {mode} file is off by {error:.3g} where the largest output of the model is {largest:.3g}; "
                    f"allowed is {allowed:.3g}."
                )
            notes = (
                f"Rounding grows in this model: the file is off by {error:.2g} where the largest output is "
                f"{largest:.2g}, and rounding every weight once more moves the model's own outputs by {grown:.2g}.",
            )
        errors.append(error)
        energy += float(np.square(want, dtype=np.float64).sum())
        noise += float(np.square(difference).sum())
        scale = max(scale, largest)
    worst = max(errors)
    if not isinstance(model, LiteRtFile):
        _refuse_missing_weights(model, content, mode)
    figures: dict[str, Any] = {"verified_examples": len(examples), "max_abs_error": worst, "output_scale": scale}
    if noise > 0 and energy > 0:
        figures["sqnr_db"] = 10 * log10(energy / noise)
        if mode not in _TOLERANCE and figures["sqnr_db"] < _POOR_DB:
            notes = (
                f"The outputs carry {figures['sqnr_db']:.1f} dB of signal over quantization noise on {len(examples)} "
                f"examples; below {_POOR_DB:.0f} dB expect a loss of quality.",
            )
    return figures, notes


def _references(model: Any, examples: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
    if isinstance(model, LiteRtFile):
        interpreter = litert.load(model.content)
        return [litert.invoke(interpreter, example) for example in examples]
    stateful = [layer for layer in model.submodules if getattr(layer, "stateful", False)]
    found: list[list[np.ndarray]] = []
    if not stateful and keras3_only.inside(model) is None and all(t.shape[0] is None for t in model.inputs):
        for start in range(0, len(examples), _TOGETHER):
            part = examples[start : start + _TOGETHER]
            told = [np.asarray(a) for a in answers(model, [np.concatenate(x) for x in zip(*part, strict=True)])]
            if any(answer.shape[:1] != (len(part),) for answer in told):  # its batch is not where others have it
                break
            found += [[answer[place : place + 1] for answer in told] for place in range(len(part))]
    return found + [_reference(model, stateful, example) for example in examples[len(found) :]]


def _rounded_again(model: Any, examples: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """What the model answers when every weight and input is off by one unit in its last place; none for a file."""
    if isinstance(model, LiteRtFile):
        return []
    rng = np.random.default_rng(0)

    def off(values: np.ndarray) -> np.ndarray:
        if not np.issubdtype(values.dtype, np.floating):
            return values
        towards = np.where(rng.integers(0, 2, values.shape, dtype=np.int8), np.inf, -np.inf).astype(values.dtype)
        return np.where(np.isfinite(values), np.nextafter(values, towards), values)

    kept = [(variable, variable.numpy()) for variable in model.weights]
    try:
        for variable, values in kept:
            variable.assign(off(values))
        return _references(model, [[off(np.asarray(array)) for array in example] for example in examples])
    finally:
        for variable, values in kept:
            variable.assign(values)


def _reference(model: Any, stateful: list[Any], example: list[np.ndarray]) -> list[np.ndarray]:
    for layer in stateful:
        if hasattr(layer, "reset_states"):
            layer.reset_states()
    return [np.asarray(answer) for answer in answers(model, example)]


def _joined(given: list[list[np.ndarray]], position: int, wanted: int) -> np.ndarray:
    if len(given[0]) != wanted:
        raise ConversionWrong(f"The converted file has {len(given[0])} outputs, the model has {wanted}.")
    return np.concatenate([g[position] for g in given])


def _refuse_nonsense(want: np.ndarray, got: np.ndarray) -> None:
    if want.shape != got.shape:
        raise ConversionWrong(f"The converted file answers in shape {got.shape[1:]}, the model in {want.shape[1:]}.")
    if not np.isfinite(want).all():
        raise ConversionWrong(
            "The model itself gives values that are not finite, so no file can be checked against it."
        )
    if not np.isfinite(got).all():
        raise ConversionWrong("The converted file gives values that are not finite where the model's are.")
    if np.ptp(want, axis=0).max() > _VARIES * np.abs(want).max() and np.ptp(got, axis=0).max() == 0:
        raise ConversionWrong("The converted file answers the same to every example; the model does not.")


def _refuse_missing_weights(model: Any, content: bytes, mode: str) -> None:
    """Raises where a file is smaller than the weights in it; equal tensors count once, as the file stores them once."""
    kernels: dict[bytes, int] = {}
    for layer in [*model.submodules, *keras3_only.parts(model)]:
        if not isinstance(layer, tf_keras.layers.Layer | keras.layers.Layer) or isinstance(layer, _NO_KERNELS):
            continue
        for weight in getattr(layer, "_trainable_weights", None) or getattr(layer, "_trainable_variables", []):
            if len(weight.shape) >= 2:
                value = np.ascontiguousarray(weight.numpy())
                kernels[hashlib.sha256(value.data).digest()] = value.size
    needed = round(sum(kernels.values()) * _BYTES.get(mode, 1))
    if len(content) < 0.9 * needed and len(content) < 0.9 * _used(model, mode):
        raise ConversionWrong(
            f"The {mode} file has {len(content):,} bytes, its kernels alone need {needed:,}: weights are missing."
        )


def _used(model: Any, mode: str) -> int:
    """Bytes of the kernels that the outputs really depend on: outputs of nested models may lead nowhere."""
    specs = [tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype) for tensor in model.inputs]
    graph = tf.function(lambda *x: answers(model, x), autograph=False).get_concrete_function(*specs).graph
    waiting, seen = [tensor.op for tensor in graph.outputs], set()
    while waiting:
        operation = waiting.pop()
        if operation not in seen:
            seen.add(operation)
            waiting += [tensor.op for tensor in operation.inputs]  # not what only must run before
    reached = {id(outer) for outer, inner in graph.captures if inner.op in seen}
    kernels: dict[bytes, int] = {}
    for variable in graph.variables:
        if len(variable.shape) >= 2 and variable.trainable and id(variable.handle) in reached:
            value = np.ascontiguousarray(variable.numpy())
            kernels[hashlib.sha256(value.data).digest()] = value.size
    return round(sum(kernels.values()) * _BYTES.get(mode, 1))


def random_inputs(model: Any, seed: int, n: int = _EXAMPLES) -> list[list[np.ndarray]]:
    """Random examples in the range that a model expects.

    Token numbers where an input reaches an embedding, the inverse of a Normalization layer where one comes first, what
    a Rescaling layer brings to 0 to 1 or to -1 to 1 where it is one of these, and standard normal numbers otherwise.

    Args:
        model: A built tf_keras model, or a `LiteRtFile`.
        seed: Fixes the values.
        n: Number of examples.

    Returns:
        For each example one array per input with batch dimension 1.
    """
    if isinstance(model, LiteRtFile):
        return model.random_inputs(seed, n)
    rng = np.random.default_rng(seed)
    held = keras3_only.inside(model)
    if held is not None:
        return [[_told(rng, t, r) for t, r in zip(model.inputs, held.ranges, strict=True)] for _ in range(n)]
    first = {id(tensor): _consumer(model, tensor) for tensor in model.inputs}
    return [[_draw(rng, tensor, first[id(tensor)]) for tensor in model.inputs] for _ in range(n)]


def _consumer(model: Any, tensor: Any) -> Any:
    """The layer that tells the range of an input: the smallest of the tables that it reaches, else the first layer."""
    found = list(_consumers(model, tensor))
    tables = [layer for layer in found if isinstance(layer, tf_keras.layers.Embedding)]
    return min(tables, key=lambda layer: layer.input_dim, default=found[0] if found else None)


def _consumers(model: Any, tensor: Any) -> Iterator[Any]:
    """Layers that take an input, also inside nested models."""
    for layer in model.layers:
        for node in getattr(layer, "_inbound_nodes", []):
            taken = [id(t) for t in node.keras_inputs]
            if id(tensor) not in taken or isinstance(layer, tf_keras.layers.InputLayer):
                continue
            if isinstance(layer, tf_keras.Model):
                yield from _consumers(layer, layer.inputs[taken.index(id(tensor))])
            else:
                yield layer


def _told(rng: np.random.Generator, tensor: Any, told: InputRange | None) -> np.ndarray:
    if told is None:
        return _draw(rng, tensor, None)
    shape, dtype = (1, *tensor.shape[1:]), tensor.dtype.as_numpy_dtype
    if told.whole:
        return rng.integers(int(told.low), int(told.high), shape, endpoint=True).astype(dtype)
    return rng.uniform(told.low, told.high, shape).astype(dtype)


def _draw(rng: np.random.Generator, tensor: Any, consumer: Any) -> np.ndarray:
    shape, dtype = (1, *tensor.shape[1:]), tensor.dtype.as_numpy_dtype
    if isinstance(consumer, tf_keras.layers.Embedding):
        return rng.integers(0, consumer.input_dim, shape).astype(dtype)
    if np.issubdtype(dtype, np.integer) or dtype is np.bool_:
        return rng.integers(0, 2, shape).astype(dtype)
    values = rng.standard_normal(shape)
    if isinstance(consumer, tf_keras.layers.Normalization) and not consumer.invert:
        values = values * np.sqrt(np.asarray(consumer.variance)) + np.asarray(consumer.mean)
    elif isinstance(consumer, tf_keras.layers.Rescaling):
        scale, offset = np.asarray(consumer.scale), np.asarray(consumer.offset)
        values = (rng.uniform(0.0 if np.all(offset == 0) else -1.0, 1.0, shape) - offset) / scale
    return np.asarray(values, dtype)
