"""Races of files on one example, run in worker processes; pages are answered at once."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optimizers.engine.background import Background
from optimizers.engine.plan import predictions_key, scope_of
from optimizers.engine.worker import Task
from optimizers.errors import ParetoscopeError, UserError
from optimizers.live.given import MOST_PICTURE_BYTES, Given, Picture
from optimizers.live.race import Outcome
from optimizers.records import Run, digest_of

if TYPE_CHECKING:
    from optimizers.engine.driver import Driver

MOST_RACERS = 12
_REMEMBERED, _WORKERS = 200, 2


@dataclass(frozen=True)
class Racer:
    """A file that answers: a run's own, or its baseline."""

    run: Run
    is_baseline: bool = False

    @property
    def artifact_key(self) -> str:
        return self.run.baseline_key if self.is_baseline else self.run.artifact_key


def race(driver: Driver, racers: Sequence[Racer], given: Given) -> Outcome:
    """What the files answer. Blocks for about a second.

    Raises:
        UserError: Too many files, or files for different data.
        DataRefused: The example does not suit the data.
    """
    if not 0 < len(racers) <= MOST_RACERS:
        raise UserError(f"From 1 to {MOST_RACERS} files can race, not {len(racers)}.")
    dataset = racers[0].run.dataset
    if any(racer.run.dataset.digest != dataset.digest for racer in racers):
        raise UserError("Only files for the same data can race.")
    told = [
        {
            "artifact": racer.artifact_key,
            "summary": driver.inspect_model(racer.run.model.uri)[1].model_dump(mode="json"),
        }
        for racer in racers
    ]
    params = {"racers": told, "dataset": dataset.uri, "digest": dataset.digest, "given": given.model_dump()}
    task = Task("optimizers.live.race:race", params, "light", "interactive", str(driver.settings.logs / "race.log"))
    return Outcome.model_validate(driver.executor.run(task, lambda event: None, lambda: False))


def picture(driver: Driver, content: bytes, name: str) -> Picture:
    """A picture file, opened in a process that may do nothing else. Raises `DataRefused` or `ReadingStopped`."""
    if len(content) > MOST_PICTURE_BYTES:
        raise UserError(f"{name} has more than {MOST_PICTURE_BYTES // 10**6} MB; make it smaller.")
    params = {"content": base64.b64encode(content).decode("ascii"), "name": name}
    log = str(driver.settings.logs / "race.log")
    task = Task("optimizers.live.race:decode", params, "reader", "interactive", log, reading=True)
    return Picture.model_validate(driver.executor.run(task, lambda event: None, lambda: False))


def disagreements(driver: Driver, racers: Sequence[Racer]) -> list[int]:
    """Places in the test part on which the files do not all decide alike; empty where they decide nothing.

    Nothing is run: these are the answers on which the files were measured.
    """
    decided = [found for racer in racers if (found := _decided(driver, racer)) is not None]
    if len(decided) < 2 or len({len(one) for one in decided}) > 1:
        return []
    differ = np.any([(one != decided[0]).reshape(len(one), -1).any(axis=1) for one in decided[1:]], axis=0)
    return [int(place) for place in np.flatnonzero(differ)]


def _decided(driver: Driver, racer: Racer) -> np.ndarray | None:
    """Class numbers on the test part, shape (n,) or (n, labels), as they were when the file was measured."""
    run = racer.run
    digest = run.baseline_digest if racer.is_baseline else run.artifact_digest
    kept = driver.store.get(predictions_key(digest, run.dataset, scope_of(run.model, run.dataset), run.part))
    if kept is None:
        return None
    return _decisions(driver.store.path(kept))


@lru_cache(maxsize=100)
def _decisions(file: Path) -> np.ndarray | None:
    """The same from a file in the store, which never changes."""
    with np.load(file, allow_pickle=False) as arrays:
        scores, y = np.asarray(arrays["scores"]), np.asarray(arrays["y"])
    if y.dtype.kind not in "iu" or y.ndim > 2:  # of pixels some almost always differ
        return None
    each = scores.reshape(*y.shape, -1)
    return np.asarray(each.argmax(axis=-1) if each.shape[-1] > 1 else each[..., 0] > 0.5, np.int64)


@dataclass(frozen=True)
class Sight:
    """An outcome, a problem in words, or neither so far."""

    outcome: Outcome | None = None
    problem: str = ""

    @property
    def pending(self) -> bool:
        return self.outcome is None and not self.problem


class RaceDesk:
    """Answers pages without blocking. Safe to use from several threads."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._races = Background("race", _WORKERS, remembered=_REMEMBERED, lasting=(Exception,))

    def look(self, racers: Sequence[Racer], given: Given, patience: float = 0.0) -> Sight:
        """What the files answer, if it is known within some seconds; the race goes on otherwise.

        Asked again about the same example the same outcome is given, until somebody calls `again`.
        """
        work = partial(race, self._driver, list(racers), given)
        try:
            return Sight(self._races.ask(_identity(racers, given), work, patience))
        except ParetoscopeError as error:
            return Sight(problem=error.message)

    def again(self, racers: Sequence[Racer], given: Given) -> None:
        """Forgets an outcome, so that the next look lets the files race anew."""
        self._races.forget(_identity(racers, given))

    def close(self) -> None:
        """Waits until nothing is at work; the executor must have been closed before."""
        self._races.close()


def _identity(racers: Sequence[Racer], given: Given) -> str:
    return digest_of({"racers": [racer.artifact_key for racer in racers], "given": given.model_dump()})
