"""Turns a model description (the JSON that Keras writes) into validated `LayerSpec` objects. It looks nothing up."""

from __future__ import annotations

from typing import Any

from optimizers.errors import ModelRefused
from optimizers.models.reader import catalogue, operations, strangers, training_flags
from optimizers.models.reader import values as v
from optimizers.models.reader.dialect import Numbering, canonical_kind, canonical_options, snake_case
from optimizers.models.reader.graph import functional_graph, sequential_graph
from optimizers.models.reader.limits import LIMITS
from optimizers.models.reader.nodes import read_call, read_references
from optimizers.models.reader.spec import INPUT, Call, GraphSpec, LayerSpec, references
from optimizers.models.reader.templates import fill_template

_MODELS = ("Functional", "Sequential")


def parse_model(config: Any, dialect: int) -> tuple[LayerSpec, tuple[str, ...]]:
    """The model that a description stands for, and notes about what was simplified.

    Args:
        config: Parsed JSON: ``{"class_name": …, "config": …}``.
        dialect: 2 or 3, the Keras that wrote it.

    Raises:
        ModelRefused: A layer, option or value that is not on the list, or a graph that does not hold together.
    """
    parser = _Parser(keras3=dialect == 3)
    try:
        root = parser.layer(config, path="", depth=0)
    except (TypeError, KeyError, AttributeError, ValueError, IndexError, RecursionError) as error:
        raise _malformed(f"an unexpected {type(error).__name__}") from error
    if root.graph is None:
        raise _malformed("it describes a layer, not a model")
    training_flags.heed(root, keras3=parser.keras3)
    return root, tuple(dict.fromkeys(parser.notes))


def _malformed(reason: str) -> ModelRefused:
    return ModelRefused(
        f"The model description is malformed ({reason}); save the model again with model.save('model.keras').",
        code="bad-config",
    )


def _too_many_calls() -> ModelRefused:
    return ModelRefused(
        f"The model calls its layers more than {LIMITS.calls:,} times; build a smaller one.", code="too-large"
    )


class _Parser:
    def __init__(self, keras3: bool) -> None:
        self.keras3 = keras3
        self.notes: list[str] = []
        self._count = self._calls = 0
        self._shared: dict[int, LayerSpec] = {}
        self._carried_out: dict[LayerSpec, int] = {}

    def layer(self, description: Any, path: str, depth: int) -> LayerSpec:
        """One layer, operation or model. ``path`` is where an archive keeps its weights; depth 0 is the whole file."""
        self._bound(depth)
        if not isinstance(description, dict) or not isinstance(description.get("class_name"), str):
            raise _malformed("a layer without a class")
        kind, config = canonical_kind(description["class_name"]), description.get("config")
        if kind == "Sequential" and isinstance(config, list):
            config = {"name": description.get("name") or "sequential", "layers": config}
        if not isinstance(config, dict):
            raise _malformed(f"class {v.shown(kind)!r} without options")
        name = config.get("name", description.get("name"))
        name = v.name(kind.lower() if name is None else name, "layer name")
        foreign = strangers.is_foreign(description, kind, catalogue.FROM_APPLICATIONS)
        if kind in _MODELS and not foreign:
            return self._model(description, kind, config, name, path, depth)
        if depth == 0:
            raise strangers.refuse_model(description)
        if strangers.is_ours(description) and kind == "Operation":
            return _our_operation(config, name)
        if self._is_operation(description):
            return self._operation(kind, config, name)
        if kind in ("TFOpLambda", "SlicingOpLambda") and not self.keras3:
            return _function(config, name)
        if kind == INPUT and not foreign:
            return _input(config, name)
        if kind in catalogue.AUGMENTATION and not foreign:
            self.notes.append(
                f"Layer {name!r} ({kind}) only augments training data; it was kept as a layer without effect."
            )
            return LayerSpec("Identity", name, archive_path=path)
        if foreign or kind not in catalogue.LAYERS:
            raise strangers.refuse_layer(description, name, foreign)
        return self._built_in(kind, config, name, path, depth)

    def _bound(self, depth: int) -> None:
        self._count += 1
        if self._count > LIMITS.layers or depth > LIMITS.nesting:
            raise ModelRefused(
                f"The model has more than {LIMITS.layers} layers, or models nested more than {LIMITS.nesting} deep; "
                "build a smaller or flatter one.",
                code="too-large",
            )

    # layers -------------------------------------------------------------------------------------------------------

    def _built_in(self, kind: str, config: dict[str, Any], name: str, path: str, depth: int) -> LayerSpec:
        layer = LayerSpec(kind, name, archive_path=path, trainable=bool(config.get("trainable", True)))
        layer.dtype = v.dtype(config.get("dtype"), layer.where)
        for option, value in canonical_options(kind, config, keras3=self.keras3, where=layer.where).items():
            where = f"{layer.where}, option {v.shown(option)!r}"
            if option in catalogue.PARTS.get(kind, ()):
                self._part(layer, option, value, depth)
            elif option == "activation" and _is_activation_layer(value):
                layer.parts[option] = self.layer(value, f"{path}/activation", depth + 1)
            elif option in catalogue.LAYERS[kind]:
                layer.options[option] = catalogue.LAYERS[kind][option](value, where)
            elif option == "activity_regularizer":
                layer.activity_regularizer = v.regularizer(value, where)
            elif not (value is None or catalogue.is_ignored(kind, option) or catalogue.is_switched_off(option, value)):
                raise ModelRefused(
                    f"{where[0].upper()}{where[1:]}: not supported; build the model without it and save it again.",
                    code="unsupported-option",
                )
        return layer

    def _part(self, layer: LayerSpec, option: str, value: Any, depth: int) -> None:
        if value is None:
            return
        path = layer.archive_path
        if option == "cells":
            if not isinstance(value, list) or not 1 <= len(value) <= 64:
                raise _malformed(f"{layer.where} without cells")
            numbering = Numbering()
            parts = [
                self.layer(cell, f"{path}/cells/{numbering.unique(_container_name(cell))}", depth + 1) for cell in value
            ]
            layer.parts[option] = parts
        else:
            folder = "forward_layer" if layer.kind == "Bidirectional" and option == "layer" else option
            part = self.layer(value, f"{path}/{folder}", depth + 1)
            parts = [part]
            layer.parts[option] = part
        for part in parts:
            if (part.kind in catalogue.CELLS) != (layer.kind in catalogue.TAKES_CELLS) or part.kind == INPUT:
                raise _malformed(f"{layer.where} around a {part.kind}")

    # operations ---------------------------------------------------------------------------------------------------

    def _is_operation(self, description: Any) -> bool:
        """Archives name the module; HDF5 files of Keras 3 do not, but only layers have ``trainable`` there."""
        if not self.keras3 or not isinstance(description, dict):
            return False
        if "module" in description:
            return str(description["module"] or "").startswith("keras.src.ops.")
        config = description.get("config")
        return (
            description.get("class_name") in operations.OPERATIONS
            and isinstance(config, dict)
            and "trainable" not in config
        )

    def _operation(self, kind: str, config: dict[str, Any], name: str) -> LayerSpec:
        where = f"Operation {name!r}"
        if kind not in operations.OPERATIONS:
            raise ModelRefused(
                f"{where}: {v.shown(kind)!r} is not supported; replace it by a built-in layer and save the model "
                "again.",
                code="unsupported-op",
            )
        plain = read_call({"args": [], "kwargs": config}, keras3=True, names=frozenset()).kwargs
        if "dtype" in plain:
            plain["dtype"] = v.dtype(plain["dtype"], where)
        if any(references(plain)):
            raise _malformed(f"{where} has a tensor among its options")
        return LayerSpec(kind, name, operations.check_options(kind, plain, where), is_operation=True)

    # models -------------------------------------------------------------------------------------------------------

    def _model(
        self, description: dict[str, Any], kind: str, config: dict[str, Any], name: str, path: str, depth: int
    ) -> LayerSpec:
        items = config.get("layers")
        if not isinstance(items, list) or not items:
            raise _malformed(f"model {name!r} has no layers")
        layers = self._layers(items, path, depth)
        model = LayerSpec(kind, name, archive_path=path, trainable=bool(config.get("trainable", True)))
        if kind == "Sequential":
            if layers[0].kind != INPUT:
                layers.insert(0, _missing_input(description, config, items, layers[0], name))
            model.graph = sequential_graph(layers)
            return self._bound_calls(model, model.graph)
        names = {layer.name for layer in layers}
        for item, layer in zip(items, layers, strict=True):
            layer.calls = [read_call(node, keras3=self.keras3, names=names) for node in self._nodes(item)]
            _finish_operation(layer, item)
        model.graph = functional_graph(
            layers,
            read_references(config.get("input_layers")),
            read_references(config.get("output_layers")),
            keras3=self.keras3,
        )
        return self._bound_calls(model, model.graph)

    def _bound_calls(self, model: LayerSpec, graph: GraphSpec) -> LayerSpec:
        """The model, if it does not call models that call models … beyond the limit."""
        layers = graph.by_name()
        count = sum(self._carried_out.get(layers[name].identity, 1) for name, _ in graph.order)
        self._carried_out[model] = count
        if count > LIMITS.calls:
            raise _too_many_calls()
        return model

    def _layers(self, items: list[Any], path: str, depth: int) -> list[LayerSpec]:
        numbering = Numbering()
        folder = f"{path}/layers" if path else "layers"
        layers = []
        for item in items:
            place = "" if self._is_operation(item) else f"{folder}/{numbering.unique(_container_name(item))}"
            layer = self._shared_layer(item) or self.layer(item, place, depth + 1)
            shared_id = item.get("shared_object_id")
            if type(shared_id) is int:
                self._shared.setdefault(shared_id, layer)
            outer_name = item.get("name")
            if outer_name is not None and outer_name != layer.name:
                layer.name = v.name(outer_name, "layer name")
            layers.append(layer)
        return layers

    def _nodes(self, item: dict[str, Any]) -> list[Any]:
        nodes = item.get("inbound_nodes") or []
        if not isinstance(nodes, list):
            raise _malformed("the calls of a layer are not a list")
        self._calls += len(nodes)
        if self._calls > LIMITS.calls:
            raise _too_many_calls()
        return nodes

    def _shared_layer(self, item: Any) -> LayerSpec | None:
        """A second mention of a layer that another model of the same file has as well."""
        if not isinstance(item, dict) or type(item.get("shared_object_id")) is not int:
            return None
        first = self._shared.get(item["shared_object_id"])
        if first is None or first.kind != canonical_kind(str(item.get("class_name"))):
            return None
        return LayerSpec(**{**vars(first), "calls": [], "same_as": first.identity})


def _container_name(item: Any) -> str:
    return snake_case(str(item.get("class_name") if isinstance(item, dict) else "").rsplit(">", 1)[-1])


def _is_activation_layer(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") in v.ACTIVATION_LAYERS


def _input(config: dict[str, Any], name: str) -> LayerSpec:
    layer = LayerSpec(INPUT, name)
    declared = config.get("batch_shape", config.get("batch_input_shape"))
    if declared is None:
        raise _no_input_shape(name)
    for option in ("sparse", "ragged"):
        if config.get(option):
            raise ModelRefused(
                f"Input {name!r} takes {option} tensors, which cannot be deployed; build the model with a dense input.",
                code="unsupported-layer",
            )
    layer.options["batch_shape"] = _batch_shape(declared, name)
    layer.dtype = v.dtype(config.get("dtype"), layer.where)
    return layer


def _batch_shape(declared: Any, name: str) -> tuple[int | None, ...]:
    where = f"input {name!r}"
    checked = v.shape(declared, where)
    if not checked:
        raise _no_input_shape(name)
    if any(extent is not None and extent < 1 for extent in checked):
        v.wrong(where, "a shape of positive sizes", declared)
    return checked


def _no_input_shape(name: str) -> ModelRefused:
    return ModelRefused(
        f"The input of {name!r} has no shape, because the model was saved before it knew its data; call it once on "
        "data or begin it with keras.Input, then save it again.",
        code="no-input-shape",
    )


def _missing_input(
    description: dict[str, Any], config: dict[str, Any], items: list[Any], first: LayerSpec, name: str
) -> LayerSpec:
    """The input layer of a Sequential model that was saved without one."""
    build = description.get("build_config")
    first_config = items[0].get("config") if isinstance(items[0], dict) else None
    candidates = [
        first_config.get("batch_input_shape") if isinstance(first_config, dict) else None,
        config.get("build_input_shape"),
        build.get("input_shape") if isinstance(build, dict) else None,
    ]
    if first.graph is not None:
        inner = first.graph.layers[0]
        candidates.append(list(inner.options["batch_shape"]) if inner.kind == INPUT else None)
    shape = next((candidate for candidate in candidates if candidate is not None), None)
    if shape is None:
        raise _no_input_shape(name)
    dtype = "int32" if first.kind == "Embedding" else "float32"
    return LayerSpec(INPUT, f"{name}_input", {"batch_shape": _batch_shape(shape, name)}, dtype=dtype)


def _function(config: dict[str, Any], name: str) -> LayerSpec:
    return LayerSpec(operations.operation_of(config.get("function"), f"Operation {name!r}"), name, is_operation=True)


def _our_operation(config: dict[str, Any], name: str) -> LayerSpec:
    kind = config.get("operation")
    if kind not in operations.OPERATIONS:
        raise _malformed(f"operation {name!r} of an unknown kind")
    return LayerSpec(kind, name, is_operation=True)


def _finish_operation(layer: LayerSpec, item: dict[str, Any]) -> None:
    """Gives calls of Keras 2 operation layers the arguments and options of the operation they stand for."""
    if not layer.is_operation:
        return
    where, config = f"Operation {layer.name!r}", item.get("config") or {}
    if strangers.is_ours(item):
        template = config.get("template")
        layer.calls = [Call(*fill_template(template, list(references(call.args)))) for call in layer.calls]
    elif config.get("function") is not None and canonical_kind(item["class_name"]).endswith("OpLambda"):
        layer.calls = [
            Call(*operations.from_function(config["function"], call.args, call.kwargs, where)) for call in layer.calls
        ]
    for call in layer.calls:
        checked = operations.check_options(layer.kind, call.kwargs, where)
        call.kwargs.clear()
        call.kwargs.update(checked)
