"""How channels pass each kind of layer that makes none: element by element, merged, or on another axis."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tf_keras

from optimizers.models.reader.values import words
from optimizers.tf.channels.atoms import Atoms, because
from optimizers.tf.channels.layout import Call, Cut, Layout, Size, last
from optimizers.tf.layers import CustomScaleLayer, LayerScale, Operation, StochasticDepth

Rule = Callable[[Atoms, Any, Call], Layout]
_L = tf_keras.layers

_ELEMENTWISE = words(
    "linear relu relu6 leaky_relu sigmoid tanh elu selu celu softplus softsign exponential gelu mish swish silu "
    "hard_sigmoid hard_silu hard_tanh hard_shrink soft_shrink tanh_shrink log_sigmoid squareplus sparse_plus "
    "sparse_sigmoid"
)
_UNARY = words(
    "Relu Relu6 Selu Silu Gelu Elu LeakyRelu Softplus Softsign Tanh Sigmoid LogSigmoid HardSigmoid HardSilu HardTanh "
    "Absolute Abs Negative Exp Square Sqrt Rsqrt Clip StopGradient Copy"
)
_BINARY = words("Add Subtract Multiply Maximum Minimum Divide TrueDivide")


def elementwise(activation: Any) -> bool:
    """Whether an activation treats every value alone: not softmax and its kin, and nothing unknown."""
    return activation is None or getattr(activation, "__name__", "") in _ELEMENTWISE


def stuck(atoms: Atoms, layer: Any, call: Call, why: str) -> Layout:
    """A layer whose inputs and outputs have to stay as they are.

    Args:
        why: Goes on after the layer's name, e.g. ``which mixes all channels``.
    """
    reason = because(layer.name, why)
    outputs = tuple(atoms.new(last(shape)) for shape in call.returned)
    for labels in (*call.inputs, *outputs):
        atoms.freeze(labels, reason)
    return Layout(call.inputs, outputs)


def unknown(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """A layer of a kind that is not known here."""
    return stuck(atoms, layer, call, f"through which channels cannot be followed ({type(layer).__name__})")


def passing(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """Every channel by itself: pooling, padding, activations, dropout."""
    if getattr(layer, "data_format", None) == "channels_first":
        return stuck(atoms, layer, call, "which has its channels first")
    if call.width != len(call.inputs[0]) or len(call.inputs) != 1:
        return unknown(atoms, layer, call)
    return Layout(call.inputs, call.inputs)


def _activation(atoms: Atoms, layer: Any, call: Call) -> Layout:
    if not elementwise(layer.activation):
        return stuck(atoms, layer, call, "which works across all channels")
    return passing(atoms, layer, call)


def _across(atoms: Atoms, layer: Any, call: Call) -> Layout:
    return stuck(atoms, layer, call, "which takes statistics over all channels")


def _softmax(atoms: Atoms, layer: Any, call: Call) -> Layout:
    rank = len(call.given[0]) + 1
    axes = list(layer.axis) if isinstance(layer.axis, list | tuple) else [layer.axis]
    if any(axis % rank == rank - 1 for axis in axes) or len(call.inputs) != 1:
        return stuck(atoms, layer, call, "which works across all channels")
    return passing(atoms, layer, call)


def _masking(atoms: Atoms, layer: Any, call: Call) -> Layout:
    return stuck(atoms, layer, call, "which looks at all channels to find masked steps")


def _batch_norm(atoms: Atoms, layer: Any, call: Call) -> Layout:
    axes = list(layer.axis) if isinstance(layer.axis, list | tuple) else [layer.axis]
    if axes not in ([-1], [len(call.given[0])]):
        return stuck(atoms, layer, call, "which does not have its channels last")
    labels = call.inputs[0]
    return Layout(call.inputs, call.inputs, tuple(Cut(weight, 0, labels) for weight in layer.weights))


def _factors(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """One weight per channel, or per place and channel, or shared by all: PReLU, LayerScale."""
    layout = passing(atoms, layer, call)
    labels = layout.inputs[0]
    cuts = [
        Cut(weight, len(weight.shape) - 1, labels)
        for weight in layer.weights
        if int(weight.shape[-1]) == len(labels) and last(call.given[0]) == len(labels)
    ]
    sizes = (Size(("projection_dim",), labels),) if isinstance(layer, LayerScale) else ()
    return Layout(layout.inputs, layout.outputs, tuple(cuts), sizes)


def _rescaling(atoms: Atoms, layer: Any, call: Call) -> Layout:
    if np.ndim(layer.scale) or np.ndim(layer.offset):
        return stuck(atoms, layer, call, "which has numbers of its own for every channel")
    return passing(atoms, layer, call)


def merged(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """Tensors combined element by element; where one has a single channel for all, that one stays."""
    wide = [labels for labels in call.inputs if len(labels) == call.width]
    for labels in call.inputs:
        if len(labels) == call.width:
            atoms.tie(wide[0], labels)
        else:
            atoms.freeze(labels, because(layer.name, "which spreads one channel over several"))
    if not wide:
        return unknown(atoms, layer, call)
    return Layout(call.inputs, (wide[0],))


def _concatenated(atoms: Atoms, layer: Any, call: Call) -> Layout:
    rank = len(call.returned[0]) + 1
    if layer.axis % rank != rank - 1:
        return merged(atoms, layer, call)
    labels = np.concatenate(call.inputs)
    return Layout(call.inputs, (labels,)) if len(labels) == call.width else unknown(atoms, layer, call)


def _reshaped(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """The same values in another shape, as long as the last axis shows the same channels everywhere."""
    if getattr(layer, "data_format", None) == "channels_first":
        return stuck(atoms, layer, call, "which has its channels first")
    given, returned, labels = call.given[0], call.returned[0], call.inputs[0]
    places = [size for size in given if size is not None]
    if len(places) < len(given) or None in returned or not given:
        return stuck(atoms, layer, call, "which has open dimensions")
    rows = np.broadcast_to(labels, places).reshape(-1, call.width)
    if (rows != rows[0]).any():
        return stuck(atoms, layer, call, "which mixes channels with places")
    sizes = (Size(("target_shape",), rows[0]),) if isinstance(layer, _L.Reshape) else ()
    return Layout(call.inputs, (rows[0].copy(),), sizes=sizes)


def _permuted(atoms: Atoms, layer: Any, call: Call) -> Layout:
    if layer.dims[-1] != len(layer.dims):
        return stuck(atoms, layer, call, "which moves channels to another axis")
    return passing(atoms, layer, call)


def _operation(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """One operation of ``keras.ops``: only those that work element by element, with plain numbers beside tensors."""
    template = json.loads(layer.template)
    holes = sum(isinstance(value, dict) for value in template["args"])
    plain = all(not isinstance(value, list) for value in template["args"])
    alike = holes == len(call.inputs) and len(call.returned) == 1
    if plain and alike and layer.operation in _UNARY and holes == 1:
        return passing(atoms, layer, call)
    if plain and alike and layer.operation in _BINARY and not any("$array" in str(v) for v in template["args"]):
        return merged(atoms, layer, call)
    return unknown(atoms, layer, call)


_SPATIAL = (
    *(f"{kind}Pooling{n}D" for kind in ("Max", "Average", "GlobalMax", "GlobalAverage") for n in (1, 2, 3)),
    *(f"{kind}{n}D" for kind in ("ZeroPadding", "Cropping", "UpSampling", "SpatialDropout") for n in (1, 2, 3)),
)
_PASSING = (
    *(getattr(_L, name) for name in _SPATIAL),
    _L.ReLU, _L.LeakyReLU, _L.ELU, _L.ThresholdedReLU, _L.Dropout, _L.AlphaDropout, _L.GaussianDropout,
    _L.GaussianNoise, _L.ActivityRegularization, _L.RepeatVector, _L.Identity, _L.Resizing, _L.CenterCrop,
    StochasticDepth,
)  # fmt: skip
_ACROSS = (_L.LayerNormalization, _L.GroupNormalization, _L.UnitNormalization)

RULES: dict[type, Rule] = {
    **dict.fromkeys(_PASSING, passing),
    **dict.fromkeys(_ACROSS, _across),
    **dict.fromkeys((_L.Add, _L.Subtract, _L.Multiply, _L.Average, _L.Maximum, _L.Minimum, CustomScaleLayer), merged),
    **dict.fromkeys((_L.Flatten, _L.Reshape), _reshaped),
    **dict.fromkeys((_L.PReLU, LayerScale), _factors),
    _L.Activation: _activation,
    _L.BatchNormalization: _batch_norm,
    _L.Concatenate: _concatenated,
    _L.Masking: _masking,
    _L.Permute: _permuted,
    _L.Rescaling: _rescaling,
    _L.Softmax: _softmax,
    Operation: _operation,
}
