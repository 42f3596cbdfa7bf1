"""Random inputs for a model that make sense to it: whole numbers within the vocabulary, pixels for pixel inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from optimizers.models.reader.spec import INPUT, LayerSpec, ModelSpec, references

_OPEN_SIZES = (16, 32, 64, 128, 224)
"""Lengths tried for open dimensions: short sequences first, then sizes that survive repeated halving."""
_PASSES_VALUES_ON = frozenset(
    [
        *("Dropout", "SpatialDropout1D", "Reshape", "Flatten", "Permute", "RepeatVector", "Concatenate", "Identity"),
        *("GetItem", "Cast", "Squeeze", "ExpandDims", "Stack", "Split", "Unstack", "Transpose", "Take", "Copy", "Flip"),
    ]
)


_TABLES = {"Embedding": "input_dim", "ReversibleEmbedding": "input_dim", "CategoryEncoding": "num_tokens"}
"""Layers that look numbers up in a table, and the option with its size; other numbers make them fail."""


def vocabulary(spec: ModelSpec, *, strict: bool = False) -> dict[str, int]:
    """For each input that ends in a table look-up: the size of the smallest table, so that smaller ids are safe.

    With ``strict`` only where other numbers fail: `OneHot` makes zeros of them.
    """
    found: dict[str, int] = {}
    _collect(spec.root, {}, found, _TABLES if strict else {**_TABLES, "OneHot": "num_classes"})
    return found


def _collect(
    model: LayerSpec, given: dict[str, frozenset[str]], found: dict[str, int], sizes: dict[str, str]
) -> frozenset[str]:
    """Follows values through layers that do not change them. Returns the outer inputs that reach the model's outputs.

    ``given`` maps names of this model's inputs to the outermost inputs whose values they carry.
    """
    assert model.graph is not None
    layers = model.graph.by_name()
    carried: dict[str, frozenset[str]] = {}
    for name, number in model.graph.order:
        layer = layers[name]
        if layer.kind == INPUT:
            carried[name] = given.get(name, frozenset({name}))
            continue
        arriving = [carried[reference.layer] for reference in references(layer.calls[number].args)]
        sources = frozenset().union(*arriving)
        carried[name] = _through(layer, sources, arriving, found, sizes)
    return frozenset().union(*(carried[reference.layer] for reference in references(model.graph.outputs)))


def _through(
    layer: LayerSpec,
    sources: frozenset[str],
    arriving: list[frozenset[str]],
    found: dict[str, int],
    sizes: dict[str, str],
) -> frozenset[str]:
    inner = layer.parts.get("layer")
    if isinstance(inner, LayerSpec) and layer.kind == "TimeDistributed":
        return _through(inner, sources, arriving, found, sizes)
    if layer.graph is not None:
        names = [reference.layer for reference in references(layer.graph.inputs)]
        return _collect(layer, dict(zip(names, arriving, strict=False)), found, sizes)
    size = sizes.get(layer.kind)
    if size is not None:
        for name in sources:
            found[name] = min(found.get(name, 1 << 30), int(layer.options[size]))
        return frozenset()
    return sources if layer.kind in _PASSES_VALUES_ON else frozenset()


def random_inputs(spec: ModelSpec, *, examples: int, seed: int, open_size: int, positive: bool = False) -> list[Any]:
    """One array for each input, in the order of the model's inputs, of shape (examples, *input shape).

    Args:
        spec: The model.
        examples: Length of the batch; a fixed batch size of a stateful model wins.
        seed: Same seed, same arrays.
        open_size: Length of dimensions that the model leaves open.
        positive: Floats from 0 to 1 instead of normal ones.
    """
    generator, tables, layers = np.random.default_rng(seed), vocabulary(spec), spec.graph.by_name()
    arrays: list[Any] = []
    for reference in references(spec.graph.inputs):
        layer = layers[reference.layer]
        batch, *rest = layer.options["batch_shape"]
        shape = (batch or examples, *(open_size if size is None else size for size in rest))
        arrays.append(_values(generator, shape, layer.dtype or "float32", tables.get(layer.name), positive))
    return arrays


def open_sizes(spec: ModelSpec) -> tuple[int, ...]:
    """Lengths to try for open dimensions, in order; a single one where all dimensions are fixed."""
    shapes = [layer.options["batch_shape"][1:] for layer in spec.graph.layers if layer.kind == INPUT]
    return _OPEN_SIZES if any(None in shape for shape in shapes) else _OPEN_SIZES[:1]


def _values(
    generator: np.random.Generator, shape: tuple[int, ...], dtype: str, table: int | None, positive: bool
) -> np.ndarray:
    whole = np.issubdtype(np.dtype(dtype), np.integer) if dtype not in ("bfloat16", "mixed_bfloat16") else False
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    if table is not None:
        return generator.integers(0, table, shape).astype(dtype if whole else "float32")
    if whole:
        high = 256 if dtype == "uint8" else 10
        return generator.integers(0, high, shape).astype(dtype)
    values = generator.random(shape) if positive else generator.standard_normal(shape)
    return values.astype("float32")
