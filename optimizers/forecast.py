"""What is expected of a run before it starts: layers touched and left alone, size of the file, training time.

The forecast stays with the run, so that it can be held against the truth afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from pydantic import Field

from optimizers.recipe import Recipe
from optimizers.records import Record

REFERENCE_SECONDS_PER_STEP = (7.0e-3, 9.0e-9)
"""Seconds of one training step: fixed, and per multiply-accumulate of one example at a batch of 32.

Used until this machine has trained something itself. Fitted to 54 trainings of sample models, two at a time, on a
two-core cloud machine with AVX2.
"""
_SECONDS_BESIDE_TRAINING = 3.0
"""Reading, building, converting and writing of one step, on the same machine."""
_BATCH = 32


class StepForecast(Record):
    """What one step would do. ``rounds`` is how often it trains for its epochs; ``macs`` those of the trained model."""

    technique: str
    touched: dict[str, str] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rounds: float = 0.0
    macs: int = 0


class Forecast(Record):
    """What a whole recipe would do, per example of batch size 1. ``seconds``, and ``step_seconds`` for each step of
    the complete recipe, are absent until data are known."""

    steps: tuple[StepForecast, ...]
    size_bytes: int
    compressed_bytes: int
    parameters: int
    macs: int
    seconds: float | None = None
    step_seconds: tuple[float, ...] = ()


class Trained(Record):
    """One training of the past: its steps, multiply-accumulates of the model for one example, batch size, seconds."""

    steps: int
    macs: int
    batch: int
    seconds: float


def training_steps(params: Any, examples: int) -> int:
    """Training steps that a technique's parameters ask for on so many examples; 0 for techniques without training."""
    if not hasattr(params, "epochs") or not hasattr(params, "batch_size"):
        return 0
    per_epoch = ceil(examples / params.batch_size)
    return int(max(params.epochs, ceil(params.min_steps / per_epoch)) * per_epoch)


def timed(forecast: Forecast, recipe: Recipe, examples: int, past: Sequence[Trained]) -> Forecast:
    """The forecast with the expected time of each step and of all on this machine, without waiting and measuring.

    Args:
        forecast: Of the recipe.
        recipe: The same, complete.
        examples: Size of the training part.
        past: Trainings on this machine; the reference machine's speed is used where there are none.
    """
    fixed, each = speed(past)
    told, taken = list(forecast.steps), []
    for step in recipe.steps:
        found = told.pop(0) if told and told[0].technique == step.technique.name else None  # some have nothing to tell
        seconds = _SECONDS_BESIDE_TRAINING
        if found is not None and found.rounds:
            batch = getattr(step.params, "batch_size", _BATCH)
            steps = found.rounds * training_steps(step.params, examples)
            seconds += steps * (fixed + each * found.macs * batch / _BATCH)
        taken.append(seconds)
    return forecast.model_copy(update={"seconds": sum(taken), "step_seconds": tuple(taken)})


def speed(past: Iterable[Trained]) -> tuple[float, float]:
    """Seconds of a training step: fixed, and per multiply-accumulate of a batch of 32, neither of them negative."""
    import numpy as np

    known = [t for t in past if t.steps > 0 and t.seconds > 0]
    if len(known) < 2:
        return REFERENCE_SECONDS_PER_STEP
    load = np.array([[1.0, t.macs * t.batch / _BATCH / 1e6] for t in known])
    taken = np.array([max(t.seconds - _SECONDS_BESIDE_TRAINING, 0.1) / t.steps for t in known])
    relative, ones = load / taken[:, None], np.ones(len(known))
    fixed, per_million = np.linalg.lstsq(relative, ones, rcond=None)[0]
    if fixed < 0 or per_million < 0:  # then the better of the two alone; the other cannot be told apart from 0
        alone = [float(column @ ones / (column @ column)) if column.any() else 0.0 for column in relative.T]
        wrong = [float(((column * size - ones) ** 2).sum()) for column, size in zip(relative.T, alone, strict=True)]
        fixed, per_million = (alone[0], 0.0) if wrong[0] <= wrong[1] else (0.0, alone[1])
    return float(fixed), float(per_million) / 1e6
