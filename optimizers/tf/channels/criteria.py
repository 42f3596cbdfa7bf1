"""How much each channel matters, by its weights, its normalization or its share in the loss."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.datasets.several import arrays_of
from optimizers.declarations import StageContext
from optimizers.techniques._training import TrainingParams
from optimizers.tf.channels.layout import Cut
from optimizers.tf.channels.trace import Group, Trace
from optimizers.tf.objective import objective
from optimizers.tf.outputs import given, side_by_side

Criterion = Literal["l1", "l2", "bn_scale", "taylor"]
Scores = dict[int, float]
"""By root; only the order within a group means something."""
_BATCHES = 16
_BATCH = 32
_TINY = 1e-12


def scores(
    trace: Trace, criterion: Criterion, products: dict[int, np.ndarray] | None = None
) -> tuple[Scores, list[str]]:
    """Score of every channel that may go, and the layers where another criterion stood in.

    Each layer's scores are divided by their mean; a channel that several layers make has the mean of theirs.

    Args:
        trace: Of the model.
        criterion: ``l1`` and ``l2`` are norms of a channel's weights, ``bn_scale`` is the size of its scale in batch
            normalization, ``taylor`` the sum of weight times gradient.
        products: For ``taylor``, what `products_with_gradients` gives.

    Returns:
        Scores, and the names of groups without batch normalization, which got their l2 norm instead.

    Source: Li et al. (2017), "Pruning filters for efficient ConvNets"; Liu et al. (2017), "Learning efficient
    convolutional networks through network slimming"; Molchanov et al. (2017), "Pruning convolutional neural networks
    for resource efficient inference".
    """
    found: Scores = {}
    fallen: list[str] = []
    scales = _scales(trace) if criterion == "bn_scale" else []
    for group in trace.groups:
        rows = [row for cut in scales if (row := _by_scale(trace, group, cut)) is not None]
        if not rows:
            if criterion == "bn_scale":
                fallen.append(group.name)
            kind = "l2" if criterion == "bn_scale" else criterion
            rows = [_by_weights(trace, group, cuts, kind, products or {}) for cuts in _scored(trace, group)]
        mean = np.mean([row / (row.mean() + _TINY) for row in rows], axis=0)
        found.update(zip(group.roots.tolist(), mean.tolist(), strict=True))
    return found, fallen


def _scored(trace: Trace, group: Group) -> list[tuple[Cut, ...]]:
    """The weights that tell of a group, layer by layer: of layers that only follow, where there is no other."""
    parts = [trace.made(member) for member in group.members]
    return [part.scored for part in parts if not part.follows] or [part.scored for part in parts]


def _by_weights(
    trace: Trace, group: Group, cuts: tuple[Cut, ...], criterion: str, products: dict[int, np.ndarray]
) -> np.ndarray:
    """One number per channel of a group from the weights of one of its layers."""
    total = np.zeros(len(group.roots))
    for cut in cuts:
        weight = np.asarray(cut.weight, np.float64)
        value = (
            {"l1": np.abs, "l2": np.square}[criterion](weight) if criterion != "taylor" else products[id(cut.weight)]
        )
        total += _gathered(trace, group, cut, value.sum(axis=tuple(a for a in range(value.ndim) if a != cut.axis)))
    return np.sqrt(total) if criterion == "l2" else total


def _by_scale(trace: Trace, group: Group, cut: Cut) -> np.ndarray | None:
    """One number per channel of a group from one normalization; None where that does not see them all."""
    if not np.isin(group.roots, trace.roots(cut.labels)).all():
        return None
    return _gathered(trace, group, cut, np.abs(np.asarray(cut.weight, np.float64)))


def _gathered(trace: Trace, group: Group, cut: Cut, values: np.ndarray) -> np.ndarray:
    """Values at the places of an axis, summed up by channel of a group, shape (channels,)."""
    roots = trace.roots(cut.labels)
    places = np.searchsorted(group.roots, roots)
    inside = np.isin(roots, group.roots)
    return np.bincount(places[inside], values[inside], minlength=len(group.roots))


def _scales(trace: Trace) -> list[Cut]:
    """The scales of all batch normalizations."""
    return [
        cut
        for name, layout in trace.layouts.items()
        if isinstance(layer := trace.model.get_layer(name), tf_keras.layers.BatchNormalization)
        for cut in layout.cuts
        if cut.weight is layer.gamma
    ]


def products_with_gradients(trace: Trace, context: StageContext) -> dict[int, np.ndarray]:
    """|weight * gradient of the loss|, averaged over a few training batches, for every weight that scores channels.

    Args:
        trace: Of the model.
        context: Of the stage: data, and the seed that draws the batches.

    Returns:
        By identity of the weight, in its shape.
    """
    model, data = trace.model, context.data()
    goal, answering = objective(model, context, TrainingParams(learn_from="labels")), side_by_side(model)
    weights = _unique([cut.weight for lay in trace.layouts.values() for made in lay.made for cut in made.scored])
    picks = np.random.default_rng(context.seed).permutation(len(data.train))[: _BATCHES * _BATCH]

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def products(x: Any, y: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = goal.loss(y, answering(given(x), training=False))
        gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        pairs = zip(weights, gradients, strict=True)
        return [tf.abs(weight * tf.convert_to_tensor(gradient)) for weight, gradient in pairs]

    totals = [np.zeros(weight.shape) for weight in weights]
    starts = range(0, len(picks), _BATCH)
    for start in starts:
        batch = np.sort(picks[start : start + _BATCH])
        found = products(arrays_of(data.train.x[batch]), goal.train_targets[batch])
        for total, product in zip(totals, found, strict=True):
            total += np.asarray(product) / len(starts)
    return {id(weight): total for weight, total in zip(weights, totals, strict=True)}


def _unique(weights: list[Any]) -> list[Any]:
    return list({id(weight): weight for weight in weights}.values())
