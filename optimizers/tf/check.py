"""Compares what a model computes in Keras 3 and in tf_keras, on random inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from optimizers.errors import ModelRefused
from optimizers.models.reader.spec import ModelSpec
from optimizers.tf.build import build_keras3, build_tf_keras, emit_both
from optimizers.tf.dialects import flat_tensors
from optimizers.tf.emit import Emitter
from optimizers.tf.probes import open_sizes, random_inputs

TOLERANCE = 1e-5
"""Largest accepted difference, as a fraction of the largest output."""
_IN_DOUBLE = 1e-7
"""The same in float64, asked where rounding in float32 alone may have grown beyond it."""
_EXAMPLES = 2
_AT_ONCE = 1 << 20
"""Numbers of an output that are compared at a time."""
_SEED = 20_261_122

Built = tuple[Any, Emitter]


@dataclass(frozen=True)
class Agreement:
    """How far two builds differ: largest absolute difference, and the same relative to the largest output.

    ``in_double`` is the relative difference in float64, where that had to be asked.
    """

    absolute: float
    relative: float
    in_double: float | None = None


def check_bridge(spec: ModelSpec) -> float:
    """Largest absolute difference between the outputs of the two builds, on two random examples.

    Raises:
        ModelRefused: ``bridge-differs``, naming the first layer whose outputs differ by more than `TOLERANCE` times
            their largest value; also whatever building raises.
    """
    return compare(spec, *emit_both(spec)).absolute


def compare(spec: ModelSpec, keras2: Built, keras3: Built) -> Agreement:
    """As `check_bridge`, for models that were built already, with all that was found."""
    inputs, first, second = _run_both(spec, keras2[0], keras3[0])
    agreement = agreement_of(first, second)
    if agreement.relative <= TOLERANCE:
        return agreement
    in_double = _difference_in_double(spec, inputs)
    if in_double <= _IN_DOUBLE:
        return replace(agreement, in_double=in_double)
    layer, difference = _first_difference(keras2, keras3, inputs) or ("its output", agreement)
    raise ModelRefused(
        f"Keras 2, which the optimization toolkit needs, computes something else than Keras 3 from layer {layer!r} on "
        f"(they differ by {difference.absolute:.2g}); replace that layer and save the model again.",
        code="bridge-differs",
    )


def compare_files(spec: ModelSpec, exported: Any) -> Agreement:
    """How far a model is from a Keras 3 file made from it, as Keras itself loaded that.

    Raises:
        ModelRefused: ``not-in-keras3`` where they differ by more than `TOLERANCE` times the largest output.
    """
    inputs, first, second = _run_both(spec, build_tf_keras(spec), exported)
    agreement = agreement_of(first, second)
    if agreement.relative <= TOLERANCE:
        return agreement
    if agreement_of(run(build_keras3(spec), inputs), second).relative <= TOLERANCE:  # the file holds what was built
        in_double = _difference_in_double(spec, inputs)
        if in_double <= _IN_DOUBLE:
            return replace(agreement, in_double=in_double)
    raise ModelRefused(
        f"As a Keras 3 file the model computes something else (outputs differ by {agreement.absolute:.2g}), so "
        "none is written; keep the Keras 2 file.",
        code="not-in-keras3",
    )


def agreement_of(first: list[np.ndarray], second: list[np.ndarray]) -> Agreement:
    """Difference of two lists of arrays of equal shapes. Values that are not finite must be so in both."""
    absolute = relative = 0.0
    for a, b in zip(first, second, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape:
            return Agreement(float("inf"), float("inf"))
        difference = scale = 0.0
        for part in range(0, a.size, _AT_ONCE):  # outputs may fill half the memory: no copies of them as a whole
            x, y = (whole.reshape(-1)[part : part + _AT_ONCE].astype(np.float64) for whole in (a, b))
            finite = np.isfinite(x)
            if (finite != np.isfinite(y)).any():
                return Agreement(float("inf"), float("inf"))
            difference = max(difference, np.abs(x - y)[finite].max(initial=0.0))
            scale = max(scale, np.abs(x[finite]).max(initial=0.0), np.abs(y[finite]).max(initial=0.0))
        absolute, relative = max(absolute, difference), max(relative, difference / scale if scale else 0.0)
    return Agreement(float(absolute), float(relative))


def _run_both(spec: ModelSpec, keras2: Any, keras3: Any) -> tuple[list[Any], list[np.ndarray], list[np.ndarray]]:
    """Inputs that both models accept, and their outputs on them."""
    failure: Exception | None = None
    for inputs in _candidates(spec):
        try:
            if len(open_sizes(spec)) > 1:
                _trace(keras2, inputs)
            first, second = run(keras2, inputs), run(keras3, inputs)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            raise
        except Exception as error:
            failure = error
            continue
        if all(np.isfinite(output).any() for output in first):
            return inputs, first, second
    if failure is None:
        return inputs, first, second
    raise ModelRefused(
        f"The model cannot be run on random inputs ({' '.join(str(failure).split())[:200]}); give its inputs fixed "
        "shapes and save it again.",
        code="bad-graph",
        detail=str(failure),
    ) from failure


def _trace(model: Any, inputs: list[Any]) -> None:
    """Has TensorFlow work out all shapes, which raises `ValueError` where a pool is larger than its input.

    Run at once, TensorFlow's kernel would divide by zero. With fixed shapes this is seen when the model is built.
    """
    specs = [tf.TensorSpec(array.shape, array.dtype) for array in inputs]
    tf.function(lambda *tensors: _called(model, list(tensors))).get_concrete_function(*specs)


def _candidates(spec: ModelSpec) -> Iterator[list[Any]]:
    for size in open_sizes(spec):
        for positive in (False, True):
            yield random_inputs(spec, examples=_EXAMPLES, seed=_SEED, open_size=size, positive=positive)


def run(model: Any, inputs: list[Any]) -> list[np.ndarray]:
    """Outputs of a model at inference, flat, in Keras' order, for one array per input in the order of the file."""
    return [np.asarray(output) for output in _called(model, inputs)]


def _called(model: Any, inputs: list[Any]) -> list[Any]:
    given: Any = inputs[0] if len(inputs) == 1 else inputs
    structure = getattr(model, "_nested_inputs", None)
    if structure is None:
        structure = getattr(model, "_inputs_struct", None)
    if isinstance(structure, dict):
        given = dict(zip(structure, inputs, strict=True))
    return flat_tensors(model(given, training=False))


def _difference_in_double(spec: ModelSpec, inputs: list[Any]) -> float:
    """Relative difference in float64: where there is none, float32 rounding was amplified, and they mean the same."""
    try:
        (keras2, _), (keras3, _) = emit_both(spec, "float64")
        wide = [array.astype("float64") if array.dtype == np.float32 else array for array in inputs]
        return agreement_of(run(keras2, wide), run(keras3, wide)).relative
    except Exception:
        return float("inf")


def _first_difference(keras2: Built, keras3: Built, inputs: list[Any]) -> tuple[str, Agreement] | None:
    """Name of the first layer of the outermost graph whose outputs differ, and by how much."""
    keys = [key for key in keras2[1].tensors if key in keras3[1].tensors]
    outputs = []
    for model, emitter in (keras2, keras3):
        tensors = [tensor for key in keys for tensor in emitter.tensors[key]]
        probe = emitter.dialect.keras.Model(model.inputs, tensors)
        outputs.append(run(probe, inputs))
    position = 0
    for key in keys:
        count = len(keras2[1].tensors[key])
        part = slice(position, position + count)
        agreement = agreement_of(outputs[0][part], outputs[1][part])
        if agreement.relative > TOLERANCE:
            return key[0], agreement
        position += count
    return None
