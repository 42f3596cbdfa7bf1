"""What a recipe would do to a model, found without data and without training: layers, sizes and costs in advance."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.declarations import InputShape, Property, Rehearsal
from optimizers.forecast import Forecast, StepForecast
from optimizers.litert.file import LiteRtFile, is_litert
from optimizers.params import fields
from optimizers.recipe import Recipe
from optimizers.tf import build, cost, kernels, shapes

# Fitted to files of all modes of 15 small and 8 larger models: what a file holds beside its weights.
_FILE_BYTES = 200
_VANISHING = frozenset({"InputLayer", "Dropout", "BatchNormalization", "ReLU", "Activation"})
"""Layers that the converter drops or merges into the one before."""
_LAYER_BYTES = 400
_TOLD_PACKED, _SCALES_PACKED = 0.45, 0.35
"""What gzip leaves of what a file holds beside its weights, and of scales."""


def rehearse(source: Path, recipe: Recipe, input_shape: InputShape | None, models: Mapping[str, Path]) -> Forecast:
    """The forecast of a complete recipe.

    Args:
        source: The original model, or a ``.tflite`` file that was brought.
        recipe: Ends in a deployable file.
        input_shape: Shape of one example where the model leaves dimensions open, else None.
        models: Files of the models that parameters name, by URI.

    Raises:
        NotApplicable: A step cannot work on what the steps before it would leave.
    """
    brought = is_litert(source)
    model: Any = (
        LiteRtFile(source.read_bytes()) if brought else shapes.with_input_shape(build.load_working(source), input_shape)
    )
    steps: list[StepForecast] = []
    bits: Mapping[str, float] = {}
    known: int | None = None
    one_scale: frozenset[str] = frozenset()
    drafted: frozenset[str] = frozenset()
    channel_bytes = 0
    nothing: frozenset[Property] = frozenset()
    held_by_step = (*recipe.held(), nothing)
    for place, step in enumerate(recipe.steps):
        technique, held = step.technique, held_by_step[place]
        if technique.rehearse is None:
            continue
        named = any(f.kind == "model" for f in fields(technique.params))
        more = (models,) if named else ()
        found: Rehearsal = technique.rehearse(model, step.params, held, *more)
        model, bits, known = found.model, {**bits, **found.bits}, found.size
        if found.rounds and held - held_by_step[place + 1]:
            _stir(model)
        one_scale, drafted, channel_bytes = one_scale | found.one_scale, found.one_scale, found.channel_bytes
        steps.append(
            StepForecast(
                technique=technique.name,
                touched=dict(found.touched),
                skipped=dict(found.skipped),
                notes=found.notes,
                rounds=found.rounds,
                macs=cost.macs(model) if found.rounds else 0,
            )
        )
    if brought:
        return _of_file(model, steps)
    size, compressed = predicted_sizes(model, bits, known, one_scale, channel_bytes, drafted)
    return Forecast(
        steps=tuple(steps),
        size_bytes=size,
        compressed_bytes=compressed,
        parameters=int(sum(np.prod(w.shape) for w in model.weights)),
        macs=cost.macs(model),
    )


def _stir(model: Any) -> None:
    """Moves kernels a little, as training does where it keeps neither zeros nor shared values of earlier steps."""
    random = np.random.default_rng(0)
    for found in kernels.by_layer(model).values():
        for kernel in found:
            values = kernel.numpy()
            kernel.assign(values + random.normal(0, 0.01 * values.std(), values.shape).astype(values.dtype))


def _of_file(file: LiteRtFile, steps: list[StepForecast]) -> Forecast:
    """The forecast for a ``.tflite`` file: what needs no training was done already, so sizes are true."""
    return Forecast(
        steps=tuple(steps),
        size_bytes=len(file.content),
        compressed_bytes=_packed(file.content),
        parameters=file.parameters,
        macs=file.macs,
    )


def predicted_sizes(
    model: Any,
    bits: Mapping[str, float],
    size: int | None = None,
    one_scale: frozenset[str] = frozenset(),
    channel_bytes: int = 24,
    drafted: frozenset[str] = frozenset(),
) -> tuple[int, int]:
    """Bytes of the deployable file, raw and after gzip, from the weights that would be in it.

    Batch normalization is taken to disappear into the layer before it, as the converter does it.

    Args:
        model: A tf_keras model.
        bits: Bits of one kernel value by layer name; 32 where a layer is not named.
        size: Raw bytes of a file that was made to know them.
        one_scale: Layers that have one scale and not one for each output channel.
        drafted: Those of them that have one in that file, too.
        channel_bytes: Of scale and zero point of an output channel, and of its bias where that is quantized as well.
    """
    stored, scales, spared = _FILE_BYTES, 0, 0
    packed: list[bytes] = []
    for layer in kernels.layers(model):
        own = {id(v) for v in kernels.kernels(layer)}
        for variable in layer.weights:
            values = np.asarray(variable)
            if id(variable) in own:
                width = bits.get(layer.name, 32)
                data = _stored(values, width)
                stored += round(values.size * width / 8)
                channels, each = kernels.channels(variable), channel_bytes if width < 16 else 0
                spared += each * (channels - 1) if layer.name in one_scale - drafted else 0
                scales += each * (1 if layer.name in one_scale else channels)
                packed.append(data)
            elif type(layer).__name__ == "BatchNormalization":
                stored += 4 * values.size // 4
            else:
                stored += 4 * values.size
                packed.append(values.astype(np.float32).tobytes())
        stored += 0 if type(layer).__name__ in _VANISHING else _LAYER_BYTES
    stored = stored + scales if size is None else size - spared
    told = max(0, stored - scales - sum(len(data) for data in packed))
    return stored, _packed(b"".join(packed)) + round(_TOLD_PACKED * told + _SCALES_PACKED * scales)


def _packed(content: bytes) -> int:
    return len(gzip.compress(content, compresslevel=9, mtime=0))


def _stored(values: np.ndarray, width: float) -> bytes:
    """The values about as a file of that width would hold them, so that they compress about alike."""
    if width >= 32:
        return values.astype(np.float32).tobytes()
    if width >= 16:
        return values.astype(np.float16).tobytes()
    top = 2 ** (int(width) - 1) - 1
    flat = values.reshape(-1, values.shape[-1])
    scale = np.abs(flat).max(axis=0) / top
    numbers = np.rint(flat / np.where(scale > 0, scale, 1)).astype(np.int8)
    if width > 4:
        return numbers.tobytes()
    per_byte = 8 // (4 if width > 2 else 2)
    codes = numbers.reshape(-1).astype(np.uint8) & (2 ** (8 // per_byte) - 1)
    codes = np.append(codes, np.zeros(-len(codes) % per_byte, np.uint8)).reshape(-1, per_byte)
    shifts = np.arange(per_byte, dtype=np.uint8) * (8 // per_byte)
    return bytes(np.bitwise_or.reduce(codes << shifts, axis=1).astype(np.uint8).tobytes())
