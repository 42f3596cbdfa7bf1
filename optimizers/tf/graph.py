"""A tf_keras model rebuilt call by call: nested models dissolved, single layers replaced, everything else kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.errors import NotApplicable

Replacement = Callable[[Any], Callable[..., Any]]
"""From a layer of the model to what is called in its place, with the same arguments: a layer, or a function that calls
layers. It is asked once for each layer, however often that layer is called, so shared layers stay shared."""


def rebuilt(model: Any, replace: Mapping[str, Replacement] | None = None, *, flatten: bool = True) -> Any:
    """A new functional model that computes the same, with new layers that hold copies of the weights.

    Inputs and outputs keep order, structure and names. Layers keep their names; where flattening brings two layers of
    one name together, the outer one keeps it and the other is called ``<nested model>_<layer>``, with a number if that
    is taken as well. Shared layers stay shared, and calls keep their arguments: masks, initial states, training flags,
    constants. Trainable flags are kept; a layer in a frozen nested model is frozen itself.

    Args:
        model: A built functional or sequential tf_keras model. It is not changed.
        replace: By name of the layer in the result without replacements: rebuild once without them to see the names.
            The layer that a replacement gets has that name, and the replacement sets weights and flags itself.
        flatten: Dissolve nested functional and sequential models. One stays a layer where dissolving it could change
            a result: where it is called with a mask of its own, or casts or reshapes what it is called with. Models
            inside wrappers such as TimeDistributed are part of these.

    Raises:
        NotApplicable: The model is neither functional nor sequential, or a name in ``replace`` is no layer of it.
    """
    if not is_graph(model):
        raise NotApplicable(f"Model {model.name} is neither functional nor sequential, so its graph cannot be changed.")
    if replace and flatten and any(is_graph(layer) for layer in model.layers):
        model = rebuilt(model)
    work = _Rebuild(model, replace or {}, flatten)
    unknown = sorted(set(replace or {}) - set(work.names.values()))
    if unknown:
        raise NotApplicable(f"Model {model.name} has no layer called {', '.join(unknown)}.")
    result = work.model(model)
    work.fill()
    return result


def is_graph(layer: Any) -> bool:
    """Whether a layer is a model whose calls are known: functional, or sequential and built."""
    return isinstance(layer, tf_keras.Model) and bool(getattr(layer, "_is_graph_network", False))


def calls(model: Any) -> Iterator[Any]:
    """The calls of a functional or sequential model in an order in which they can be run, inputs first.

    Yields:
        tf_keras nodes: ``layer``, ``keras_inputs`` (flat list of tensors), ``outputs`` (tensors as the layer returned
        them), ``call_args``, ``call_kwargs`` and ``is_input``. Nested models are one call each.
    """
    by_depth = model._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]


class _Rebuild:
    """The state of one rebuild: names in the result, and what each layer has become."""

    def __init__(self, model: Any, replace: Mapping[str, Replacement], flatten: bool) -> None:
        self.names: dict[int, str] = {}
        self._replace = replace
        self._dissolved = _dissolvable(model) if flatten else set()
        self._unfrozen: set[int] = set()
        self._targets: dict[int, Any] = {}
        self._copies: list[tuple[Any, Any]] = []
        self._name(model, flatten)
        self._find_unfrozen(model)

    def _name(self, model: Any, unique: bool) -> None:
        """Names for all layers, level by level, so that the outer one of two equal names keeps it."""
        level, taken = [model], set[str]()
        while level:
            nested = []
            for parent in level:
                for layer in _members(parent):
                    if is_graph(layer):
                        nested.append(layer)
                    gone = id(layer) in self._dissolved or (_is_input(layer) and id(parent) in self._dissolved)
                    if gone or id(layer) in self.names:
                        continue
                    name, count = layer.name, 1
                    while unique and name in taken:
                        name = f"{parent.name}_{layer.name}" + (f"_{count}" if count > 1 else "")
                        count += 1
                    taken.add(name)
                    self.names[id(layer)] = name
            level = nested

    def _find_unfrozen(self, model: Any) -> None:
        """Layers that some way from the outermost model leads to without passing a frozen one."""
        if not model.trainable:
            return
        for layer in _members(model):
            if is_graph(layer):
                self._find_unfrozen(layer)
            elif layer.trainable:
                self._unfrozen.add(id(layer))

    def model(self, model: Any) -> Any:
        """The whole of one model as a model of its own."""
        inputs = [self._target(tensor._keras_history.layer).output for tensor in model.inputs]
        outputs = self._run(model, inputs, None)
        name = self.names.get(id(model), model.name)
        return tf_keras.Model(tf.nest.pack_sequence_as(model._nested_inputs, inputs), outputs, name=name)

    def _run(self, model: Any, inputs: list[Any], training: bool | None) -> Any:
        """A model's calls repeated on other tensors.

        Args:
            model: Functional or sequential.
            inputs: One symbolic tensor per input of the model.
            training: What the call around these said about training; None where it said nothing.
        """
        known = {str(id(old)): new for old, new in zip(model.inputs, inputs, strict=True)}
        for node in calls(model):
            if node.is_input:
                continue
            uses = len(node.flat_input_ids)
            args, kwargs = node.map_arguments({key: [known[key]] * uses for key in node.flat_input_ids})
            said = node.layer._call_spec.arg_was_passed("training", args, kwargs, inputs_in_args=True)
            if training is not None and node.layer._expects_training_arg and not said:
                kwargs["training"] = training
            if id(node.layer) in self._dissolved:
                tensors = node.layer._flatten_to_reference_inputs(args[0])
                output = self._run(node.layer, tensors, kwargs.get("training"))
            else:
                output = self._target(node.layer)(*args, **kwargs)
            known |= dict(zip(node.flat_output_ids, tf.nest.flatten(output), strict=True))
        return tf.nest.pack_sequence_as(model._nested_outputs, [known[str(id(old))] for old in model.outputs])

    def _target(self, layer: Any) -> Any:
        """What is called in place of a layer: always the same object for the same layer."""
        if id(layer) not in self._targets:
            name = self.names[id(layer)]
            if name in self._replace:
                target = self._replace[name](layer)
            elif is_graph(layer):
                target = self.model(layer)
            else:
                target = type(layer).from_config({**layer.get_config(), "name": name})
                self._copies.append((layer, target))
            self._targets[id(layer)] = target
        return self._targets[id(layer)]

    def fill(self) -> None:
        """Copies flags and weights, now that every layer is built."""
        for layer, copy in self._copies:
            for old, new in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
                new.trainable = old.trainable  # outer layers come first: setting their flag sets all inner ones
            copy.set_weights(layer.get_weights())  # in this order, because flags decide the order of weights
            for part in copy._flatten_layers():
                if isinstance(part, tf_keras.layers.Normalization) and part.input_mean is None:
                    part.finalize_state()
            if id(layer) not in self._unfrozen:
                copy.trainable = False


def _dissolvable(model: Any) -> set[int]:
    """Identities of the nested models, at any depth, whose calls can be repeated outside of them."""
    found, kept = set[int](), set[int]()
    for node in calls(model):
        if is_graph(node.layer):
            (found if _takes_as_given(node) else kept).add(id(node.layer))
            found |= _dissolvable(node.layer)
    return found - kept


def _takes_as_given(node: Any) -> bool:
    """Whether the nested model that is called here neither changes what it is called with nor gets a mask for it."""
    if len(node.call_args) != 1 or node.call_kwargs.get("mask") is not None:
        return False
    given = node.layer._flatten_to_reference_inputs(node.call_args[0])
    return all(
        tf_keras.backend.is_keras_tensor(tensor) and (tensor.dtype, tensor.shape.rank) == (want.dtype, want.shape.rank)
        for tensor, want in zip(given, node.layer.inputs, strict=True)
    )


def _members(model: Any) -> list[Any]:
    """All layers of a model, the inputs of a sequential one included, each once, in the order of calls."""
    return list({id(node.layer): node.layer for node in calls(model)}.values())


def _is_input(layer: Any) -> bool:
    return isinstance(layer, tf_keras.layers.InputLayer)
