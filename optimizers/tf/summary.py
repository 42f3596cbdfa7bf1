"""Describes a model file: its layers, inputs, outputs and parameters, after checking that both Kerases agree on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from optimizers import records
from optimizers.errors import ModelRefused
from optimizers.models.reader import read
from optimizers.models.reader.spec import INPUT, LayerSpec, ModelSpec, TensorRef
from optimizers.tf import keras3_only
from optimizers.tf.build import emit_both, emit_keras3
from optimizers.tf.check import compare
from optimizers.tf.cost import layer_costs
from optimizers.tf.dialects import flat_tensors
from optimizers.tf.emit import Emitter
from optimizers.tf.outputs import each_activation, output_activation
from optimizers.tf.ranges import input_ranges


def summarize(path: Path, name: str = "") -> records.ModelSummary:
    """What is known about a model file without any data.

    The model is built in both Kerases and their outputs are compared, so a summary also tells that the file can be
    optimized. One that only Keras 3 can hold is built in that alone, and run.

    Args:
        path: Any file or folder that the reader accepts.
        name: What people call the file, for messages.

    Raises:
        ModelRefused: The file cannot be read or built, or the two Kerases disagree (``bridge-differs``).
    """
    spec = read(path, name)
    try:
        keras2, keras3 = emit_both(spec)
    except ModelRefused as refusal:
        if refusal.code not in keras3_only.REASONS:
            raise
        return _only_in_keras3(spec, refusal)
    return _summary(spec, *keras2, output_activation(keras2[0]), bridge_error=compare(spec, keras2, keras3).absolute)


def _only_in_keras3(spec: ModelSpec, refusal: ModelRefused) -> records.ModelSummary:
    model, emitter = built = emit_keras3(spec)
    reason = refusal.message[0].lower() + refusal.message[1:].partition(";")[0]
    note = f"Only Keras 3 can hold this model: {reason}. It can be converted and quantized, but not trained here."
    activation = output_activation(keras3_only.clothed(model, input_ranges(spec)))
    compare(spec, built, built)  # with itself: it can be run, and gives numbers
    return _summary(spec, model, emitter, activation, kind="keras3", notes=(note,))


def _summary(
    spec: ModelSpec, model: Any, emitter: Emitter, activation: str, *, notes: tuple[str, ...] = (), **more: Any
) -> records.ModelSummary:
    return records.ModelSummary(
        format=spec.format,
        keras_version=spec.keras_version,
        inputs=tuple(_tensors(spec, model.inputs, inputs=True)),
        outputs=tuple(_outputs(spec, model)),
        layers=_layers(spec, model, emitter, kind=str(more.get("kind", "keras"))),
        parameters=_count(model.weights),
        trainable_parameters=_count(model.trainable_weights),
        activation=activation,
        input_ranges=input_ranges(spec),
        notes=tuple(dict.fromkeys([*notes, *spec.notes, *emitter.notes])),
        **more,
    )


def _tensors(spec: ModelSpec, tensors: list[Any], *, inputs: bool) -> Iterator[records.TensorSpec]:
    """Inputs or outputs under the names of the layers that the file gives them to."""
    names = [reference.layer for reference in flat_tensors(spec.graph.inputs if inputs else spec.graph.outputs)]
    if len(names) != len(tensors):
        names = [tensor.name for tensor in tensors]
    for name, tensor in zip(names, tensors, strict=True):
        yield records.TensorSpec(name=name, shape=_shape(tensor), dtype=tf.as_dtype(tensor.dtype).name)


def _outputs(spec: ModelSpec, model: Any) -> Iterator[records.TensorSpec]:
    """The same with what lies behind each."""
    for tensor, activation in zip(_tensors(spec, model.outputs, inputs=False), each_activation(model), strict=True):
        yield tensor.model_copy(update={"activation": activation})


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(None if size is None else int(size) for size in tuple(tensor.shape)[1:])


def _count(weights: list[Any]) -> int:
    return sum(int(np.prod(tuple(weight.shape))) for weight in weights)


def _layers(spec: ModelSpec, model: Any, emitter: Emitter, kind: str) -> tuple[records.LayerRow, ...]:
    """All rows, with what each takes its values from and what it computes."""
    rows = list(_rows(spec.root, emitter, ""))
    costs = {} if kind == "keras3" else layer_costs(model)
    at = {(row.path, row.name): number for number, row in enumerate(rows)}
    joined = dict(_joins(spec.root, "", at))
    told = []
    for number, row in enumerate(rows):
        cost = costs.get(f"{row.path}/{row.name}") or costs.get(row.name)
        known = {"macs": cost.macs} if cost is not None else {}
        told.append(row.model_copy(update={"inputs": joined.get(number, ()), **known}))
    return tuple(told)


def _joins(model: LayerSpec, path: str, at: dict[tuple[str, str], int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """For the number of each row the numbers of the rows that feed it."""
    assert model.graph is not None
    for layer in model.graph.layers:
        if (path, layer.name) not in at:
            continue
        given = [value for call in layer.calls for value in (*call.args, *call.kwargs.values())]
        names = [leaf.layer for leaf in flat_tensors(given) if isinstance(leaf, TensorRef)]
        yield at[path, layer.name], tuple(dict.fromkeys(at[path, name] for name in names if (path, name) in at))
        if layer.graph is not None:
            yield from _joins(layer, f"{path}/{layer.name}" if path else layer.name, at)


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
    first = live.get_output_at(0) if hasattr(live, "get_output_at") else live.output
    return _shape(flat_tensors(first)[0])
