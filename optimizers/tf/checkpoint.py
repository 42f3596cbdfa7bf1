"""Reads the weights of a SavedModel's checkpoint, addressed by the attribute names of the objects that own them."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from optimizers.errors import ModelRefused
from optimizers.models.reader.spec import CheckpointWeights, LayerSpec
from optimizers.models.reader.stored import mismatch
from optimizers.models.reader.values import shown
from optimizers.tf.weights import Layers, assign, inner_layers, own_variables, settle, weighted_layers

_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


class _Checkpoint:
    """The object graph of a checkpoint: children of each node, and arrays by node."""

    def __init__(self, folder: Path) -> None:
        try:
            self._reader = tf.train.load_checkpoint(str(folder / "variables"))
            self._shapes = self._reader.get_variable_to_shape_map()
            if self._shapes.get(_GRAPH_KEY) != []:
                raise ValueError("it has no list of objects")
            graph = trackable_object_graph_pb2.TrackableObjectGraph()
            graph.ParseFromString(self._reader.get_tensor(_GRAPH_KEY))
        except Exception as error:
            raise self._damaged(error) from None
        self._nodes = graph.nodes

    @staticmethod
    def _damaged(error: Exception) -> ModelRefused:
        return ModelRefused(
            f"The variables of the SavedModel cannot be read ({_reason(error)}); copy the whole folder again.",
            code="bad-file",
        )

    def children(self, node: int) -> dict[str, int]:
        if not 0 <= node < len(self._nodes):
            raise mismatch("the checkpoint refers to an object that it does not have")
        return {child.local_name: child.node_id for child in self._nodes[node].children}

    def array(self, node: int, variable: Any, where: str) -> np.ndarray:
        """The values of a variable. Its shape is compared first: memory is asked for by what the index declares."""
        attributes: Any = self._nodes[node].attributes if 0 <= node < len(self._nodes) else []
        if len(attributes) != 1:
            raise mismatch(f"{where} has a weight that is not a plain variable")
        key, wanted = attributes[0].checkpoint_key, [int(size) for size in variable.shape]
        if self._shapes.get(key, wanted) != wanted:
            raise mismatch(f"{where} needs an array of shape {wanted}, the checkpoint declares {self._shapes[key]}")
        try:
            return np.asarray(self._reader.get_tensor(key))
        except Exception as error:
            raise self._damaged(error) from None


def _reason(error: Exception) -> str:
    """The first sentence of what TensorFlow says, without the folder that the variables were put into."""
    words = re.sub(r"[\w./-]*/", "", " ".join(str(error).split()))
    return shown(re.split(r"\. (?=[A-Z])", words)[0]).rstrip(".")


def fill_from_checkpoint(root: LayerSpec, layers: Layers, weights: CheckpointWeights) -> None:
    """Weights of a SavedModel, into layers that were built with tf_keras, whose attribute names it uses."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in weights.files.items():
            (Path(folder) / Path(name).name).write_bytes(data)
        checkpoint = _Checkpoint(Path(folder))
        wanted = set(weighted_layers(root, layers))
        _fill_model(root, 0, layers, wanted, checkpoint)
    if wanted:
        missing = ", ".join(sorted(spec.name for spec in wanted))
        raise mismatch(f"the checkpoint has no place for {shown(missing)}")


def _fill_model(model: LayerSpec, node: int, layers: Layers, wanted: set[LayerSpec], checkpoint: _Checkpoint) -> None:
    assert model.graph is not None
    children = checkpoint.children(node)
    for spec in model.graph.layers:
        key = spec.identity
        if spec.graph is not None and key in layers:
            if spec.checkpoint_name not in children:
                raise mismatch(f"the checkpoint has none for the model {spec.name!r}")
            _fill_model(spec, children[spec.checkpoint_name], layers, wanted, checkpoint)
        elif key in wanted:
            wanted.discard(key)
            if not layers[key].weights:
                continue
            if spec.checkpoint_name not in children:
                raise mismatch(f"the checkpoint has none for layer {spec.name!r}")
            _fill_layer(layers[key], spec, children[spec.checkpoint_name], checkpoint)


def _fill_layer(layer: Any, spec: LayerSpec | None, node: int, checkpoint: _Checkpoint) -> None:
    children, where = checkpoint.children(node), f"layer {layer.name!r}"
    missing = {id(variable): variable for variable in own_variables(layer)}
    for name, child in layer._trackable_children().items():
        if id(child) in missing and name in children:
            assign(child, checkpoint.array(children[name], child, where), where)
            del missing[id(child)]
    if missing:
        raise mismatch(f"{where} has {len(missing)} weights that the checkpoint lacks")
    for name, inner, inner_spec in inner_layers(layer, spec):
        _fill_layer(inner, inner_spec, _inner_node(children, name, where, checkpoint), checkpoint)
    settle(layer)


def _inner_node(children: dict[str, int], name: str, where: str, checkpoint: _Checkpoint) -> int:
    if name.startswith("cells/") and "cells" in children:
        children, name = checkpoint.children(children["cells"]), name.removeprefix("cells/")
    for candidate in (name, f"_{name}"):
        if candidate in children:
            return children[candidate]
    raise mismatch(f"{where} lacks its part {name!r} in the checkpoint")
