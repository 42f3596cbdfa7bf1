"""Which kernels magnitude pruning works on, and what it leaves dense, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tf_keras

from optimizers import selection
from optimizers.errors import NotApplicable
from optimizers.tf import kernels
from optimizers.tf.masks import Schedule, Shape, fits, pruned


@dataclass(frozen=True)
class Targets:
    """Kernel variables to prune by layer name, and the layers left (partly) dense, each with the reason."""

    kernels: Mapping[str, list[Any]]
    skipped: Mapping[str, str]


def targets(model: Any, layers: str, shape: Shape, *, depthwise: bool = False) -> Targets:
    """What there is to prune in a model.

    Args:
        model: A tf_keras model, possibly with models nested in it.
        layers: Which layers, as `optimizers.selection` reads it.
        shape: What the zeros look like.
        depthwise: Prune depthwise kernels as well.

    Raises:
        NotApplicable: No layer can be pruned, or the choice names a layer that does not exist.
    """
    found: dict[str, list[Any]] = {}
    skipped: dict[str, str] = {}
    owners = {layer.name: layer for layer in kernels.layers(model) if kernels.kernels(layer)}
    chosen_only(owners, layers)
    for name, layer in owners.items():
        reason = "" if selection.chosen(name, layers) else selection.NOT_CHOSEN
        if not layer.trainable:
            reason = "the layer is frozen, so it could not adapt to lost weights"
        if reason:
            skipped[name] = reason
            continue
        wanted = kernels.kernels(layer)
        taken = [v for v in wanted if (depthwise or not kernels.is_depthwise(v)) and not fits(v, shape)]
        if taken:
            found[name] = taken
        if len(taken) < len(wanted):
            skipped[name] = _reason([v for v in wanted if not any(v is t for t in taken)], shape, whole=not taken)
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no layer has a kernel"
        raise NotApplicable(f"No layer of this model can be pruned ({reasons}).")
    return Targets(found, skipped)


def chosen_only(names: Mapping[str, Any], layers: str) -> None:
    """Raises `NotApplicable` when a choice of layers holds a pattern that no layer answers to."""
    lost = selection.unknown(names, layers)
    if lost:
        known = ", ".join(list(names)[:8]) + (", …" if len(names) > 8 else "")
        raise NotApplicable(f"No layer with a kernel is called {' or '.join(map(repr, lost))}; there are: {known}.")


def _reason(left: list[Any], shape: Shape, *, whole: bool) -> str:
    if all(kernels.is_depthwise(v) for v in left):
        if whole:
            return "depthwise kernels are left dense: few weights, and each of them serves a whole channel"
        return "only its pointwise kernel is pruned; the depthwise one is small and left dense"
    return next(filter(None, (fits(v, shape) for v in left)))


def one_shot(model: Any, found: Targets, plan: Schedule, shape: Shape) -> Any:
    """A copy of the model with its smallest weights at zero, as they would be without training."""
    copy = tf_keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    twins = kernels.by_layer(copy)
    for name, variables in found.kernels.items():
        chosen = {variable.name for variable in variables}
        for variable in twins[name]:
            if variable.name in chosen:
                variable.assign(variable.numpy() * pruned(variable, plan.target, shape))
    return copy
