"""Times two LiteRT files in turn, so that what slows the machine down slows both, until their ratio is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Protocol

import numpy as np

from optimizers.errors import NotApplicable
from optimizers.litert.ratio import FEWEST, PRECISION, Ratio, paired_ratio
from optimizers.litert.rounds import Resident, Rounds

FIRST_LOOK = 10
"""Processes before the interval is looked at for the first time."""
_GROWTH = 1.5
_ROUND_SECONDS = 0.15
_MEMORY_LOOKS = 6
"""The lowest and the highest of six bound the median in 97 of 100 cases."""


@dataclass(frozen=True)
class Timing:
    """Runs of a file and of its baseline.

    Attributes:
        times_ms, baseline_times_ms: Milliseconds per run in order of measurement, float64, shape (runs,).
        instances: The process that each run was taken in, int64, shape (runs,).
        ratio: How many times faster than the baseline.
        memory: What some processes needed that ran the file once; empty where the system does not tell.
    """

    times_ms: np.ndarray
    baseline_times_ms: np.ndarray
    instances: np.ndarray
    ratio: Ratio
    memory: tuple[Resident, ...] = ()

    @property
    def precise(self) -> bool:
        """Whether the interval of the ratio became narrow enough before time was up."""
        return self.ratio.width < PRECISION


class Take(Protocol):
    """Gives the times of a file and of its baseline from one more process."""

    def __call__(self, *, seconds: float, backwards: bool) -> list[np.ndarray]: ...


def time_interleaved(
    file: Path,
    baseline: Path,
    *,
    threads: int = 1,
    batch: int = 1,
    example: np.ndarray | None = None,
    seconds: float = 10.0,
    progress: Callable[[int, int], None] = lambda step, of: None,
) -> Timing:
    """Times a file and its baseline in turn in one fresh process after the other.

    A *run* is one ``invoke()``, inputs already set. Where that takes less than 50 µs, a run is the mean of as many
    invocations in a row as fill 50 µs, so that the clock's own cost stays below a percent; medians then describe such
    means, and the tail is smoother than that of single invocations. Each file has its own number.

    Args:
        file, baseline: ``.tflite`` files; the same file twice is allowed and shows the noise.
        threads: CPU threads of both interpreters.
        batch: Examples in one run.
        example: What goes in, shape (1, *input_shape) or with one field per input, real values; random values in range
            where there is none.
        seconds: Time after which no further process starts; at least four are used even if that takes longer.
        progress: Told how many of how many seconds are over, in hundredths.

    Raises:
        NotApplicable: LiteRT cannot run one of the files, or not with that batch.
    """
    limit = seconds
    with Rounds([file, baseline], example) as rounds:
        started = monotonic()

        def take(*, seconds: float, backwards: bool) -> list[np.ndarray]:
            progress(min(100, int(100 * (monotonic() - started) / limit)), 100)
            return rounds.round(threads=threads, batch=batch, seconds=seconds, backwards=backwards)

        return replace(until_precise(take, seconds), memory=_memory(rounds, threads, batch))


def _memory(rounds: Rounds, threads: int, batch: int) -> tuple[Resident, ...]:
    try:
        return tuple(rounds.memory(0, threads=threads, batch=batch) for _ in range(_MEMORY_LOOKS))
    except NotApplicable:
        return ()


def until_precise(take: Take, seconds: float, clock: Callable[[], float] = monotonic) -> Timing:
    """Takes more until the ratio is known to within 3%, or time is up.

    The interval is looked at after 10 processes and then whenever there are half as many again, not after each: who
    looks all the time stops when chance has made it narrow. The first file comes first in every other process.
    """
    length = min(_ROUND_SECONDS, seconds / FIRST_LOOK)
    deadline = clock() + seconds
    own: list[np.ndarray] = []
    other: list[np.ndarray] = []
    next_look = FIRST_LOOK
    while len(own) < FEWEST or clock() < deadline:
        times, baseline_times = take(seconds=length, backwards=len(own) % 2 == 1)
        own.append(times)
        other.append(baseline_times)
        if len(own) >= next_look:
            found = _timing(own, other)
            if found.precise:
                return found
            next_look = ceil(next_look * _GROWTH)
    return _timing(own, other)


def _timing(own: list[np.ndarray], other: list[np.ndarray]) -> Timing:
    times, baseline_times = np.concatenate(own), np.concatenate(other)
    instances = np.repeat(np.arange(len(own)), [len(runs) for runs in own])
    return Timing(times, baseline_times, instances, paired_ratio(times, baseline_times, instances))
