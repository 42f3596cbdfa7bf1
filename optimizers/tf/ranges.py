"""Which numbers a model expects, as far as its own first layers tell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizers.models.reader.spec import INPUT, LayerSpec, ModelSpec, references
from optimizers.records import InputRange
from optimizers.tf.dialects import flat_tensors
from optimizers.tf.probes import vocabulary


def input_ranges(spec: ModelSpec) -> tuple[InputRange | None, ...]:
    """For each input, in the order of the built model's, its range, or None where the model does not tell.

    A look-up table tells its number of rows; a rescaling to 0..1 or -1..1 tells what it was made for.
    """
    tables, strict, layers = vocabulary(spec), vocabulary(spec, strict=True), spec.graph.by_name()
    return tuple(_range(spec, layers[r.layer], tables, strict) for r in flat_tensors(spec.graph.inputs))


def _range(spec: ModelSpec, layer: LayerSpec, tables: dict[str, int], strict: dict[str, int]) -> InputRange | None:
    if layer.name in tables:
        size = tables[layer.name]
        return InputRange(low=0, high=size - 1, whole=True, strict=strict.get(layer.name) == size)
    for user in _users(spec, layer.name):
        if user.kind == "Rescaling":
            scale, offset = (np.asarray(user.options[name], float) for name in ("scale", "offset"))
            if scale.size == offset.size == 1 and scale > 0:
                lowest = -1.0 if offset < 0 else 0.0
                return InputRange(low=float((lowest - offset) / scale), high=float((1 - offset) / scale))
    return None


def _users(spec: ModelSpec, name: str) -> Iterator[LayerSpec]:
    """Layers that take the output of a layer of the outermost graph."""
    for layer in spec.graph.layers:
        if layer.kind != INPUT and any(r.layer == name for call in layer.calls for r in references(call.args)):
            yield layer
