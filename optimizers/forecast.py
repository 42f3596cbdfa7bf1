"""What is expected of a run before it starts: layers touched and left alone, size of the file, training time.

The forecast stays with the run, so that it can be held against the truth afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import ceil
from typing import TYPE_CHECKING, Any

from pydantic import Field

from optimizers.recipe import Recipe
from optimizers.records import Record

if TYPE_CHECKING:
    import numpy as np

REFERENCE_SECONDS_PER_STEP = (7.0e-3, 9.0e-9)
"""Seconds of one training step: fixed, and per multiply-accumulate of one example at a batch of 32.

Used until this machine has trained something itself. Fitted to 54 trainings of sample models, two at a time, on a
two-core cloud machine with AVX2.
"""
_SECONDS_BESIDE_TRAINING = 3.0
"""Reading, building, converting and writing of one step, on the same machine."""
_BATCH = 32
_TRUST = 0.03
"""How much the reference machine counts against what one long training here took."""
_LONG = 300
"""Steps of a training that tells half as much about the time of a step as a very long one."""


class StepForecast(Record):
    """What one step would do. ``rounds`` is how often it trains for its epochs; ``macs`` those of the trained model."""

    technique: str
    touched: dict[str, str] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rounds: float = 0.0
    macs: int = 0


class Forecast(Record):
    """What a whole recipe would do, per example of batch size 1.

    ``original_bytes`` are those of the baseline's file, 0 where they are not known. ``seconds``, and ``step_seconds``
    for each step of the complete recipe, are absent until data are known.
    """

    steps: tuple[StepForecast, ...]
    size_bytes: int
    compressed_bytes: int
    parameters: int
    macs: int
    original_bytes: int = 0
    seconds: float | None = None
    step_seconds: tuple[float, ...] = ()

    @property
    def grows(self) -> bool:
        """Whether the file would be larger than the baseline's, by more than forecasts are wrong."""
        return 0 < 1.05 * self.original_bytes < self.size_bytes


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
    beside, fixed, each = speed(past)
    told, taken = list(forecast.steps), []
    for step in recipe.steps:
        found = told.pop(0) if told and told[0].technique == step.technique.name else None  # some have nothing to tell
        seconds = _SECONDS_BESIDE_TRAINING
        if found is not None and found.rounds:
            batch = getattr(step.params, "batch_size", _BATCH)
            steps = found.rounds * training_steps(step.params, examples)
            seconds = beside + steps * (fixed + each * found.macs * batch / _BATCH)
        taken.append(seconds)
    return forecast.model_copy(update={"seconds": sum(taken), "step_seconds": tuple(taken)})


def speed(past: Iterable[Trained]) -> tuple[float, float, float]:
    """Seconds beside the steps of a training, of a step, and per multiply-accumulate of a batch of 32; none negative.

    Few trainings, or all of one length, cannot tell these apart; then they stay near those of the reference machine.
    """
    import numpy as np

    reference = np.array([_SECONDS_BESIDE_TRAINING, *REFERENCE_SECONDS_PER_STEP])
    known = [t for t in past if t.steps > 0 and t.seconds > 0]
    rows = np.array([[1.0, t.steps, t.steps * t.macs * t.batch / _BATCH] for t in known]).reshape(-1, len(reference))
    taken = np.array([t.seconds for t in known])
    weight = np.sqrt([t.steps / (t.steps + _LONG) for t in known])
    # in units of the reference machine's seconds, relative to what each training took
    wanted = np.concatenate([rows * reference * (weight / taken)[:, None], _TRUST * np.eye(len(reference))])
    found = _without_negative(wanted, np.concatenate([weight, np.full(len(reference), _TRUST)]))
    beside, fixed, each = (float(value) for value in found * reference)
    return beside, fixed, each


def _without_negative(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares with no negative coefficient: the best of all sets of columns whose own solution has none.

    For three columns these are seven; SciPy, which does it for many, would be loaded for every page that forecasts.
    """
    import numpy as np

    best, least = np.zeros(rows.shape[1]), np.inf
    for size in range(1, rows.shape[1] + 1):
        for columns in map(list, combinations(range(rows.shape[1]), size)):
            own = np.linalg.lstsq(rows[:, columns], wanted, rcond=None)[0]
            wrong = float(((rows[:, columns] @ own - wanted) ** 2).sum())
            if (own >= 0).all() and wrong < least:
                best, least = np.zeros(rows.shape[1]), wrong
                best[columns] = own
    return best
