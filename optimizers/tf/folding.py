"""Batch normalization folded into the layer before it, as a LiteRT file has it in the end.

A file keeps no batch normalization that follows a convolution: its factors go into the kernel, one for each output
channel. Whatever gives a kernel few distinct values has to work on the kernel of the file, so it folds first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import tf_keras

from optimizers.tf import graph

_L = tf_keras.layers
_KINDS = (
    _L.Dense, _L.Conv1D, _L.Conv2D, _L.Conv3D, _L.DepthwiseConv1D, _L.DepthwiseConv2D,
    _L.SeparableConv1D, _L.SeparableConv2D, _L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose,
)  # fmt: skip


def foldable(model: Any) -> dict[str, str]:
    """Batch normalizations that can be folded without changing a result, by the layer that each would go into.

    As `followers`, but for layers whose weights are kept inside bounds while training: those are not bounds of the
    folded weights.

    Args:
        model: A functional or sequential tf_keras model.
    """
    return {name: norm for name, norm in followers(model).items() if not _constrained(model.get_layer(name))}


def followers(model: Any) -> dict[str, str]:
    """Batch normalizations that a converter folds, by the layer before each.

    These follow a Dense, convolution, depthwise or separable layer that has no activation and no other consumer, and
    normalize its output channels.

    Args:
        model: A functional or sequential tf_keras model.

    Returns:
        Name of the normalization by name of the layer before it.
    """
    taken: dict[int, list[Any]] = {}
    times: dict[int, int] = {}
    for node in graph.calls(model):
        times[id(node.layer)] = times.get(id(node.layer), 0) + 1
        for tensor in node.keras_inputs:
            taken.setdefault(id(tensor), []).append(node)
    results = {id(tensor) for tensor in model.outputs}
    found = {}
    for node in graph.calls(model):
        layer, output = node.layer, node.outputs
        if type(layer) not in _KINDS or times[id(layer)] > 1 or id(output) in results:
            continue
        after = taken.get(id(output), [])
        if len(after) == 1 and _suits(layer, after[0].layer, output) and times[id(after[0].layer)] == 1:
            found[layer.name] = after[0].layer.name
    return found


def _suits(layer: Any, norm: Any, output: Any) -> bool:
    if type(norm) is not _L.BatchNormalization or layer.activation is not tf_keras.activations.linear:
        return False
    axis = norm.axis[0] if isinstance(norm.axis, list | tuple) and len(norm.axis) == 1 else norm.axis
    last = len(output.shape) - 1
    return bool(axis in (last, -1) and getattr(layer, "data_format", "channels_last") == "channels_last")


def _constrained(layer: Any) -> bool:
    names = ("kernel_constraint", "depthwise_constraint", "pointwise_constraint", "bias_constraint")
    return any(getattr(layer, name, None) is not None for name in names)


def folded(model: Any, layers: Collection[str]) -> Any:
    """A new flat model in which some layers hold the factors and offsets of the normalization that followed them.

    Args:
        model: A functional or sequential tf_keras model. It is not changed.
        layers: Names among the keys of `foldable`.
    """
    pairs = {layer: norm for layer, norm in foldable(model).items() if layer in set(layers)}
    norms = {name: model.get_layer(name) for name in pairs.values()}
    replace: dict[str, Callable[[Any], Any]] = dict.fromkeys(norms, lambda norm: lambda x, *_, **__: x)
    weights: dict[str, list[np.ndarray]] = {}

    def with_bias(layer: Any) -> Any:
        weights[layer.name] = _folded_weights(layer, norms[pairs[layer.name]])
        return type(layer).from_config({**layer.get_config(), "use_bias": True})

    result = graph.rebuilt(model, replace | dict.fromkeys(pairs, with_bias))
    for name, values in weights.items():
        result.get_layer(name).set_weights(values)
    return result


def with_positive_factors(model: Any, layers: Collection[str]) -> None:
    """Turns negative factors of normalizations positive, and the signs of the channels before them, in place.

    The model computes the same. A file multiplies a kernel's channels by these factors: by magnitude that goes into the
    channels' scales, but a sign would go into the kernel and double its number of values.

    Args:
        model: A functional or sequential tf_keras model.
        layers: Names among the keys of `followers`.
    """
    pairs = followers(model)
    for name in layers:
        layer, norm = model.get_layer(name), model.get_layer(pairs[name])
        if norm.gamma is None:
            continue
        sign = np.where(np.asarray(norm.gamma) < 0, -1.0, 1.0).astype(np.float32)
        last = max(number for number, weight in enumerate(layer.weights) if len(weight.shape) > 1)
        kernel = layer.weights[last]
        kernel.assign(kernel * _along_channels(layer, tuple(kernel.shape), sign))
        if layer.use_bias:
            layer.bias.assign(layer.bias * sign)
        norm.gamma.assign(norm.gamma * sign)
        norm.moving_mean.assign(norm.moving_mean * sign)


def _folded_weights(layer: Any, norm: Any) -> list[np.ndarray]:
    """All weights of the layer with a bias, the last kernel and the bias scaled and shifted per output channel."""
    mean, variance = (np.asarray(v, np.float64) for v in (norm.moving_mean, norm.moving_variance))
    factor = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        factor = factor * np.asarray(norm.gamma, np.float64)
    offset = 0.0 if norm.beta is None else np.asarray(norm.beta, np.float64)
    values = [np.asarray(v, np.float64) for v in layer.get_weights()]
    kernels, bias = (values[:-1], values[-1]) if layer.use_bias else (values, 0.0)
    kernels[-1] = kernels[-1] * _along_channels(layer, kernels[-1].shape, factor)
    return [v.astype(np.float32) for v in (*kernels, (bias - mean) * factor + offset)]


def _along_channels(layer: Any, shape: tuple[int, ...], factor: np.ndarray) -> np.ndarray:
    """One factor per output channel in the shape of the kernel: (…, inputs, multiplier) of a depthwise layer, (…,
    outputs, inputs) of a transposed one, (…, inputs, outputs) of all others."""
    if isinstance(layer, _L.DepthwiseConv1D | _L.DepthwiseConv2D):
        return factor.reshape(shape[-2:])
    if isinstance(layer, _L.Conv1DTranspose | _L.Conv2DTranspose | _L.Conv3DTranspose):
        return factor[:, None]
    return factor
