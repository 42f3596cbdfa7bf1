"""Joins the layers of one model into a graph: resolves references, orders calls, finds cycles and gaps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from optimizers.models.reader.nodes import bad_graph
from optimizers.models.reader.spec import INPUT, Call, GraphSpec, LayerSpec, TensorRef, references, replace_references
from optimizers.models.reader.values import shown

_WITH_STATES = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})


def functional_graph(layers: list[LayerSpec], inputs: Any, outputs: Any, *, keras3: bool) -> GraphSpec:
    """The graph of a Functional model.

    Args:
        layers: With their calls as the file has them.
        inputs, outputs: Structures of references as the file has them.
        keras3: How the file counts the calls of nested models.

    Raises:
        ModelRefused: ``bad-graph`` for names used twice, missing layers or calls, and cycles.
    """
    if len({layer.name for layer in layers}) != len(layers):
        raise bad_graph("two layers have the same name")
    _separate_states(layers)
    renumber = _Renumbering(layers, outputs, keras3)
    for layer in layers:
        layer.calls = [
            Call(replace_references(call.args, renumber.inner), replace_references(call.kwargs, renumber.inner))
            for call in layer.calls
        ]
    graph = GraphSpec(
        layers=layers,
        inputs=replace_references(inputs, renumber.inner),
        outputs=replace_references(outputs, renumber.outer),
        order=[],
    )
    _check_inputs(graph)
    graph.order = _ordered(graph)
    return graph


def sequential_graph(layers: list[LayerSpec]) -> GraphSpec:
    """The graph of a Sequential model: a chain that starts at an input layer."""
    if len({layer.name for layer in layers}) != len(layers):
        raise bad_graph("two layers have the same name")
    for previous, layer in pairwise(layers):
        layer.calls = [Call([TensorRef(previous.name, 0, 0)])]
    return GraphSpec(
        layers=layers,
        inputs=TensorRef(layers[0].name, 0, 0),
        outputs=TensorRef(layers[-1].name, 0, 0),
        order=[(layer.name, 0) for layer in layers],
        sequential=True,
    )


def _separate_states(layers: list[LayerSpec]) -> None:
    """Keras 2 hands a recurrent layer its states inside the first argument; here they always are ``initial_state``."""
    for layer in layers:
        if layer.kind not in _WITH_STATES:
            continue
        for i, call in enumerate(layer.calls):
            first = call.args[0] if len(call.args) == 1 else None
            if isinstance(first, list) and len(first) > 1:
                layer.calls[i] = Call([first[0]], {**call.kwargs, "initial_state": first[1:]})


class _Renumbering:
    """Turns call numbers of the file into positions in ``LayerSpec.calls``.

    The two differ for nested models only, because building a nested model already counts as its call number 0:

    - Keras 2 then counts from 1, unless the nested model had no input layer when it was built. Every saved call is
      referred to by something, so the largest number in use tells which.
    - Keras 3 counts from 0 between layers, and from 1 where ``output_layers`` refers to a nested Functional model.
    """

    def __init__(self, layers: list[LayerSpec], outputs: Any, keras3: bool) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._keras3 = keras3
        self._used: dict[str, set[int]] = {}
        self._used_by_outputs: dict[str, set[int]] = {}
        for layer in layers:
            for call in layer.calls:
                self._note([call.args, call.kwargs], self._used)
        self._note(outputs, self._used_by_outputs)
        if not keras3:
            self._note(outputs, self._used)

    @staticmethod
    def _note(value: Any, used: dict[str, set[int]]) -> None:
        for reference in references(value):
            used.setdefault(reference.layer, set()).add(reference.call)

    def inner(self, reference: TensorRef) -> TensorRef:
        """A reference in a call or in ``input_layers``."""
        layer = self._layer(reference)
        shifted = (
            not self._keras3 and layer.graph is not None and max(self._used.get(layer.name, {0})) >= len(layer.calls)
        )
        return self._checked(layer, reference, int(shifted))

    def outer(self, reference: TensorRef) -> TensorRef:
        """A reference in ``output_layers``."""
        layer = self._layer(reference)
        if not self._keras3:
            return self.inner(reference)
        nested = layer.graph is not None and not layer.graph.sequential
        return self._checked(layer, reference, int(nested and 0 not in self._used_by_outputs[layer.name]))

    def _layer(self, reference: TensorRef) -> LayerSpec:
        if reference.layer not in self._layers:
            raise bad_graph(f"it refers to a layer {shown(reference.layer)!r} that does not exist")
        return self._layers[reference.layer]

    @staticmethod
    def _checked(layer: LayerSpec, reference: TensorRef, shift: int) -> TensorRef:
        if layer.kind == INPUT:
            return TensorRef(layer.name, 0, reference.tensor)
        call = reference.call - shift
        if not 0 <= call < len(layer.calls):
            raise bad_graph(f"it refers to call {reference.call} of {layer.where}, which does not exist")
        return TensorRef(layer.name, call, reference.tensor)


def _check_inputs(graph: GraphSpec) -> None:
    by_name = graph.by_name()
    found = list(references(graph.inputs))
    if not found:
        raise bad_graph("it has no inputs")
    if not list(references(graph.outputs)):
        raise bad_graph("it has no outputs")
    for reference in found:
        if by_name[reference.layer].kind != INPUT:
            raise bad_graph(f"its input {shown(reference.layer)!r} is not an input layer")


def _ordered(graph: GraphSpec) -> list[tuple[str, int]]:
    """Calls that the outputs depend on, dependencies first. Iterative: depth is the stranger's choice."""
    by_name = graph.by_name()
    given = {reference.layer for reference in references(graph.inputs)}
    order: list[tuple[str, int]] = []
    done: set[tuple[str, int]] = set()
    stack: list[tuple[tuple[str, int], bool]] = []
    wanted = [*references(graph.inputs), *references(graph.outputs)]
    stack.extend(((reference.layer, reference.call), False) for reference in reversed(wanted))
    open_calls: set[tuple[str, int]] = set()
    while stack:
        key, finished = stack.pop()
        if finished:
            open_calls.discard(key)
            done.add(key)
            order.append(key)
            continue
        if key in done:
            continue
        if key in open_calls:
            raise bad_graph(f"layer {shown(key[0])!r} depends on its own output")
        layer = by_name[key[0]]
        if layer.kind == INPUT and layer.name not in given:
            raise bad_graph(f"its input layer {layer.name!r} is not among the model's inputs")
        open_calls.add(key)
        stack.append((key, True))
        call = Call([]) if layer.kind == INPUT else layer.calls[key[1]]
        for reference in references([call.args, call.kwargs]):
            needed = (reference.layer, reference.call)
            if needed in open_calls:
                raise bad_graph(f"layer {shown(key[0])!r} depends on its own output")
            stack.append((needed, False))
    return order
