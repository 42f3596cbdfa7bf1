"""Puts the weights of a file into a built model. Every weight is found by its address; shapes only confirm it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from optimizers.models.reader.hdf5 import Hdf5
from optimizers.models.reader.layouts import stored_path
from optimizers.models.reader.spec import INPUT, LayerSpec
from optimizers.models.reader.stored import check_values, mismatch
from optimizers.models.reader.values import shown

Layers = dict[LayerSpec, Any]
_SYNONYMS = {"depthwise_kernel": "kernel"}
"""Keras 2's names of weights that Keras 3 calls otherwise."""


def own_variables(layer: Any) -> list[Any]:
    """A layer's weights without those of layers inside it: trainable ones first, as created, whatever is frozen now."""
    if hasattr(layer, "_trainable_weights"):
        return [*layer._trainable_weights, *layer._non_trainable_weights]
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def inner_layers(layer: Any, spec: LayerSpec | None) -> Iterator[tuple[str, Any, LayerSpec | None]]:
    """Layers inside a layer that is no model: (name of the attribute, layer, its spec if the file gave one)."""
    kind = spec.kind if spec is not None else type(layer).__name__
    parts = spec.parts if spec is not None else {}

    def part(name: str) -> LayerSpec | None:
        found = parts.get(name)
        return None if isinstance(found, list) else found

    if kind == "Bidirectional":
        yield "forward_layer", layer.forward_layer, part("layer")
        yield "backward_layer", layer.backward_layer, part("backward_layer")
    elif kind in ("TimeDistributed", "SpectralNormalization"):
        yield "layer", layer.layer, part("layer")
    elif kind == "StackedRNNCells":
        cells = parts.get("cells")
        for i, cell in enumerate(layer.cells):
            yield f"cells/{i}", cell, cells[i] if isinstance(cells, list) else None
    elif kind in ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention"):
        for name in ("query", "key", "gate", "value", "output"):
            if hasattr(layer, f"_{name}_dense"):
                yield f"{name}_dense", getattr(layer, f"_{name}_dense"), None
    elif hasattr(layer, "cell"):
        yield "cell", layer.cell, part("cell")
    elif "activation" in parts:
        yield "activation", layer.activation, part("activation")


def weighted_layers(root: LayerSpec, layers: Layers) -> Iterator[LayerSpec]:
    """Layers of the outermost graph and of nested ones that were built and are no models, each once."""
    seen: set[LayerSpec] = set()
    stack = [root]
    while stack:
        spec = stack.pop()
        key = spec.identity
        if key in seen or key not in layers or spec.kind == INPUT or spec.is_operation:
            continue
        seen.add(key)
        if spec.graph is not None:
            stack.extend(reversed(spec.graph.layers))
        else:
            yield key


def assign(variable: Any, value: np.ndarray, where: str) -> None:
    """Writes an array into a weight. Raises `ModelRefused` when shapes differ or values are not finite."""
    shape = tuple(int(size) for size in variable.shape)
    if shape != value.shape:
        raise mismatch(f"{where} needs an array of shape {shape}, the file has {value.shape}")
    check_values(value, where)
    dtype = getattr(variable.dtype, "as_numpy_dtype", variable.dtype)
    variable.assign(value.astype(dtype, copy=False))


def settle(layer: Any) -> None:
    """Tells a layer that derives values from its weights that they are there."""
    if type(layer).__name__ == "Normalization":
        layer.finalize_state()


def fill_from_archive(root: LayerSpec, layers: Layers, file: Hdf5) -> None:
    """Weights of a Keras archive, where layer number ``i`` of a class is at ``layers/<class>_<i>/vars/<n>``."""
    for spec in weighted_layers(root, layers):
        _fill_path(layers[spec], spec, stored_path(spec.archive_path, file), file)


def _fill_path(layer: Any, spec: LayerSpec | None, path: str, file: Hdf5) -> None:
    if spec is not None and spec.graph is not None:
        return
    variables, where = own_variables(layer), f"layer {layer.name!r}"
    stored = file.children(f"{path}/vars")
    if len(stored) != len(variables):
        raise mismatch(f"{where} needs {len(variables)} arrays, the file has {len(stored)} at {shown(path)!r}")
    for number, variable in enumerate(variables):
        value = file.array(f"{path}/vars/{number}")
        if value is None:
            raise mismatch(f"{where} needs an array at '{shown(path)}/vars/{number}'")
        assign(variable, value, where)
    for name, inner, inner_spec in inner_layers(layer, spec):
        _fill_path(inner, inner_spec, _inner_path(path, name, inner, inner_spec, file), file)
    settle(layer)


def _inner_path(path: str, name: str, inner: Any, spec: LayerSpec | None, file: Hdf5) -> str:
    """Path of an inner layer; Keras 2 and 3 differ in the leading underscore of attention's parts."""
    if spec is not None and name.startswith("cells/"):
        return stored_path(spec.archive_path, file)
    separator = "\\" if "\\" in path else "/"
    plain, private = f"{path}{separator}{name}", f"{path}{separator}_{name}"
    return private if file.node(plain) is None and file.node(private) is not None else plain


def fill_from_legacy(root: LayerSpec, layers: Layers, file: Hdf5) -> None:
    """Weights of a whole-model HDF5 file: groups by the names of outer layers, arrays by the names of weights."""
    base = "model_weights" if file.node("model_weights") is not None else ""
    groups = set(file.texts(base or "/", "layer_names"))
    assert root.graph is not None
    for spec in root.graph.layers:
        layer = layers.get(spec.identity)
        if layer is None or spec.kind == INPUT or spec.is_operation:
            continue
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        if variables:
            path = f"{base}/{spec.name}"
            if spec.name not in groups or file.node(path) is None:
                raise mismatch(f"the file has none for layer {spec.name!r}")
            _fill_group(spec, variables, path, file)
    for key in weighted_layers(root, layers):
        settle(layers[key])


def _fill_group(spec: LayerSpec, variables: list[Any], path: str, file: Hdf5) -> None:
    names = file.texts(path, "weight_names")
    if len(names) != len(variables):
        raise mismatch(f"{spec.where} needs {len(variables)} arrays, the file has {len(names)}")
    wanted = [str(getattr(variable, "path", variable.name)) for variable in variables]
    for variable, position in zip(variables, match_names(wanted, names, spec.where), strict=True):
        value = file.array(f"{path}/{names[position]}")
        if value is None:
            raise mismatch(f"the file lacks the array {shown(names[position])!r}")
        assign(variable, value, spec.where)


def match_names(wanted: Sequence[str], stored: Sequence[str], where: str) -> list[int]:
    """For each wanted weight, the position of the stored one with the same qualified name.

    The shortest endings that tell all names apart are compared: ``kernel``, then ``dense_1/kernel`` and so on, first
    exactly, then without the counters that Keras appends. Where names cannot tell weights apart, the order of the file
    decides, which Keras itself goes by, provided that the last parts of the names agree.

    Example:
        ``["d/kernel", "d/bias"]`` and ``["d/bias:0", "d/kernel:0"]`` give ``[1, 0]``.
    """
    for counters in (True, False):
        left, right = ([_parts(name, counters) for name in names] for names in (wanted, stored))
        for length in range(1, max(map(len, [*left, *right, ()])) + 1):
            endings = [parts[-length:] for parts in right]
            positions = {ending: i for i, ending in enumerate(endings)}
            sought = [parts[-length:] for parts in left]
            if len(positions) == len(stored) and len(set(sought)) == len(sought) and set(sought) == set(positions):
                return [positions[ending] for ending in sought]
    if [_parts(name, True)[-1] for name in wanted] != [_parts(name, True)[-1] for name in stored]:
        raise mismatch(f"{where} has weights {shown(', '.join(stored))}, which cannot be told apart by name")
    return list(range(len(wanted)))


def _parts(name: str, counters: bool) -> tuple[str, ...]:
    parts = re.sub(r":\d+$", "", name).split("/")  # Keras 3 allows colons in the names of layers
    parts[-1] = _SYNONYMS.get(parts[-1], parts[-1])
    return tuple(parts if counters else (re.sub(r"_\d+$", "", part) for part in parts))


def copy_weights(root: LayerSpec, source: Layers, target: Layers) -> None:
    """Copies weights between two builds of the same spec, layer by layer."""
    for key in weighted_layers(root, target):
        _copy(source[key], target[key], key)


def _copy(source: Any, target: Any, spec: LayerSpec | None) -> None:
    if spec is not None and spec.graph is not None:
        return
    where = f"layer {target.name!r}"
    values, variables = own_variables(source), own_variables(target)
    if len(values) != len(variables):
        raise mismatch(f"{where} has {len(variables)} weights in one Keras and {len(values)} in the other")
    for value, variable in zip(values, variables, strict=True):
        assign(variable, np.asarray(value), where)
    for (_, inner, _), (_, other, inner_spec) in zip(
        inner_layers(source, spec), inner_layers(target, spec), strict=True
    ):
        _copy(inner, other, inner_spec)
    settle(target)
