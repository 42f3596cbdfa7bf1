"""Magnitude pruning of a tf_keras model with the TensorFlow Model Optimization Toolkit, layer by layer where it can."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

from optimizers.errors import NotApplicable

_wrap = tfmot.sparsity.keras.prune_low_magnitude
_DEPTHWISE = (tf_keras.layers.DepthwiseConv2D, tf_keras.layers.DepthwiseConv1D)
_SEPARABLE = (tf_keras.layers.SeparableConv2D, tf_keras.layers.SeparableConv1D)


def wrapped(model: Any, schedule: Any) -> tuple[Any, dict[str, str]]:
    """A model that prunes itself while it trains, and the layers with kernels that stay dense, each with the reason.

    The result shares layers and weights with ``model``, which must not be used any more.

    Args:
        model: A functional or sequential tf_keras model, possibly with models nested in it.
        schedule: A ``tfmot.sparsity.keras.PruningSchedule``.

    Raises:
        NotApplicable: No layer can be pruned, or the model is neither functional nor sequential.
    """
    skipped: dict[str, str] = {}
    count = 0

    def replace(layer: Any) -> Any:
        nonlocal count
        if isinstance(layer, tf_keras.Model):
            return tf_keras.models.clone_model(layer, clone_function=replace)
        if not kernels(layer):
            return layer
        prunable = None if isinstance(layer, _DEPTHWISE) or not layer.trainable else _wrapped(layer, schedule)
        if prunable is None:
            skipped[layer.name] = _reason(layer)
            return layer
        if isinstance(layer, _SEPARABLE):
            skipped[layer.name] = "only its pointwise kernel is pruned; the depthwise one is small and left dense"
        count += 1
        return prunable

    try:
        result = tf_keras.models.clone_model(model, clone_function=replace)
    except ValueError as error:
        raise NotApplicable("This model cannot be wrapped for pruning.", detail=str(error)) from error
    if not count:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no layer has a kernel"
        raise NotApplicable(f"No layer of this model can be pruned ({reasons}).")
    return result, skipped


def _wrapped(layer: Any, schedule: Any) -> Any:
    """The layer in a pruning wrapper, or None where the toolkit does not support it."""
    try:
        return _wrap(layer, pruning_schedule=schedule)
    except ValueError:
        return None


def _reason(layer: Any) -> str:
    if not layer.trainable:
        return "the layer is frozen, so it could not adapt to lost weights"
    if isinstance(layer, _DEPTHWISE):
        return "depthwise kernels are left dense: few weights, and each of them serves a whole channel"
    return f"the pruning toolkit does not support {type(layer).__name__}"


def kernels(layer: Any) -> list[Any]:
    """Weights of a layer with two or more dimensions: everything but biases, scales and statistics."""
    return [w for w in layer.weights if len(w.shape) >= 2]


def schedule(
    kind: str, *, target: float, initial: float, begin: float, end: float, frequency: int, total_steps: int
) -> tuple[Any, dict[str, int]]:
    """A pruning schedule, and its first step, last step and frequency in training steps.

    A frequency that would give fewer than eight updates is lowered, so that short trainings prune gradually as well.

    Args:
        kind: ``polynomial`` (cubic, fast first) or ``constant``.
        target, initial: Fractions of zeros at the end and at the beginning; a constant schedule has the target only.
        begin, end: Fractions of the training between which the masks change.
        frequency: Steps between two updates of the masks.
        total_steps: Of the whole training.

    Source: Zhu and Gupta (2017), "To prune, or not to prune", equation (1).
    """
    first = min(round(begin * total_steps), total_steps - 1)
    span = max(1, round(end * total_steps) - first)
    every = max(1, min(frequency, span // 8))
    last = first + every * max(1, span // every)
    steps = {"begin_step": first, "end_step": last, "frequency": every, "total_steps": total_steps}
    options = {"begin_step": first, "end_step": last, "frequency": every}
    if kind == "constant":
        return tfmot.sparsity.keras.ConstantSparsity(target, **options), steps
    return tfmot.sparsity.keras.PolynomialDecay(initial, target, power=3, **options), steps


def updates() -> Any:
    """The callback that every training of a wrapped model needs."""
    return tfmot.sparsity.keras.UpdatePruningStep()


def stripped(model: Any) -> Any:
    """The model without wrappers, its pruned weights zero."""
    return tfmot.sparsity.keras.strip_pruning(model)


def pruned_kernels(model: Any) -> dict[str, list[Any]]:
    """For each wrapped layer's own name the variables that its mask applies to."""
    found: dict[str, list[Any]] = {}
    for layer in model.layers:
        if isinstance(layer, tf_keras.Model):
            found |= pruned_kernels(layer)
        elif hasattr(layer, "pruning_vars"):
            found[layer.layer.name] = [variable for variable, _, _ in layer.pruning_vars]
    return found


def sparsity(weights: list[Any]) -> tuple[int, int]:
    """Zeros among, and number of, the values of some weights."""
    values = [np.asarray(w) for w in weights]
    return sum(int((v == 0).sum()) for v in values), sum(v.size for v in values)
