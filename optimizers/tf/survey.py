"""What is in the kernels of a Keras model: zeros, distinct values and types, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.ledger import Row
from optimizers.litert import weights
from optimizers.litert.file import is_litert
from optimizers.litert.layer_names import layer_of
from optimizers.litert.layers import layers_of
from optimizers.records import Kind
from optimizers.tf import build, cost, kernels


@dataclass(frozen=True)
class Survey:
    """Kernels of a stage's result, those of the model it started from where asked for, and MACs of a Keras result."""

    rows: tuple[Row, ...]
    before: tuple[Row, ...] = ()
    macs: int = 0


def of_stage(main: Path, source: Path, kind: Kind, *, first: bool) -> Survey:
    """The survey of a stage.

    Args:
        main: The stage's main file.
        source: The Keras model that the stage started from, or the ``.tflite`` file that was brought.
        kind: Of the main file.
        first: Survey the source as well, because no stage before has done so.
    """
    if is_litert(source):
        return Survey(file_rows(main), file_rows(source) if first else ())
    if kind == "tflite":
        origin = build.load_working(source)
        return Survey(file_rows(main, origin), survey(origin) if first else ())
    model = build.load_working(main)
    before = survey(build.load_working(source)) if first else ()
    return Survey(survey(model), before, cost.macs(model))


def survey(model: Any) -> tuple[Row, ...]:
    """One row per kernel, in the order of the layers."""
    return tuple(
        row(layer.name, kernels.kernel_name(variable), np.asarray(variable), np.asarray(variable).dtype.name)
        for layer in kernels.layers(model)
        for variable in kernels.kernels(layer)
    )


def file_rows(file: Path, model: Any = None) -> tuple[Row, ...]:
    """One row per stored kernel of a ``.tflite`` file, under the layer of the Keras model that it came from.

    A kernel that cannot be traced to a layer stands under its tensor's own name. Without a model, names of tensors tell
    the layers.
    """
    stored = weights.weights(file)
    if model is None:
        owners = {number: layer_of(weight) for number, weight in enumerate(stored)}
    else:
        origin = {name: [np.asarray(v) for v in found] for name, found in kernels.by_layer(model).items()}
        owners = layers_of(stored, origin)
    rows, seen = [], set()
    for number, weight in enumerate(stored):
        if not weight.kernel or weight.buffer in seen:
            continue
        seen.add(weight.buffer)
        rows.append(
            Row(
                layer=owners.get(number, weight.name),
                weight=weight.name,
                values=int(weight.values.size),
                sparsity=weight.sparsity,
                unique=weight.unique,
                dtype=weight.dtype.lower(),
            )
        )
    return tuple(rows)


def row(layer: str, weight: str, values: np.ndarray, dtype: str) -> Row:
    """The row of one kernel."""
    return Row(
        layer=layer,
        weight=weight,
        values=int(values.size),
        sparsity=float((values == 0).mean()) if values.size else 0.0,
        unique=int(np.unique(values).size),
        dtype=dtype,
    )
