"""Frozen records of searches and their trials, as the history keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from optimizers.records import DatasetRef, ModelRef, Record, now

StudyState = Literal["running", "paused", "stopped", "done", "failed"]
"""``done`` is a search whose time is over or that has nothing left to try; it can be extended, as can a stopped one."""
Sampler = Literal["tpe", "nsga2", "random"]
Effort = Literal["none", "short", "full"]
"""How long a trial trains: not at all, a part of what its settings say, or all of it."""
TrialState = Literal["running", "done", "rejected", "failed", "cut"]
"""``rejected`` was never started, because its forecast rules it out; ``cut`` was stopped before its end, and goes on
when the search does."""
Ending = Literal["", "trials", "tried", "dear", "forecasts"]
ENDINGS: dict[Ending, str] = {
    "trials": "It has run as many trials as it was allowed.",
    "tried": "Nothing is left to try that differs from what was tried.",
    "dear": "What was left to try would not have ended in the time that was left.",
    "forecasts": "Forecasts ruled out one proposal after the other, dozens in a row.",
}
"""Why a search was over before its time."""


class LayerDamage(Record):
    """How far a model's outputs move, as a share of their spread, when one layer's weights are damaged."""

    layer: str
    moved: float


class Study(Record):
    """One search: what is wanted, how long it may take, and how it stands.

    Attributes:
        objectives: Names of metrics; each is better as its declaration says.
        limits: Short form, as `optimizers.limits.parse` reads it.
        board: Name of a board of `optimizers.targets.boards` that files have to fit, or empty.
        techniques: Names of those that may be used; all that suit the model if empty.
        seconds: Time that may be spent; ``spent`` is how much was.
        most_trials: No more trials than these are run; None for as many as the time allows.
        layers: Ranked from the most to the least sensitive, once that was measured.
        certified: Ids of the runs on test data, by the number of the trial.
        judging: Whether it is over and its winner has still to be measured on test data.
        problem: Why it failed, in words.
        ended: Why it is over although there was time left, a key of `ENDINGS`.
    """

    id: str
    scope: str
    model: ModelRef
    dataset: DatasetRef
    objectives: tuple[str, ...]
    limits: str = ""
    board: str = ""
    techniques: tuple[str, ...] = ()
    sampler: Sampler = "tpe"
    seed: int = 0
    seconds: float
    spent: float = 0.0
    most_trials: int | None = None
    state: StudyState = "running"
    layers: tuple[LayerDamage, ...] | None = None
    certified: dict[int, str] = Field(default_factory=dict)
    judging: bool = False
    problem: str = ""
    ended: Ending = ""
    created_at: datetime = Field(default_factory=now)


class Trial(Record):
    """One recipe that was tried.

    Attributes:
        params: What the sampler chose, by the name of the setting in the search space.
        recipe: Short form, with the length of its trainings.
        run_id: Of the run on validation data; the timed one where there are two.
        timed_of: Id of the earlier run without timing, empty where there is one run only.
        promoted_from: Number of the trial with the same settings and a shorter training.
        expected_seconds, expected_bytes: Of the forecast, where there is one.
        seconds: What it took: the time of the stages that were not in the store, and of measuring.
        reason: Why it was rejected, failed or cut, in words.
    """

    study: str
    number: int
    params: dict[str, Any]
    recipe: str
    effort: Effort
    state: TrialState = "running"
    run_id: str = ""
    timed_of: str = ""
    promoted_from: int | None = None
    expected_seconds: float | None = None
    expected_bytes: int | None = None
    seconds: float | None = None
    reason: str = ""
    created_at: datetime = Field(default_factory=now)
