"""Describes a model file: its layers, inputs, outputs and parameters, after checking that both Kerases agree on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from optimizers import records
from optimizers.models.reader import read
from optimizers.models.reader.spec import INPUT, LayerSpec, ModelSpec, references
from optimizers.tf.build import emit_both
from optimizers.tf.check import compare
from optimizers.tf.dialects import flat_tensors
from optimizers.tf.emit import Emitter
from optimizers.tf.outputs import output_activation
from optimizers.tf.ranges import input_ranges


def summarize(path: Path, name: str = "") -> records.ModelSummary:
    """What is known about a model file without any data.

    The model is built in both Kerases and their outputs are compared, so a summary also tells that the file can be
    optimized.

    Args:
        path: Any file or folder that the reader accepts.
        name: What people call the file, for messages.

    Raises:
        ModelRefused: The file cannot be read or built, or the two Kerases disagree (``bridge-differs``).
    """
    spec = read(path, name)
    (keras2, emitter2), (keras3, emitter3) = emit_both(spec)
    error = compare(spec, (keras2, emitter2), (keras3, emitter3))
    return records.ModelSummary(
        format=spec.format,
        keras_version=spec.keras_version,
        inputs=tuple(_tensors(spec, keras2.inputs, inputs=True)),
        outputs=tuple(_tensors(spec, keras2.outputs, inputs=False)),
        layers=tuple(_rows(spec.root, emitter2, "")),
        parameters=_count(keras2.weights),
        trainable_parameters=_count(keras2.trainable_weights),
        bridge_error=error,
        activation=output_activation(keras2),
        input_ranges=input_ranges(spec),
        notes=tuple(dict.fromkeys([*spec.notes, *emitter2.notes])),
    )


def _tensors(spec: ModelSpec, tensors: list[Any], *, inputs: bool) -> Iterator[records.TensorSpec]:
    """Inputs or outputs under the names of the layers that the file gives them to."""
    names = [reference.layer for reference in references(spec.graph.inputs if inputs else spec.graph.outputs)]
    if len(names) != len(tensors):
        names = [tensor.name for tensor in tensors]
    for name, tensor in zip(names, tensors, strict=True):
        yield records.TensorSpec(name=name, shape=_shape(tensor), dtype=np.dtype(tensor.dtype.as_numpy_dtype).name)


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(None if size is None else int(size) for size in tuple(tensor.shape)[1:])


def _count(weights: list[Any]) -> int:
    return sum(int(np.prod(tuple(weight.shape))) for weight in weights)


def _rows(model: LayerSpec, emitter: Emitter, path: str) -> Iterator[records.LayerRow]:
    """One row per layer in the order of computation; the layers of a nested model follow it, with its name as path."""
    assert model.graph is not None
    layers, seen = model.graph.by_name(), set()
    for name, _ in model.graph.order:
        spec = layers[name]
        if name in seen:
            continue
        seen.add(name)
        live = emitter.layers.get(spec.identity)
        yield records.LayerRow(
            name=name,
            kind=spec.kind,
            output_shape=_output_shape(spec, live, emitter, path),
            parameters=_count(live.weights) if live is not None else 0,
            path=path,
        )
        if spec.graph is not None:
            yield from _rows(spec, emitter, f"{path}/{name}" if path else name)


def _output_shape(spec: LayerSpec, live: Any, emitter: Emitter, path: str) -> tuple[int | None, ...]:
    """Shape of a layer's first output at its first call, without the batch dimension."""
    if not path and (spec.name, 0) in emitter.tensors:
        return _shape(emitter.tensors[spec.name, 0][0])
    if spec.kind == INPUT:
        return tuple(spec.options["batch_shape"][1:])
    if live is None:
        return ()
    return _shape(flat_tensors(live.get_output_at(0))[0])
