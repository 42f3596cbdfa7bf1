"""Reads the nodes of a graph: which tensors and values each call of a layer gets, in Keras 2 or Keras 3 notation."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from optimizers.errors import ModelRefused
from optimizers.models.reader import values as v
from optimizers.models.reader.limits import LIMITS
from optimizers.models.reader.spec import Call, TensorRef

_ARGUMENT = "call argument"
_DEEPEST = 12


def bad_graph(reason: str) -> ModelRefused:
    """The refusal of a graph that does not hold together."""
    return ModelRefused(
        f"The model's graph is malformed: {reason}; save the model again with model.save('model.keras').",
        code="bad-graph",
    )


def read_call(node: Any, *, keras3: bool, names: Set[str]) -> Call:
    """One call of a layer, from one entry of ``inbound_nodes``.

    Args:
        node: ``{"args": …, "kwargs": …}`` (Keras 3) or nested ``[layer, node, tensor, kwargs]`` lists (Keras 2).
        keras3: Which notation values inside the node use.
        names: Layers of the graph; only they can be referred to.
    """
    if isinstance(node, dict) and "args" in node:
        args = _argument(node["args"], keras3, names)
        kwargs = _argument(node.get("kwargs") or {}, keras3, names)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise bad_graph("a call without a list of arguments")
        return Call(args, kwargs)
    return _keras2_call(node, names)


def read_references(value: Any, depth: int = 0) -> Any:
    """Inputs or outputs of a model: a `TensorRef`, or lists and dicts of them."""
    if depth > 6:
        raise bad_graph("its inputs or outputs are nested too deep")
    if _is_reference(value):
        return _reference(*value)
    if isinstance(value, list):
        found = [read_references(item, depth + 1) for item in value]
        return found[0] if depth == 0 and len(found) == 1 else found
    if isinstance(value, dict):
        return {v.name(key, "input name"): read_references(item, depth + 1) for key, item in value.items()}
    raise bad_graph("its inputs or outputs cannot be read")


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and isinstance(value[0], str)
        and type(value[1]) is int
        and type(value[2]) is int
    )


def _reference(layer: Any, call: Any, tensor: Any) -> TensorRef:
    if not isinstance(layer, str) or type(call) is not int or type(tensor) is not int or call < 0 or tensor < 0:
        raise bad_graph("a reference to a tensor that cannot be read")
    return TensorRef(layer, call, tensor)


def _argument(value: Any, keras3: bool, names: Set[str], depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise bad_graph("arguments that are nested too deep")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return v.text(value, _ARGUMENT)
    if isinstance(value, list):
        if not keras3 and _is_reference(value) and value[0] in names:
            return _reference(*value)
        if len(value) > LIMITS.constants:
            raise bad_graph("an argument with too many values")
        return [_argument(item, keras3, names, depth + 1) for item in value]
    if isinstance(value, dict):
        return _object(value, keras3, names, depth)
    raise bad_graph("an argument of unknown kind")


def _object(value: dict[str, Any], keras3: bool, names: Set[str], depth: int) -> Any:
    kind, config = value.get("class_name"), value.get("config")
    if kind is None:
        if set(value) == {"start", "stop", "step"}:
            return _slice(value)
        return {v.text(key, _ARGUMENT): _argument(item, keras3, names, depth + 1) for key, item in value.items()}
    if kind == "__ellipsis__":
        return ...
    if kind in ("DTypePolicy", "Policy"):
        return v.dtype(value, _ARGUMENT)
    if not isinstance(config, dict):
        config = {}
    if kind == "__keras_tensor__":
        history = config.get("keras_history")
        if not isinstance(history, list) or len(history) != 3:
            raise bad_graph("a tensor that no layer computes")
        return _reference(*history)
    if kind == "__slice__":
        return _slice(config)
    if kind in ("__numpy__", "__tensor__"):
        return v.constant(config.get("value"), config.get("dtype"), "constant in the graph")
    if kind == "__tuple__":
        return _argument(value.get("items") or config.get("value") or [], keras3, names, depth + 1)
    raise ModelRefused(
        f"The graph hands an object of class {v.shown(kind)!r} to a layer, where only tensors, numbers and text are "
        "allowed; replace that layer by a built-in one and save the model again.",
        code="unsafe-config",
    )


def _slice(config: dict[str, Any]) -> slice:
    bounds = [config.get(key) for key in ("start", "stop", "step")]
    if any(bound is not None and type(bound) is not int for bound in bounds):
        raise ModelRefused(
            "The graph slices a tensor at a position that it computes; only fixed positions are supported: build the "
            "model with fixed slices and save it again.",
            code="unsupported-op",
        )
    return slice(*bounds)


def _keras2_call(node: Any, names: Set[str]) -> Call:
    kwargs: dict[str, Any] = {}

    def leaf(item: list[Any]) -> Any:
        if len(item) == 4:
            for key, value in item[3].items():
                kwargs[v.text(key, _ARGUMENT)] = _argument(value, False, names)
        if item[0] == "_CONSTANT_VALUE":
            return _argument(item[2], False, names)
        return _reference(*item[:3])

    def walk(item: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            raise bad_graph("a call that is nested too deep")
        if _is_keras2_leaf(item):
            return leaf(item)
        if isinstance(item, list):
            return [walk(inner, depth + 1) for inner in item]
        if isinstance(item, dict):
            return {v.name(key, "input name"): walk(inner, depth + 1) for key, inner in item.items()}
        raise bad_graph("a call that cannot be read")

    argument = walk(node, 0)
    if isinstance(argument, list) and len(argument) == 1:
        argument = argument[0]
    return Call([argument], kwargs)


def _is_keras2_leaf(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) in (3, 4)
        and isinstance(item[0], str)
        and type(item[1]) is int
        and (item[0] == "_CONSTANT_VALUE" or type(item[2]) is int)
        and (len(item) == 3 or isinstance(item[3], dict))
    )
