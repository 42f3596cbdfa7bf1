"""What a recipe would do to a model, found without data and without training: layers, sizes and costs in advance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.declarations import InputShape, Property, Rehearsal
from optimizers.errors import NotApplicable
from optimizers.forecast import Forecast, StepForecast
from optimizers.litert.file import LiteRtFile, is_litert
from optimizers.params import fields
from optimizers.recipe import BASELINE, Recipe, Step
from optimizers.tf import build, cost, draft, kernels, shapes

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
    original = len(model.content) if brought else _original(model)
    steps: list[StepForecast] = []
    bits: Mapping[str, float] = {}
    one_scale: frozenset[str] = frozenset()
    last = Rehearsal(model)
    nothing: frozenset[Property] = frozenset()
    held_by_step = (*recipe.held(), nothing)
    for place, step in enumerate(recipe.steps):
        technique, held = step.technique, held_by_step[place]
        if technique.rehearse is None:
            continue
        named = any(f.kind == "model" for f in fields(technique.params))
        more = (models,) if named else ()
        found: Rehearsal = technique.rehearse(model, step.params, held, *more)
        model, bits, last = found.model, {**bits, **found.bits}, found
        if found.rounds:
            draft.stir(model)
        if found.rounds and held - held_by_step[place + 1]:
            _stir(model)
        one_scale |= found.one_scale
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
        return _of_file(model, steps, original)
    size, beside = _size(model, bits, one_scale, last)
    return Forecast(
        steps=tuple(steps),
        size_bytes=size,
        compressed_bytes=draft.compressed(draft.weights_of(model, bits)) + beside,
        parameters=int(sum(np.prod(w.shape) for w in model.weights)),
        macs=cost.macs(model),
        original_bytes=original,
    )


def _original(model: Any) -> int:
    """Bytes of the file that everything is compared with; 0 where it cannot be made."""
    step = Step.of(BASELINE)
    assert step.technique.rehearse is not None
    try:
        return _size(model, {}, frozenset(), step.technique.rehearse(model, step.params, frozenset()))[0]
    except NotApplicable:
        return 0


def _stir(model: Any) -> None:
    """Moves kernels a little, as training does where it keeps neither zeros nor shared values of earlier steps."""
    random = np.random.default_rng(0)
    for found in kernels.by_layer(model).values():
        for kernel in found:
            values = kernel.numpy()
            kernel.assign(values + random.normal(0, 0.01 * values.std(), values.shape).astype(values.dtype))


def _of_file(file: LiteRtFile, steps: list[StepForecast], original: int) -> Forecast:
    """The forecast for a ``.tflite`` file: what needs no training was done already, so sizes are true."""
    return Forecast(
        steps=tuple(steps),
        size_bytes=len(file.content),
        compressed_bytes=draft.compressed(file.content),
        parameters=file.parameters,
        macs=file.macs,
        original_bytes=original,
    )


def _size(model: Any, bits: Mapping[str, float], one_scale: frozenset[str], last: Rehearsal) -> tuple[int, int]:
    """Bytes of the deployable file, from the weights that would be in it, and those that gzip leaves beside these.

    Batch normalization is taken to disappear into the layer before it, as the converter does it.

    Args:
        model: A tf_keras model.
        bits: Bits of one kernel value by layer name; 32 where a layer is not named.
        one_scale: Layers that have one scale and not one for each output channel.
        last: What was found about the conversion: the file, where one was made, in which one scale is told of fewer
            layers; and the bytes of a channel's scales.
    """
    weights, told, scales, spared = 0, _FILE_BYTES, 0, 0
    for layer in kernels.layers(model):
        own = {id(v) for v in kernels.kernels(layer)}
        for variable in layer.weights:
            number = int(np.prod(variable.shape))
            if id(variable) in own:
                width = bits.get(layer.name, 32)
                channels, each = kernels.channels(variable), last.channel_bytes if width < 16 else 0
                weights += round(number * width / 8)
                scales += each * (1 if layer.name in one_scale else channels)
                spared += each * (channels - 1) if layer.name in one_scale - last.one_scale else 0
            elif type(layer).__name__ == "BatchNormalization":
                told += number
            else:
                weights += 4 * number
        told += 0 if type(layer).__name__ in _VANISHING else _LAYER_BYTES
    if last.size is None:
        return weights + told + scales, round(_TOLD_PACKED * told + _SCALES_PACKED * scales)
    return last.size - spared, max(0, (last.beside or 0) - round(_SCALES_PACKED * spared))
