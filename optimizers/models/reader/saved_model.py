"""Reads the Keras description of a SavedModel, and the bytes of its variables. Its graph is never loaded.

Since TensorFlow 2.5 the description is in ``keras_metadata.pb``; before, it is inside ``saved_model.pb``. Of both, only
the few fields named here are parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from optimizers.errors import ModelRefused
from optimizers.models.reader.containers import Container
from optimizers.models.reader.limits import LIMITS
from optimizers.models.reader.parse import parse_model
from optimizers.models.reader.spec import CheckpointWeights, LayerSpec, ModelSpec
from optimizers.models.reader.strict_json import parse_json
from optimizers.models.reader.values import shown

GRAPH, METADATA = "saved_model.pb", "keras_metadata.pb"
_MOST_NODES = 50_000
_AGAIN = "save the original model as .keras or .h5 instead."

# message -> field -> (number, kind); a kind in capitals is a message of this table, "+" marks a repeated field
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "MetadataFile": {"nodes": (1, "+MetadataNode")},
    "MetadataNode": {"path": (3, "string"), "metadata": (5, "string")},
    "ModelFile": {"graphs": (2, "+MetaGraph")},
    "MetaGraph": {"objects": (7, "ObjectGraph")},
    "ObjectGraph": {"nodes": (1, "+ObjectNode")},
    "ObjectNode": {"children": (1, "+Child"), "user": (4, "UserObject")},
    "Child": {"node": (1, "int32"), "name": (2, "string")},
    "UserObject": {"metadata": (3, "string")},
}


@dataclass(frozen=True)
class _Node:
    """What a SavedModel says about one Keras object. ``children`` maps attribute names to nodes."""

    metadata: dict[str, Any]
    children: dict[str, _Node]


def read_saved_model(container: Container) -> ModelSpec:
    """The model in a SavedModel that Keras 2 wrote.

    Raises:
        ModelRefused: ``no-keras-metadata`` when it only holds a graph, ``subclassed-model``, ``bad-file``.
    """
    prefix = _prefix(container.names)
    if prefix + METADATA in container.names:
        root = _from_metadata_file(container.read(prefix + METADATA, LIMITS.json_bytes * 4))
    else:
        root = _from_object_graph(container.read(prefix + GRAPH, LIMITS.weight_bytes))
    if root is None or "config" not in root.metadata:
        raise ModelRefused(
            "This SavedModel holds a computation without a Keras description, as model.export writes it for serving; "
            f"its layers cannot be recovered, so {_AGAIN}",
            code="no-keras-metadata",
        )
    kind = root.metadata.get("class_name")
    if kind not in ("Sequential", "Functional", "Model"):
        raise ModelRefused(
            f"The SavedModel holds a subclassed model ({shown(kind)!r}), whose Python code is not in the file; build "
            "it with the functional API and save it again.",
            code="subclassed-model",
        )
    spec, notes = parse_model(_plain(_description(root.metadata)), 2)
    _name_nodes(spec, root)
    return ModelSpec(spec, CheckpointWeights(_variables(container, prefix)), "SavedModel", notes=notes)


def _prefix(names: frozenset[str]) -> str:
    """Folder of the SavedModel inside its container, with a slash at the end, or empty."""
    found = [name for name in names if name.rsplit("/", 1)[-1] == GRAPH]
    if len(found) != 1:
        raise ModelRefused(
            f"There must be exactly one {GRAPH} to read a SavedModel, but there are {len(found)}; pack the one "
            "SavedModel folder alone.",
            code="unknown-format",
        )
    return found[0][: -len(GRAPH)]


def _variables(container: Container, prefix: str) -> dict[str, bytes]:
    folder = f"{prefix}variables/"
    files, total = {}, 0
    for name in sorted(container.names):
        if name.startswith(f"{folder}variables."):
            files[name[len(folder) :]] = container.read(name, LIMITS.weight_bytes - total)
            total += len(files[name[len(folder) :]])
    if "variables.index" not in files:
        raise ModelRefused(
            "The SavedModel has no variables/variables.index, so its weights are missing; copy the whole folder.",
            code="bad-file",
        )
    return files


@cache
def _message_classes() -> dict[str, Any]:
    """Protocol buffer classes for the fields in `_MESSAGES`; all other fields of a file are skipped unread."""
    package = "paretoscope.saved_model"
    file = descriptor_pb2.FileDescriptorProto(name="paretoscope/saved_model.proto", package=package, syntax="proto3")
    kinds = {"string": 9, "int32": 5}
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            bare = kind.removeprefix("+")
            field = declared.field.add(
                name=name, number=number, type=kinds.get(bare, 11), label=3 if kind[0] == "+" else 1
            )
            if bare in _MESSAGES:
                field.type_name = f".{package}.{bare}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in _MESSAGES
    }


def _parse(message: str, data: bytes) -> Any:
    parsed = _message_classes()[message]()
    try:
        parsed.ParseFromString(data)
    except (DecodeError, RecursionError, ValueError) as error:
        raise ModelRefused(
            f"The SavedModel's description is damaged ({shown(error)}); copy the folder again.", code="bad-file"
        ) from None
    return parsed


def _from_metadata_file(data: bytes) -> _Node | None:
    file = _parse("MetadataFile", data)
    _check_count(len(file.nodes))
    texts = {node.path: node.metadata for node in file.nodes}
    if "root" not in texts:
        return None
    by_parent: dict[str, list[str]] = {}
    for path in texts:
        parent, _, name = path.rpartition(".")
        by_parent.setdefault(parent, []).append(name)

    def build(path: str, depth: int) -> _Node:
        names = by_parent.get(path, []) if depth <= LIMITS.nesting else []
        children = {name: build(f"{path}.{name}", depth + 1) for name in names if name.startswith("layer")}
        return _Node(_metadata(texts[path]), children)

    return build("root", 0)


def _from_object_graph(data: bytes) -> _Node | None:
    file = _parse("ModelFile", data)
    if not file.graphs or not file.graphs[0].objects.nodes:
        return None
    nodes = file.graphs[0].objects.nodes
    _check_count(len(nodes))
    budget = [_MOST_NODES]

    def build(index: int, depth: int) -> _Node:
        budget[0] -= 1
        _check_count(_MOST_NODES - budget[0])
        if not 0 <= index < len(nodes):
            raise ModelRefused("The SavedModel's description is damaged; copy the folder again.", code="bad-file")
        node = nodes[index]
        wanted = [child for child in node.children if child.name.startswith("layer")] if depth <= LIMITS.nesting else []
        children = {child.name: build(child.node, depth + 1) for child in wanted}
        return _Node(_metadata(node.user.metadata), children)

    return build(0, 0)


def _check_count(count: int) -> None:
    if count > _MOST_NODES:
        raise ModelRefused(
            f"The SavedModel has more than {_MOST_NODES:,} objects; use a smaller model.", code="too-large"
        )


def _metadata(text: str) -> dict[str, Any]:
    value = parse_json(text.encode()) if text else {}
    return value if isinstance(value, dict) else {}


def _description(metadata: dict[str, Any]) -> dict[str, Any]:
    """What ``config.json`` would hold. Before TensorFlow 2.5 the class of a model is ``Model``."""
    return {
        "class_name": metadata.get("class_name"),
        "config": metadata["config"],
        "build_config": {"input_shape": metadata.get("build_input_shape")},
    }


def _plain(value: Any) -> Any:
    """The same JSON with ``{"class_name": "__tuple__", "items": […]}`` replaced by the list."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return _plain(value["items"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _name_nodes(spec: LayerSpec, node: _Node) -> None:
    """Notes for every layer under which name the checkpoint has it (``layer-2``, ``layer_with_weights-0``)."""
    assert spec.graph is not None
    by_layer = {str(child.metadata.get("name")): (name, child) for name, child in node.children.items()}
    for layer in spec.graph.layers:
        if layer.name in by_layer:
            layer.checkpoint_name, child = by_layer[layer.name]
            if layer.graph is not None:
                _name_nodes(layer, child)
