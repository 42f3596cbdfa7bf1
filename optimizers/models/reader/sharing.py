"""Finds layers that several nested models of one Keras archive share.

An archive describes such a layer in full inside each model, without saying that it is one and the same, but it stores
the weights only once, at the place that was written first. The other places are empty, and that gives it away. Keras
itself cannot load these files.
"""

from __future__ import annotations

from collections.abc import Iterator

from optimizers.models.reader.hdf5 import Hdf5
from optimizers.models.reader.spec import LayerSpec


def link_shared_layers(root: LayerSpec, file: Hdf5) -> None:
    """Sets ``same_as`` of layers whose weights are stored with an earlier layer of equal name, class and options."""
    stored: list[LayerSpec] = []
    for layer in _leaves(root):
        if layer.same_as is not None or not layer.archive_path:
            continue
        if _has_arrays(file, layer.archive_path, 0):
            stored.append(layer)
            continue
        equal = [
            other
            for other in stored
            if (other.name, other.kind, other.options) == (layer.name, layer.kind, layer.options)
        ]
        if len(equal) == 1:
            layer.same_as = equal[0]


def _leaves(model: LayerSpec) -> Iterator[LayerSpec]:
    assert model.graph is not None
    for layer in model.graph.layers:
        if layer.graph is not None:
            yield from _leaves(layer)
        elif not layer.is_operation:
            yield layer


def _has_arrays(file: Hdf5, path: str, depth: int) -> bool:
    """Whether any weights are stored at or below a path. Wrappers keep theirs up to four levels deeper."""
    for name in file.children(path):
        if name == "vars":
            if file.children(f"{path}/vars"):
                return True
        elif depth < 4 and _has_arrays(file, f"{path}/{name}", depth + 1):
            return True
    return False
