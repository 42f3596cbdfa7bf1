"""Weight clustering of a tf_keras model with the TensorFlow Model Optimization Toolkit, layer by layer where it can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log2
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.clustering.keras import cluster_wrapper

from optimizers.declarations import StageContext
from optimizers.errors import NotApplicable
from optimizers.selection import NOT_CHOSEN, chosen
from optimizers.techniques._allocation import Option, allocate
from optimizers.tf import kernels
from optimizers.tf.nearest import nearest_values
from optimizers.tf.pruning import chosen_only
from optimizers.tf.sensitivity import HOPELESS, Change, rises

Initialization = Literal["linear", "density_based", "random", "kmeans_plus_plus"]
_INITIALIZATIONS = tfmot.clustering.keras.CentroidInitialization
_L = tf_keras.layers
_SEPARABLE = (_L.SeparableConv1D, _L.SeparableConv2D)
_LEAST_WITH_ZERO = 3
_FACTORS = tuple(2 ** (step / 2) for step in range(-4, 5))
"""Of the number that is asked for, what a layer may get where it is chosen by measuring."""
_FEWEST, _MOST = 2, 256


@dataclass(frozen=True)
class Clusters:
    """What is asked for.

    Attributes:
        number: Distinct values of a kernel. Where zeros are kept, zero is one of them.
        initialization: Where the values start.
        per_channel: For Conv2D layers, that many values for each output channel.
        keep_zeros: Weights that are zero stay zero.
        layers: Choice of layers as `optimizers.selection` reads it.
        of_layers: Numbers of layers that have another one, by name.
    """

    number: int
    initialization: Initialization
    per_channel: bool = False
    keep_zeros: bool = False
    layers: str = ""
    of_layers: Mapping[str, int] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """Distinct values that a kernel gets: the toolkit needs one on either side of a zero that it keeps."""
        return max(self.number, _LEAST_WITH_ZERO) if self.keep_zeros else self.number

    def in_layer(self, name: str) -> Clusters:
        """The same for one layer, with its own number."""
        return replace(self, number=self.of_layers.get(name, self.number), of_layers={})


def targets(model: Any, clusters: Clusters) -> tuple[dict[str, str], dict[str, str]]:
    """Layers that are clustered, with a few words on it, and the other layers with kernels, with the reason.

    Args:
        model: A flat functional tf_keras model.
        clusters: What is asked for.

    Raises:
        NotApplicable: No layer can be clustered, or the choice names a layer that does not exist.
    """
    found: dict[str, str] = {}
    skipped: dict[str, str] = {}
    chosen_only(kernels.by_layer(model), clusters.layers)
    for layer in model.layers:
        if not kernels.kernels(layer):
            continue
        reason = _reason(layer, clusters)
        if reason:
            skipped[layer.name] = reason
            continue
        each = " per output channel" if _per_channel(layer, clusters) else ""
        found[layer.name] = f"{clusters.values} values{each}"
        if isinstance(layer, _SEPARABLE):
            skipped[layer.name] = "only its pointwise kernel is clustered; the depthwise one is small and left alone"
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no layer has a kernel"
        raise NotApplicable(f"No layer of this model can be clustered ({reasons}).")
    return found, skipped


def _reason(layer: Any, clusters: Clusters) -> str:
    if not chosen(layer.name, clusters.layers):
        return NOT_CHOSEN
    if not layer.trainable:
        return "the layer is frozen, so it could not adapt to shared weights"
    names = _clustered_weights(layer)
    if names is None:
        return f"the clustering toolkit does not support {type(layer).__name__}"
    if not names:
        return "depthwise kernels are left alone: few weights, and each of them serves a whole channel"
    groups = [group for kernel in names for group in _groups(layer, np.asarray(kernel), clusters)]
    fewest = min(len(group) for group in groups)
    if fewest <= clusters.values:
        each = " in an output channel" if _per_channel(layer, clusters) else ""
        return f"{fewest} weights{each} are too few for {clusters.values} clusters"
    if clusters.keep_zeros:
        other = min(np.count_nonzero(group) for group in groups)
        if other < clusters.values:
            each = " of an output channel" if _per_channel(layer, clusters) else ""
            return f"only {other} weights{each} are not zero, too few for {clusters.values} clusters"
    return ""


def _clustered_weights(layer: Any) -> list[Any] | None:
    """The variables that the toolkit would cluster; None where it does not support the layer."""
    try:
        wrapper = _wrapper(layer, Clusters(_LEAST_WITH_ZERO, "linear"))
    except ValueError:
        return None
    return [variable for _, variable in wrapper.layer.get_clusterable_weights()]


def _per_channel(layer: Any, clusters: Clusters) -> bool:
    # a transposed convolution is a Conv2D to tf_keras, but has its inputs last
    return clusters.per_channel and isinstance(layer, _L.Conv2D) and not isinstance(layer, _L.Conv2DTranspose)


def _groups(layer: Any, kernel: np.ndarray, clusters: Clusters) -> Iterable[np.ndarray]:
    """Weights that share one set of values: flat arrays."""
    if not _per_channel(layer, clusters):
        return [kernel.reshape(-1)]
    return list(np.moveaxis(kernel, -1, 0).reshape(kernel.shape[-1], -1))


def wrapped(model: Any, layers: Iterable[str], clusters: Clusters) -> Any:
    """A model that clusters some of its layers while it trains.

    It shares layers and weights with ``model``, which must not be used any more.

    Args:
        model: A flat functional tf_keras model.
        layers: Names out of `targets`.
        clusters: What is asked for.
    """
    names = set(layers)

    def clustered(layer: Any) -> Any:
        return _wrapper(layer, clusters.in_layer(layer.name)) if layer.name in names else layer

    return tf_keras.models.clone_model(model, clone_function=clustered)


def _wrapper(layer: Any, clusters: Clusters) -> Any:
    options: dict[str, Any] = {
        "number_of_clusters": clusters.values,
        "cluster_centroids_init": _INITIALIZATIONS[clusters.initialization.upper()],
        "preserve_sparsity": clusters.keep_zeros,
    }
    if isinstance(layer, _L.RNN | _L.Bidirectional):
        return _OfRecurrent(layer, **options)
    if isinstance(layer, _L.MultiHeadAttention):
        return _OfAttention(layer, **options)
    return _Fast(layer, cluster_per_channel=_per_channel(layer, clusters), **options)


class _Fast(cluster_wrapper.ClusterWeights):  # type: ignore[misc]
    """Does in a few operations what the toolkit does for every value and every channel on its own."""

    def update_clustered_weights_associations(self) -> None:
        for name, original in self.original_clusterable_weights.items():
            values = self.cluster_centroids[name]
            if self.preserve_sparsity:
                values.assign(values * (1.0 - tf.one_hot(self.zero_idx[name], values.shape[-1])))
                original = original * self.sparsity_masks[name]
            self.set_weight_to_layer(name, nearest_values(original, values))


class _OfRecurrent(_Fast, cluster_wrapper.ClusterWeightsRNN):  # type: ignore[misc]
    pass


class _OfAttention(_Fast, cluster_wrapper.ClusterWeightsMHA):  # type: ignore[misc]
    pass


def stripped(wrapped_model: Any, clean: Any) -> tuple[Any, dict[str, list[np.ndarray]]]:
    """The trained weights in a model without wrappers, and the clustered kernels by layer.

    Args:
        wrapped_model: Out of `wrapped`, trained.
        clean: A model of the same layers without wrappers; its weights are replaced.
    """
    found = {}
    for layer in wrapped_model.layers:
        if not isinstance(layer, cluster_wrapper.ClusterWeights):
            if layer.weights:
                clean.get_layer(layer.name).set_weights(layer.get_weights())
            continue
        layer.update_clustered_weights_associations()
        weights = [variable.numpy() for variable in layer.layer.weights]
        clustered = {
            position: np.asarray(layer.get_weight_from_layer(name))
            for position, name in layer.position_original_weights.items()
        }
        for position in sorted(clustered):
            weights.insert(position, clustered[position])
        clean.get_layer(layer.layer.name).set_weights(weights)
        found[layer.layer.name] = list(clustered.values())
    return clean, found


def one_shot(model: Any, layers: Iterable[str], clusters: Clusters) -> None:
    """Moves every weight of some layers to the nearest of evenly spaced values, in place.

    Args:
        model: A flat functional tf_keras model.
        layers: Names out of `targets`.
        clusters: What is asked for.
    """
    for name in layers:
        layer = model.get_layer(name)
        for variable in _clustered_weights(layer) or []:
            variable.assign(_rounded(layer, variable.numpy(), clusters.in_layer(name)))


def numbers(
    model: Any, context: StageContext, layers: Iterable[str], clusters: Clusters
) -> tuple[dict[str, int], dict[str, Any]]:
    """How many values each layer gets, so that the loss changes least, and what that was decided by.

    Each layer by itself is moved to a fourth to four times as many evenly spaced values as are asked for, and how the
    loss changes is measured. A weight costs the bits that tell its value from the others of the layer, and all weights
    together cost at most what they would with the same number everywhere. The model is left as it was.

    Args:
        model: A flat functional tf_keras model.
        context: Of the stage.
        layers: Names out of `targets`.
        clusters: What is asked for.

    Returns:
        The number by layer, and plain JSON for the report.
    """
    choices, sizes = {}, {}
    for name in layers:
        layer = model.get_layer(name)
        found = [np.asarray(variable) for variable in _clustered_weights(layer) or []]
        sizes[name] = sum(kernel.size for kernel in found)
        around = sorted({min(max(round(clusters.values * factor), _FEWEST), _MOST) for factor in _FACTORS})
        able = [number for number in around if not _reason(layer, replace(clusters, number=number))]
        choices[name] = able or [clusters.values]

    def changes() -> Iterator[tuple[tuple[str, int], Change]]:
        for name, able in choices.items():
            layer = model.get_layer(name)
            chosen = {variable.ref() for variable in _clustered_weights(layer) or []}
            for number in able:
                context.progress(0, 1)
                one = replace(clusters, number=number)
                yield (
                    (name, number),
                    {
                        layer: [
                            _rounded(layer, w.numpy(), one) if w.ref() in chosen else w.numpy() for w in layer.weights
                        ]
                    },
                )

    measured = rises(model, context, changes())
    options = {
        name: [Option(sizes[name] * log2(n), damage) for n, damage in _damages(able, name, measured.rises)]
        for name, able in choices.items()
    }
    taken = allocate(options, sum(sizes.values()) * log2(clusters.values))
    return {name: sorted(choices[name], reverse=True)[place] for name, place in taken.items()}, measured.told()


def _damages(able: Sequence[int], name: str, moved: Mapping[Any, float]) -> Iterator[tuple[int, float]]:
    """Numbers of values from most to fewest, each with the most that the loss moved so far, in either direction.

    Few values spread a layer's weights wide, and of a model that is too sure of itself, or not sure enough, that may
    even lower the loss. It is a change all the same, and fewer values are never taken to be the smaller one.
    """
    most = 0.0
    for number in sorted(able, reverse=True):
        most = min(max(most, abs(moved[name, number])), HOPELESS)
        yield number, most


def _rounded(layer: Any, kernel: np.ndarray, clusters: Clusters) -> np.ndarray:
    """The kernel with every weight at the nearest of evenly spaced values."""
    nearest = np.stack([_spaced(group, clusters) for group in _groups(layer, kernel, clusters)])
    if len(nearest) == 1:
        return nearest.reshape(kernel.shape)
    return np.moveaxis(nearest.reshape(kernel.shape[-1], *kernel.shape[:-1]), 0, -1)


def _spaced(weights: np.ndarray, clusters: Clusters) -> np.ndarray:
    values = np.linspace(weights.min(), weights.max(), clusters.values, dtype=weights.dtype)
    if clusters.keep_zeros:
        values[np.abs(values).argmin()] = 0.0
    nearest = np.searchsorted((values[1:] + values[:-1]) / 2, weights)
    return np.where(weights == 0, 0.0, values[nearest]) if clusters.keep_zeros else values[nearest]


def described(layer: Any, values: list[np.ndarray], clusters: Clusters) -> dict[str, Any]:
    """What became of a layer: most distinct values in one set, share of zeros, and number of weights.

    Args:
        layer: That the kernels belong to.
        values: Its clustered kernels.
        clusters: What was asked for.
    """
    total = sum(kernel.size for kernel in values)
    zeros = sum(int((kernel == 0).sum()) for kernel in values)
    unique = max(len(np.unique(group)) for kernel in values for group in _groups(layer, kernel, clusters))
    return {"unique": unique, "sparsity": zeros / total, "weights": total}
