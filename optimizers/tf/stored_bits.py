"""How many bits of each kernel value a converted file stores, told from the model alone.

What the converter does was found by converting every kind of layer in every mode and looking at the file; a test does
it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras

from optimizers.tf import kernels
from optimizers.tf.convert import Mode, Recurrent

_L = tf_keras.layers
_FEWEST = 1024
"""Values that a tensor must have for dynamic range quantization to quantize it."""

_GATES = 4
_VOLUMES = (_L.Conv3D, _L.Conv3DTranspose)
_AS_WIDE_AS_ACTIVATIONS = (_L.Embedding, _L.LocallyConnected1D, _L.LocallyConnected2D)
"""What 16x8 quantization stores like activations, in 16 bits."""


@dataclass(frozen=True)
class Storage:
    """Mean bits of a kernel value by layer, and why layers stay in 32 bits, altogether or in part."""

    bits: dict[str, float]
    skipped: dict[str, str]


def stored(model: Any, mode: Mode, recurrent: Recurrent) -> Storage:
    """What a file of this mode will hold; layers that stay in float32 throughout have no bits.

    Args:
        model: A built tf_keras model.
        mode: Of the conversion.
        recurrent: What becomes of recurrent layers.
    """
    found, skipped = {}, {}
    for layer in kernels.layers(model):
        variables = kernels.kernels(layer)
        if mode == "float32" or not variables:
            continue
        reasons = _reasons(layer, variables, mode, recurrent)
        sizes = np.array([int(np.prod(v.shape)) for v in variables], float)
        widths = np.array([32 if reason else _width(layer, mode) for reason in reasons])
        if not all(reasons):
            found[layer.name] = float((sizes * widths).sum() / sizes.sum())
        if any(reasons):
            skipped[layer.name] = _told(reasons, variables)
    return Storage(found, skipped)


def _width(layer: Any, mode: Mode) -> int:
    if mode == "float16" or (mode == "int16x8" and isinstance(layer, _AS_WIDE_AS_ACTIVATIONS)):
        return 16
    return 8


def _reasons(layer: Any, variables: list[Any], mode: Mode, recurrent: Recurrent) -> list[str]:
    """For each kernel why it stays in float32; empty where it does not."""
    if mode == "float16":
        return [""] * len(variables)
    if isinstance(layer, _VOLUMES):
        return ["3-D convolutions have only a floating point version"] * len(variables)
    if mode != "dynamic_range":
        return [""] * len(variables)
    fused = [group for group in _fused(layer) if recurrent == "fused"]
    of_cell = {id(v): group for group in fused for v in group}
    return [_small(v, of_cell.get(id(v)), _gates(layer)) for v in variables]


def _fused(layer: Any) -> Iterator[list[Any]]:
    """Kernels of every LSTM in a layer that becomes one fused operator."""
    for part in layer._flatten_layers():
        if isinstance(part, _L.LSTM) and not part.unroll and getattr(part, "_could_use_gpu_kernel", True):
            yield kernels.kernels(part)


def _gates(layer: Any) -> int:
    """In how many tensors a file holds each kernel."""
    return _GATES if isinstance(layer, _L.ConvLSTM1D | _L.ConvLSTM2D | _L.ConvLSTM3D) else 1


def _small(variable: Any, cell: list[Any] | None, gates: int) -> str:
    if cell is not None:
        fewest = min(int(np.prod(v.shape)) for v in cell) // _GATES
        return (
            f"a matrix of its fused cell has {fewest:,} weights, fewer than {_FEWEST:,}, so the cell stays in float32; "
            "unrolled it is quantized"
            if fewest < _FEWEST
            else ""
        )
    size = int(np.prod(variable.shape)) // gates
    return f"{size:,} weights, fewer than {_FEWEST:,}, stay in float32" if size < _FEWEST else ""


def _told(reasons: list[str], variables: list[Any]) -> str:
    parts = [
        reason if all(reasons) and len(set(reasons)) == 1 else f"{kernels.kernel_name(variable)}: {reason}"
        for reason, variable in zip(reasons, variables, strict=True)
        if reason
    ]
    return "; ".join(dict.fromkeys(parts))
