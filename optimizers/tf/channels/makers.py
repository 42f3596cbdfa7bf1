"""Layers that make channels: which of their weights hold one column, filter, gate or head per channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras

from optimizers.tf.channels.atoms import Atoms, Labels, because
from optimizers.tf.channels.layout import Call, Cut, Layout, Made, Size, What
from optimizers.tf.channels.rules import RULES as PASSING
from optimizers.tf.channels.rules import Rule, elementwise, stuck, unknown
from optimizers.tf.cost import attention_inputs

_L = tf_keras.layers
_GATES = {_L.LSTM: 4, _L.GRU: 3, _L.SimpleRNN: 1}


def rule(layer: Any) -> Rule:
    """How channels go through a layer of that kind."""
    return RULES.get(type(layer), unknown)


def _made(atoms: Atoms, layer: Any, call: Call, labels: Labels) -> tuple[Labels, ...]:
    """Outputs of a layer that makes channels; they stay where its activation does not treat each of them alone."""
    if elementwise(layer.activation) and call.width == len(labels):
        return (labels,)
    name = getattr(layer.activation, "__name__", "its activation")
    own = f"its activation ({name}) works across all channels"
    reason = because(layer.name, f"whose activation ({name}) works across all channels", own)
    outputs = labels if call.width == len(labels) else atoms.new(call.width)
    atoms.freeze(labels, reason)
    atoms.freeze(outputs, reason)
    return (outputs,)


def _kernel(
    atoms: Atoms, layer: Any, call: Call, option: str, what: What, *, axes: tuple[int, int] = (-2, -1)
) -> Layout:
    """One kernel with inputs and outputs on two of its axes, and maybe a bias."""
    if getattr(layer, "data_format", None) == "channels_first":
        return stuck(atoms, layer, call, "which has its channels first")
    if getattr(layer, "groups", 1) != 1:
        return stuck(atoms, layer, call, f"which works in {layer.groups} groups of channels")
    rank = len(layer.kernel.shape)
    into, out = (axis % rank for axis in axes)
    labels = atoms.new(int(layer.kernel.shape[out]))
    columns = Cut(layer.kernel, out, labels)
    cuts = [Cut(layer.kernel, into, call.inputs[0]), columns]
    if layer.bias is not None:
        cuts.append(Cut(layer.bias, 0, labels))
    outputs = _made(atoms, layer, call, labels)
    return Layout(call.inputs, outputs, tuple(cuts), (Size((option,), labels),), (Made(what, labels, (columns,)),))


def _dense(atoms: Atoms, layer: Any, call: Call) -> Layout:
    return _kernel(atoms, layer, call, "units", "units")


def _convolution(atoms: Atoms, layer: Any, call: Call) -> Layout:
    return _kernel(atoms, layer, call, "filters", "filters")


def _transposed(atoms: Atoms, layer: Any, call: Call) -> Layout:
    return _kernel(atoms, layer, call, "filters", "filters", axes=(-1, -2))


def _depthwise(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """Filters that each serve one channel: they go with the channels that come in."""
    if layer.data_format == "channels_first":
        return stuck(atoms, layer, call, "which has its channels first")
    into = call.inputs[0]
    labels = np.repeat(into, layer.depth_multiplier)
    rows = Cut(layer.depthwise_kernel, len(layer.depthwise_kernel.shape) - 2, into)
    cuts = (rows, *([Cut(layer.bias, 0, labels)] if layer.bias is not None else []))
    made = (Made("channels", into, (rows,), follows=True),)
    return Layout(call.inputs, _made(atoms, layer, call, labels), cuts, made=made)


def _separable(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """A depthwise kernel over the channels that come in, and a pointwise one that makes new ones."""
    if layer.data_format == "channels_first":
        return stuck(atoms, layer, call, "which has its channels first")
    rank = len(layer.pointwise_kernel.shape)
    labels = atoms.new(int(layer.pointwise_kernel.shape[-1]))
    columns = Cut(layer.pointwise_kernel, rank - 1, labels)
    cuts = [
        Cut(layer.depthwise_kernel, rank - 2, call.inputs[0]),
        Cut(layer.pointwise_kernel, rank - 2, np.repeat(call.inputs[0], layer.depth_multiplier)),
        columns,
    ]
    if layer.bias is not None:
        cuts.append(Cut(layer.bias, 0, labels))
    outputs, sizes = _made(atoms, layer, call, labels), (Size(("filters",), labels),)
    return Layout(call.inputs, outputs, tuple(cuts), sizes, (Made("filters", labels, (columns,)),))


def _embedding(atoms: Atoms, layer: Any, call: Call) -> Layout:
    atoms.freeze(call.inputs[0], because(layer.name, "which looks up whole numbers"))
    labels = atoms.new(int(layer.embeddings.shape[1]))
    columns = Cut(layer.embeddings, 1, labels)
    made = (Made("channels", labels, (columns,)),)
    return Layout(call.inputs, (labels,), (columns,), (Size(("output_dim",), labels),), made)


def _einsum(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """An `EinsumDense` that maps the last axis and keeps the others."""
    given, kernel, returned = layer.equation.replace("->", ",").split(",")
    plain = len(kernel) == 2 and given[-1] == kernel[0] and returned == given[:-1] + kernel[1]
    if not plain or kernel[0] == kernel[1]:
        return stuck(atoms, layer, call, "which does more than map its last axis")
    labels = atoms.new(int(layer.kernel.shape[1]))
    columns = Cut(layer.kernel, 1, labels)
    cuts = [Cut(layer.kernel, 0, call.inputs[0]), columns]
    if layer.bias is not None and kernel[1] in layer.bias_axes:
        cuts.append(Cut(layer.bias, len(layer.bias.shape) - 1, labels))
    outputs, sizes = _made(atoms, layer, call, labels), (Size(("output_shape",), labels),)
    return Layout(call.inputs, outputs, tuple(cuts), sizes, (Made("units", labels, (columns,)),))


def _recurrent(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """Units with all their gates: columns of both kernels, and rows of the recurrent one."""
    if layer.time_major:
        return stuck(atoms, layer, call, "which has its steps first")
    if not all(elementwise(getattr(layer, name, None)) for name in ("activation", "recurrent_activation")):
        return stuck(atoms, layer, call, "whose activations work across all units")
    cell = layer.cell
    units = atoms.new(int(layer.units))
    gates = np.tile(units, _GATES[type(layer)])
    columns = (Cut(cell.kernel, 1, gates), Cut(cell.recurrent_kernel, 1, gates))
    cuts = [Cut(cell.kernel, 0, call.inputs[0]), Cut(cell.recurrent_kernel, 0, units), *columns]
    if cell.bias is not None:
        cuts.append(Cut(cell.bias, len(cell.bias.shape) - 1, gates))
    for state in call.inputs[1:]:
        atoms.tie(units, state)
    outputs = tuple(units for _ in call.returned)
    return Layout(call.inputs, outputs, tuple(cuts), (Size(("units",), units),), (Made("units", units, columns),))


def _bidirectional(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """Two recurrent layers with equally many units; the units of equal number go together."""
    parts = (layer.forward_layer, layer.backward_layer)
    if len(call.inputs) != 1 or any(type(part) not in _GATES for part in parts) or parts[0].units != parts[1].units:
        return unknown(atoms, layer, call)
    width, states = (int(parts[0].units),), len(call.returned) - (2 if layer.merge_mode is None else 1)
    inner = Call(call.inputs, call.given, (width,) * (1 + max(0, states // 2)))
    layouts = [_recurrent(atoms, part, inner) for part in parts]
    if not all(layout.made for layout in layouts):
        return unknown(atoms, layer, call)
    forward, backward = (layout.outputs[0] for layout in layouts)
    atoms.tie(forward, backward)
    first: tuple[Labels, ...] = (forward,)
    if layer.merge_mode is None:
        first = (forward, backward)
    elif layer.merge_mode == "concat":
        first = (np.concatenate([forward, backward]),)
    sizes = [layouts[0].inside("layer", "config").sizes[0]]
    if "backward_layer" in layer.get_config():
        sizes.append(layouts[1].inside("backward_layer", "config").sizes[0])
    made = Made("units", forward, tuple(cut for layout in layouts for cut in layout.made[0].scored))
    cuts = tuple(cut for layout in layouts for cut in layout.cuts)
    return Layout(call.inputs, first + (forward,) * states, cuts, tuple(sizes), (made,))


def _over_time(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """The wrapped layer, applied to every step."""
    inner = Call(call.inputs, (call.given[0][1:],), tuple(shape[1:] for shape in call.returned))
    found = RULES.get(type(layer.layer))
    if found is None or len(call.inputs) != 1 or isinstance(layer.layer, _L.RNN | _L.MultiHeadAttention):
        return unknown(atoms, layer, call)
    return found(atoms, layer.layer, inner).inside("layer", "config")


def _attention(atoms: Atoms, layer: Any, call: Call) -> Layout:
    """Whole heads on the inside, channels of the output projection on the outside."""
    parts = [getattr(layer, f"_{part}_dense") for part in ("query", "value", "key", "output")]
    kernels, biases = [part.kernel for part in parts], [part.bias for part in parts]
    if len(kernels[3].shape) != 3:
        return stuck(atoms, layer, call, "whose output has several axes")
    found = {id(tensor): labels for tensor, labels in zip(call.node.keras_inputs, call.inputs, strict=True)}
    attended = [id(tensor) for tensor in attention_inputs(call.node)]
    for mask in found.keys() - set(attended):
        atoms.freeze(found[mask], because(layer.name, "which takes it as a mask"))
    heads, out = atoms.new(int(kernels[0].shape[1])), atoms.new(int(kernels[3].shape[2]))
    if len(call.returned) > 1:
        atoms.freeze(heads, because(layer.name, "which gives its scores away", "its scores are used elsewhere"))
    cuts = [Cut(kernels[3], 0, heads), Cut(kernels[3], 2, out)]
    for place, tensor in enumerate(attended):
        cuts += [Cut(kernels[place], 0, found[tensor]), Cut(kernels[place], 1, heads)]
        if biases[place] is not None:
            cuts.append(Cut(biases[place], 0, heads))
    if biases[3] is not None:
        cuts.append(Cut(biases[3], 0, out))
    sizes = (Size(("num_heads",), heads), Size(("output_shape",), out))
    scored = (*(Cut(kernel, 1, heads) for kernel in kernels[:3]), cuts[0])
    made = (Made("heads", heads, scored), Made("channels", out, (cuts[1],)))
    rest = tuple(atoms.new(shape[-1] or 1) for shape in call.returned[1:])
    return Layout(call.inputs, (out, *rest), tuple(cuts), sizes, made)


RULES: dict[type, Rule] = {
    **PASSING,
    _L.Dense: _dense,
    **dict.fromkeys((_L.Conv1D, _L.Conv2D, _L.Conv3D), _convolution),
    **dict.fromkeys((_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose), _transposed),
    **dict.fromkeys((_L.DepthwiseConv1D, _L.DepthwiseConv2D), _depthwise),
    **dict.fromkeys((_L.SeparableConv1D, _L.SeparableConv2D), _separable),
    **dict.fromkeys(_GATES, _recurrent),
    _L.Embedding: _embedding,
    _L.EinsumDense: _einsum,
    _L.Bidirectional: _bidirectional,
    _L.TimeDistributed: _over_time,
    _L.MultiHeadAttention: _attention,
}
