"""Which channels of a model belong together, which have to stay, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from optimizers import selection
from optimizers.tf import graph, kernels
from optimizers.tf.channels.atoms import Atoms, Labels, Reason, because
from optimizers.tf.channels.layout import Call, Layout, Made, last
from optimizers.tf.channels.makers import rule
from optimizers.tf.channels.rules import stuck

_L = tf_keras.layers
_OUTPUT = Reason("", "", "its channels are outputs of the model")
_INPUT = Reason("", "", "its channels go together with inputs of the model")


@dataclass(frozen=True)
class Group:
    """Channels of which each may go, together with what is tied to it in other layers.

    Attributes:
        name: The layers that make the channels, joined by ``+``; ``attention heads`` where it is about heads.
        members: (layer, position among what it makes) of these layers, in the order of the model.
        roots: One atom per channel, shape (channels,), in order.
        heads: Whether these are attention heads.
    """

    name: str
    members: tuple[tuple[str, int], ...]
    roots: Labels
    heads: bool


class Trace:
    """The channels of a flat model.

    Attributes:
        model: The tf_keras model.
        layouts: By layer name, in the order of computation.
        groups: What can be pruned.
        skipped: Layers with kernels whose own channels all stay, with the reason.
    """

    def __init__(self, model: Any, layouts: Mapping[str, Layout], atoms: Atoms, skipped: Mapping[str, str]) -> None:
        self.model, self.layouts, self.skipped = model, layouts, skipped
        self._atoms = atoms
        self._roots: dict[int, Labels] = {}
        self.groups = self._grouped()

    def roots(self, labels: Labels) -> Labels:
        """For every place of an axis the atom that stands for all tied ones, shape as given."""
        if id(labels) not in self._roots:
            self._roots[id(labels)] = self._atoms.roots(labels)
        return self._roots[id(labels)]

    def keep(self, labels: Labels, dead: Iterable[int]) -> np.ndarray:
        """Which places of an axis stay when channels go, shape as given, bool."""
        return ~np.isin(self.roots(labels), list(dead))

    def made(self, member: tuple[str, int]) -> Made:
        """What a member of a group makes."""
        return self.layouts[member[0]].made[member[1]]

    def _told(self, member: tuple[str, int]) -> str:
        return f"{member[0]} heads" if self.made(member).what == "heads" else member[0]

    def _grouped(self) -> tuple[Group, ...]:
        makers: dict[int, list[tuple[str, int]]] = {}
        for name, layout in self.layouts.items():
            for position, made in enumerate(layout.made):
                for root in np.unique(self.roots(made.labels)).tolist():
                    if self._atoms.reason(root) is None:
                        makers.setdefault(root, []).append((name, position))
        found: dict[tuple[tuple[str, int], ...], list[int]] = {}
        for root in sorted(makers):
            found.setdefault(tuple(makers[root]), []).append(root)
        return tuple(
            Group(
                "+".join(self._told(member) for member in members),
                members,
                np.array(roots, np.int64),
                any(self.made(member).what == "heads" for member in members),
            )
            for members, roots in found.items()
        )


def has_kernel(layer: Any) -> bool:
    """Whether a layer has weights with two dimensions or more."""
    return any(len(weight.shape) > 1 for weight in layer.weights)


def is_frozen(layer: Any) -> bool:
    """Whether a layer, or a part of it, has weights that must not change."""
    return any(part.weights and not part.trainable for part in layer._flatten_layers())


def trace(model: Any, layers: str = "") -> Trace:
    """The channels of a model.

    Args:
        model: A functional tf_keras model without nested models, as `optimizers.tf.graph.rebuilt` makes it. Models that
            are still nested in it are not looked into.
        layers: Whose channels may go, as `optimizers.selection` reads it.
    """
    atoms = Atoms()
    layouts: dict[str, Layout] = {}
    known: dict[int, Labels] = {}
    for node in graph.calls(model):
        tensors = tf.nest.flatten(node.outputs)
        shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
        if node.is_input:
            known[id(tensors[0])] = atoms.new(last(shapes[0]))
            atoms.freeze(known[id(tensors[0])], _INPUT)
            continue
        inputs = list(node.keras_inputs)
        call = Call(
            tuple(known[id(tensor)] for tensor in inputs),
            tuple(tuple(tensor.shape[1:]) for tensor in inputs),
            tuple(shapes),
            node,
        )
        outputs = _layer(atoms, layouts, node.layer, call)
        known.update(zip(map(id, tensors), outputs, strict=True))
    for tensor in model.outputs:
        atoms.freeze(known[id(tensor)], _OUTPUT, foremost=True)
    for name, layout in layouts.items():
        if not selection.chosen(name, layers):
            for made in layout.made:
                reason = because(name, "which is not among the chosen layers", selection.NOT_CHOSEN)
                atoms.freeze(made.labels, reason)
    return Trace(model, layouts, atoms, _skipped(model, layouts, atoms, layers))


def _layer(atoms: Atoms, layouts: dict[str, Layout], layer: Any, call: Call) -> tuple[Labels, ...]:
    """Labels of what a call gives. A layer with weights or sizes that is called again sees the same channels again."""
    before = layouts.get(layer.name)
    if before is None or not (before.cuts or before.sizes or layer.weights):
        layouts[layer.name] = _laid_out(atoms, layer, call)
        return layouts[layer.name].outputs
    widths = ([len(labels) for labels in call.inputs], [last(shape) for shape in call.returned])
    if widths != tuple([len(labels) for labels in tensors] for tensors in (before.inputs, before.outputs)):
        return _differently(atoms, layer, call, before)
    for one, other in zip(before.inputs, call.inputs, strict=True):
        atoms.tie(one, other)
    return before.outputs


def _laid_out(atoms: Atoms, layer: Any, call: Call) -> Layout:
    if is_frozen(layer):
        return stuck(atoms, layer, call, "which is frozen")
    named = [value for value in tf.nest.flatten(call.node.call_kwargs) if tf_keras.backend.is_keras_tensor(value)]
    if named and not isinstance(layer, _L.MultiHeadAttention):
        return stuck(atoms, layer, call, "which takes more inputs by name")
    return rule(layer)(atoms, layer, call)


def _differently(atoms: Atoms, layer: Any, call: Call, before: Layout) -> tuple[Labels, ...]:
    """All channels of a layer that is called with other numbers of them than before have to stay."""
    again = stuck(atoms, layer, call, "which is called in different ways")
    for labels in (*before.inputs, *before.outputs, *(made.labels for made in before.made)):
        atoms.freeze(labels, because(layer.name, "which is called in different ways"))
    return again.outputs


def _skipped(model: Any, layouts: Mapping[str, Layout], atoms: Atoms, layers: str) -> dict[str, str]:
    """Layers with kernels whose channels all have to stay."""
    found: dict[str, str] = {}
    for layer in kernels.layers(model):
        if not has_kernel(layer):
            continue
        layout = layouts.get(layer.name)
        if not selection.chosen(layer.name, layers):
            found[layer.name] = selection.NOT_CHOSEN
        elif is_frozen(layer):
            found[layer.name] = "the layer is frozen, so it could not adapt to lost channels"
        elif layout is None:
            found[layer.name] = "it is inside a model that cannot be looked into"
        else:
            own = [made.labels for made in layout.made] or [cut.labels for cut in layout.cuts]
            own = own or [*layout.outputs, *layout.inputs]
            reasons = [atoms.reason(root) for root in np.unique(atoms.roots(np.concatenate(own))).tolist()]
            told = [reason for reason in reasons if reason is not None]
            if len(told) == len(reasons):
                about = next((reason for reason in told if reason.layer == layer.name), told[0])
                found[layer.name] = about.about(layer.name)
    return found
