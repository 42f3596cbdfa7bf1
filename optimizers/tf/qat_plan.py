"""Which layers of a model train with fake quantization, and how their kernels are quantized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

from optimizers.errors import NotApplicable
from optimizers.selection import NOT_CHOSEN, chosen
from optimizers.tf import folding, graph, kernels
from optimizers.tf.fake_quant import Groups, KernelPlan, Scales, activation_name, centroids, knows_activation
from optimizers.tf.pruning import chosen_only

_L = tf_keras.layers
_registry = tfmot.quantization.keras.default_8bit.Default8BitQuantizeRegistry
_PASSING = (
    _L.Reshape, _L.Flatten, _L.Permute, _L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.ActivityRegularization,
    _L.ZeroPadding1D, _L.ZeroPadding2D, _L.Cropping1D, _L.Cropping2D, _L.MaxPooling2D,
)  # fmt: skip
"""Layers that give what they take, so that its range is theirs."""

_BEFORE_NORM = (_L.Conv2D, _L.DepthwiseConv2D, _L.Dense)
_CLUSTERABLE = (_L.Conv2D, _L.Dense)
_MOST_VALUES = 257
_OWN_VALUES = 0.8
_LATER = "it stays float while training and is quantized from examples when the file is made"


@dataclass(frozen=True)
class Plan:
    """Which layers are quantized while training.

    Attributes:
        layers: Names, those of layers without weights included.
        kernels: For those with a kernel, how it is quantized.
        skipped: Other layers with kernels, and why.
    """

    layers: frozenset[str]
    kernels: dict[str, KernelPlan]
    skipped: dict[str, str] = field(default_factory=dict)


def prepared(model: Any) -> Any:
    """A flat copy of a model in which separable convolutions are the two that they consist of.

    The depthwise part is called ``<name>_depthwise``; the other keeps the name.
    """
    flat = graph.rebuilt(model)
    separable = {layer.name: layer for layer in flat.layers if type(layer) is _L.SeparableConv2D}
    if not separable:
        return flat
    result = graph.rebuilt(flat, dict.fromkeys(separable, _split))
    for name, layer in separable.items():
        depthwise, *rest = layer.get_weights()
        result.get_layer(f"{name}_depthwise").set_weights([depthwise])
        result.get_layer(name).set_weights(rest)
    return result


def _split(layer: Any) -> Callable[..., Any]:
    config = layer.get_config()
    shared = {key: config[key] for key in ("data_format", "trainable", "dtype")}
    moves = {key: config[key] for key in ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")}
    first = _L.DepthwiseConv2D(**shared, **moves, use_bias=False, name=f"{layer.name}_depthwise")
    ends = {key: config[key] for key in ("filters", "use_bias", "activation")}
    second = _L.Conv2D(**shared, **ends, kernel_size=1, name=layer.name)
    return lambda x, *_, **__: second(first(x))


def plan(model: Any, choice: str, *, keep_clusters: bool, keep_zeros: bool, frozen: bool = False) -> Plan:
    """What the scheme supports, and why it does not support the rest.

    Args:
        model: Out of `prepared`.
        choice: Of layers with kernels, as `optimizers.selection` reads it.
        keep_clusters, keep_zeros: What earlier steps achieved and is to last.
        frozen: Frozen layers are quantized as well, for a model that is not trained.

    Raises:
        NotApplicable: No layer with a kernel can be quantized, or the choice names a layer that does not exist.
    """
    chosen_only(kernels.by_layer(model), choice)
    reasons = {layer.name: _reason(layer, choice, frozen) for layer in model.layers}
    normed = folding.followers(model)
    for first, norm in normed.items():
        if not reasons[first] and isinstance(model.get_layer(first), _BEFORE_NORM):
            reasons[norm] = ""
    _leave_out(model, reasons)
    names = {layer.name for layer in model.layers if not reasons[layer.name]}
    with_kernels = {layer.name: layer for layer in model.layers if kernels.kernels(layer)}
    plans = {}
    for name, layer in with_kernels.items():
        if name not in names:
            continue
        groups = clusters(layer) if keep_clusters and isinstance(layer, _CLUSTERABLE) else "none"
        scales = _scales(groups, normed=name in normed)
        plans[name] = KernelPlan(scales, groups, keep_zeros and groups != "none")
    skipped = {name: reasons[name] for name in with_kernels if name not in names}
    if not plans:
        told = "; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no layer has a kernel"
        raise NotApplicable(f"No layer of this model can be trained in 8 bits ({told}).")
    return Plan(frozenset(names), plans, skipped)


def _leave_out(model: Any, reasons: dict[str, str]) -> None:
    """Adds reasons for layers that the scheme takes, but whose ranges would serve nothing or stop the converter."""
    after: dict[str, list[Any]] = {layer.name: [] for layer in model.layers}
    for node in graph.calls(model):
        for tensor in node.keras_inputs:
            after[tensor._keras_history.layer.name].append(node.layer)
    passing = {layer.name for layer in model.layers if isinstance(layer, _PASSING)}
    wants_float = {layer.name for layer in model.layers if isinstance(layer, _L.EinsumDense)}
    changed = True
    while changed:
        changed = False
        for layer in reversed(model.layers):
            followers = after[layer.name]
            into_float = any(follower.name in wants_float for follower in followers)
            if into_float and layer.name in passing and layer.name not in wants_float:
                wants_float.add(layer.name)
                changed = True
            idle = bool(followers) and all(reasons[follower.name] for follower in followers)
            if not reasons[layer.name] and (into_float or (idle and not kernels.kernels(layer))):
                reasons[layer.name] = f"what follows it cannot take 8 bits out of the training; {_LATER}"
                changed = True


def _scales(groups: Groups, *, normed: bool) -> Scales:
    """Scales under which a clustered kernel stays clustered in the file."""
    if groups != "tensor":
        return "toolkit"
    return "shared" if normed else "per_tensor"


def _reason(layer: Any, choice: str, frozen: bool) -> str:
    """Why a layer stays float; empty where the scheme takes it."""
    kind = type(layer).__name__
    if kernels.kernels(layer):
        if not chosen(layer.name, choice):
            return NOT_CHOSEN
        if not layer.trainable and not frozen:
            return f"the layer is frozen; {_LATER}"
    if isinstance(layer, _L.InputLayer) or not _registry().supports(layer):
        return f"the 8-bit scheme has no {kind}; {_LATER}"
    tensors = [tensor for node in layer.inbound_nodes for tensor in node.keras_inputs]
    if not all(tensor.dtype.is_floating for tensor in tensors):
        return f"it takes whole numbers; {_LATER}"
    if any(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors):
        return f"its input carries a mask; {_LATER}"
    if isinstance(layer, _L.Activation):
        try:
            _registry().get_quantize_config(layer).get_output_quantizers(layer)
        except ValueError:
            return f"the 8-bit scheme has no activation {activation_name(layer)}; {_LATER}"
    elif not knows_activation(layer):
        return f"the 8-bit scheme has no activation {activation_name(layer)}; {_LATER}"
    return ""


def keeps_factors_apart(layer: Any) -> bool:
    """Whether an int8 file has the factors of a following batch normalization in the scales of the layer's channels, so
    that the kernel keeps its values: where it has a scale for every channel, and fake quantization can say which."""
    return type(layer) in (_L.Conv2D, _L.SeparableConv2D)


def clusters(layer: Any) -> Groups:
    """Whether a layer's kernel has few values for its size, as a whole or in every output channel.

    Channels that were clustered on their own have hardly a value in common.
    """
    kernel = np.asarray(kernels.kernels(layer)[0])
    if isinstance(layer, _L.Conv2D) and kernel.shape[-1] > 1:
        rows = list(np.moveaxis(kernel, -1, 0))
        own = sum(np.count_nonzero(np.unique(row)) for row in rows)
        if all(few(row) for row in rows) and np.count_nonzero(np.unique(kernel)) > _OWN_VALUES * own:
            return "channel"
    return "tensor" if few(kernel) else "none"


def few(weights: np.ndarray) -> bool:
    """Whether weights repeat so much that they must have been clustered."""
    return len(np.unique(weights)) <= min(_MOST_VALUES, weights.size // 2)


def count_values(kernel: np.ndarray, groups: Groups) -> int:
    """Distinct values of a kernel; where it was clustered by channels, those of the channel that has most."""
    return int(centroids(kernel, "tensor" if groups == "none" else groups).shape[-1])
