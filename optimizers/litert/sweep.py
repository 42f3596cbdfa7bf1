"""Examples per second of several LiteRT files, taken in turn, for any batch size, threads and copies of a process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optimizers.errors import NotApplicable
from optimizers.litert.ratio import FEWEST, Ratio, trimmed_interval
from optimizers.litert.rounds import Rounds
from optimizers.litert.stopwatch import Stopwatch

_ROUND_SECONDS = 0.08
_LOADED_SECONDS = 0.25
_MOST_PASSES = 40

Told = Callable[[float], None]


@dataclass(frozen=True, order=True)
class Place:
    """How a file is run: so many examples together, on so many threads, by so many copies of the process at a time."""

    batch: int
    threads: int
    copies: int = 1

    @property
    def cores(self) -> int:
        """Cores that are busy."""
        return self.threads * self.copies


@dataclass(frozen=True)
class Point:
    """What came out of one place.

    Attributes:
        rates: Examples per second of all copies together, float64, shape (passes, files); each pass is made by
            processes of its own. From the medians of their runs, so that what else the machine does now and then does
            not count.
        run_ms: Median milliseconds of one run, that is of a whole batch, shape (passes, files).
    """

    place: Place
    rates: np.ndarray
    run_ms: np.ndarray

    def core_seconds(self) -> np.ndarray:
        """Core-seconds for a million examples, shape (passes, files)."""
        return np.asarray(1e6 * self.place.cores / self.rates)


def estimate(observed: np.ndarray) -> Ratio:
    """Value and 95% interval of a positive quantity that was observed once in each pass, shape (passes,)."""
    centre, half = trimmed_interval(np.log(observed))
    value, low, high = np.exp([centre, centre - half, centre + half])
    return Ratio(float(value), float(low), float(high), len(observed))


def sweep(
    files: Sequence[Path],
    places: Sequence[Place],
    *,
    example: np.ndarray | None = None,
    seconds: float = 30.0,
    told: Told = lambda part: None,
) -> list[Point]:
    """Runs all places one after the other, there and back again, so that a drift of the machine touches all alike.

    A place that one of the files cannot run is left out.

    Args:
        files: ``.tflite`` files that are taken in turn.
        places: What is tried.
        example: As in `optimizers.litert.latency.time_in_turn`.
        seconds: Time after which no further pass starts; there are always four.
        told: Gets the share that is done. What that takes is not counted.

    Raises:
        NotApplicable: No place runs.
    """
    left = list(dict.fromkeys(places))
    taken: dict[Place, list[list[list[np.ndarray]]]] = {place: [] for place in left}
    problem = NotApplicable("There is nothing to try.")
    passes, watch = 0, Stopwatch()
    tell = watch.stopped(told)
    with _Copies(files, example, max((place.copies for place in left), default=0)) as copies:
        while left and passes < _MOST_PASSES and (passes < FEWEST or watch.seconds() < seconds):
            for done, place in enumerate(left[:: -1 if passes % 2 else 1]):
                try:
                    taken[place].append(copies.round(place, backwards=passes % 2 == 1))
                except NotApplicable as error:
                    problem = error
                    taken.pop(place)
                passes_done = passes + (done + 1) / len(left)
                tell(min(passes_done / FEWEST, max(passes_done / _MOST_PASSES, watch.seconds() / seconds), 1.0))
            left = [place for place in left if place in taken]
            passes += 1
    if not left:
        raise problem
    return [_point(place, passes_taken) for place, passes_taken in taken.items()]


class _Copies:
    """Several processes that do the same at the same time."""

    def __init__(self, files: Sequence[Path], example: np.ndarray | None, most: int) -> None:
        self._open = ExitStack()
        self._rounds = [self._open.enter_context(Rounds(files, example)) for _ in range(most)]
        self._threads = self._open.enter_context(ThreadPoolExecutor(max(1, most)))

    def __enter__(self) -> _Copies:
        return self

    def __exit__(self, *problem: object) -> None:
        self._open.close()

    def round(self, place: Place, *, backwards: bool) -> list[list[np.ndarray]]:
        """Times of each file in each copy. Raises `NotApplicable` as `Rounds.round`."""
        seconds = _LOADED_SECONDS if place.copies > 1 else _ROUND_SECONDS

        def one(rounds: Rounds) -> list[np.ndarray]:
            return rounds.round(threads=place.threads, batch=place.batch, seconds=seconds, backwards=backwards)

        return list(self._threads.map(one, self._rounds[: place.copies]))


def _point(place: Place, passes: list[list[list[np.ndarray]]]) -> Point:
    """Shapes: passes, copies, files, runs."""
    rates = [
        np.sum([[1e3 * place.batch / np.median(times) for times in files] for files in copies], axis=0)
        for copies in passes
    ]
    run_ms = [np.mean([[np.median(times) for times in files] for files in copies], axis=0) for copies in passes]
    return Point(place, np.asarray(rates), np.asarray(run_ms))
