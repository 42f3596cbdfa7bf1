"""Which kernels magnitude pruning works on, and what it leaves dense, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras

from optimizers import selection
from optimizers.declarations import StageContext
from optimizers.errors import NotApplicable
from optimizers.techniques._allocation import Option, allocate, hull
from optimizers.tf import kernels
from optimizers.tf.masks import Schedule, Shape, fits, pruned
from optimizers.tf.sensitivity import HOPELESS, Change, rises

_MEASURED = (0.25, 0.5, 0.7, 0.85, 0.95, 0.98)
"""Shares of zeros at which a layer's sensitivity is measured."""
_SHARES = np.linspace(0.0, _MEASURED[-1], 99)
_STEEPER = 1e-6
"""Makes every share of zeros a corner, so that the target is met to within a step."""


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
            skipped[name] = _reason(
                [v for v in wanted if not any(v is t for t in taken)], shape, whole=not taken, depthwise=depthwise
            )
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


def _reason(left: list[Any], shape: Shape, *, whole: bool, depthwise: bool) -> str:
    if not depthwise and all(kernels.is_depthwise(v) for v in left):
        if whole:
            return "depthwise kernels are left dense: few weights, and each of them serves a whole channel"
        return "only its pointwise kernel is pruned; the depthwise one is small and left dense"
    return next(filter(None, (fits(v, shape) for v in left)))


def amounts(
    model: Any, context: StageContext, found: Targets, target: float, shape: Shape
) -> tuple[dict[str, float], dict[str, Any]]:
    """How many zeros each layer gets, so that the loss rises least, and what that was decided by.

    Each layer is pruned by itself to several degrees, and the rise of the loss is measured; between them it is taken to
    be linear, and to grow ever faster. The model is left as it was.

    Args:
        model: A tf_keras model.
        context: Of the stage.
        found: What there is to prune.
        target: Share of zeros over all these kernels together.
        shape: What the zeros look like.

    Returns:
        The share of zeros by layer, and plain JSON for the report.
    """
    layers = {layer.name: layer for layer in kernels.layers(model)}

    def changes() -> Iterator[tuple[tuple[str, float], Change]]:
        for name, variables in found.kernels.items():
            layer, chosen = layers[name], {variable.ref() for variable in variables}
            for share in _MEASURED:
                context.progress(0, 1)
                weights = [
                    w.numpy() * pruned(w, share, shape) if w.ref() in chosen else w.numpy() for w in layer.weights
                ]
                yield (name, share), {layer: weights}

    measured = rises(model, context, changes())
    sizes = {name: sum(int(np.prod(v.shape)) for v in found.kernels[name]) for name in found.kernels}
    options = {}
    for name, size in sizes.items():
        damage = [min(max(0.0, measured.rises[name, share]), HOPELESS) for share in _MEASURED]
        points = [Option(1 - share, rise) for share, rise in zip((0.0, *_MEASURED), (0.0, *damage), strict=True)]
        corners = [points[place] for place in hull(points)]
        between = np.interp(_SHARES, [1 - c.cost for c in corners], [c.damage for c in corners])
        between += _STEEPER * _SHARES**2
        options[name] = [Option(size * (1 - s), float(d)) for s, d in zip(_SHARES, between, strict=True)]
    taken = allocate(options, (1 - target) * sum(sizes.values()))
    return {name: float(_SHARES[place]) for name, place in taken.items()}, measured.told()


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
