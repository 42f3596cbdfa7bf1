"""Times LiteRT files in turn, so that what slows the machine down slows all of them, until their ratios are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from optimizers.errors import NotApplicable
from optimizers.litert import strain
from optimizers.litert.others import Others
from optimizers.litert.ratio import FEWEST, PRECISION, Ratio, paired_ratio
from optimizers.litert.rounds import Resident, Rounds
from optimizers.litert.stopwatch import Stopwatch
from optimizers.litert.strain import Calm

FIRST_LOOK = 12
"""Processes before the interval is looked at for the first time."""
_GROWTH = 1.5
_TURNS_SECONDS = 0.02
"""Of each file in each process. Processes differ more than runs in one do: with 75 ms instead, an interval is as wide
after as many processes, which take three times as long."""
_STRETCH = 4.0
"""Times as long for files so slow that they would hardly run at all."""
FEWEST_QUIET = 6
"""Undisturbed processes that it takes for the others not to count."""
_PATIENCE = 2.0
"""Times as long as usual for which such processes are waited for."""
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
        others: Cores that others kept busy meanwhile, on average; None where that is not known.
        disturbed: Share of the processes in which somebody else was at work on the same core; they are left out. It is
            1 where too few are left: then all of them count.
    """

    times_ms: np.ndarray
    baseline_times_ms: np.ndarray
    instances: np.ndarray
    ratio: Ratio
    memory: tuple[Resident, ...] = ()
    others: float | None = None
    disturbed: float = 0.0

    @property
    def precise(self) -> bool:
        """Whether the interval of the ratio became narrow enough before time was up, on an undisturbed machine."""
        return self.ratio.width < PRECISION and self.disturbed < 1


class Take(Protocol):
    """Gives the times of some files, by their numbers, and of the baseline after them, from one more process.

    ``calm`` is the highest strain of an undisturbed machine.
    """

    def __call__(
        self, numbers: Sequence[int], /, *, seconds: float, backwards: bool, calm: float
    ) -> list[np.ndarray]: ...


def time_in_turn(
    files: Sequence[Path],
    baseline: Path,
    *,
    threads: int = 1,
    batch: int = 1,
    example: np.ndarray | None = None,
    seconds: float = 10.0,
    progress: Callable[[int, int], None] = lambda step, of: None,
) -> list[Timing]:
    """Times files in turn with one baseline, all in one fresh process after the other; one timing per file.

    A *run* is one ``invoke()``, inputs already set. Where that takes less than 50 µs, a run is the mean of as many
    invocations in a row as fill 50 µs, so that the clock's own cost stays below a percent; medians then describe such
    means, and the tail is smoother than that of single invocations. Each file has its own number. A file whose ratio
    is known is left out of further processes.

    Args:
        files, baseline: ``.tflite`` files; the baseline among the files is allowed and shows the noise.
        threads: CPU threads of all interpreters.
        batch: Examples in one run.
        example: What goes in, shape (1, *input_shape) or with one field per input, real values; random values in range
            where there is none.
        seconds: Time after which no further process starts, for one file; several have as much longer as each process
            takes longer with them. At least four processes are used even if that takes longer, and it may be twice as
            long while the machine is disturbed.
        progress: Told how many of how many seconds are over, in hundredths. What that takes is not counted.

    Raises:
        NotApplicable: LiteRT cannot run one of the files, or not with that batch.
    """
    watch = Stopwatch()
    tell = watch.stopped(progress)
    limit, calm = seconds * (len(files) + 1) / 2, strain.of_this_machine()
    with Rounds([*files, baseline], example) as rounds:
        others = Others(rounds.process)

        def take(numbers: Sequence[int], /, **how: Any) -> list[np.ndarray]:
            tell(min(100, int(100 * watch.seconds() / limit)), 100)
            chosen = (*numbers, len(files))
            with others.watched():
                return rounds.round(threads=threads, batch=batch, files=chosen, stretch=_STRETCH, **how)

        found = until_precise(take, seconds, watch.seconds, files=len(files), strain=lambda: rounds.strain, calm=calm)
        busy = others.cores

        def remembered(number: int) -> Resident:
            tell(100, 100)
            return rounds.memory(number, threads=threads, batch=batch)

        return [replace(one, memory=_memory(remembered, i), others=busy) for i, one in enumerate(found)]


def _memory(look: Callable[[int], Resident], file: int) -> tuple[Resident, ...]:
    try:
        return tuple(look(file) for _ in range(_MEMORY_LOOKS))
    except NotApplicable:
        return ()


class _Process(NamedTuple):
    """What one process gave for one file: its times, the baseline's, and how strained the machine was."""

    times: np.ndarray
    baseline: np.ndarray
    strain: float


def until_precise(
    take: Take,
    seconds: float,
    clock: Callable[[], float],
    *,
    files: int = 1,
    strain: Callable[[], float] = lambda: 1.0,
    calm: Calm | None = None,
) -> list[Timing]:
    """Takes more until every file's ratio is known to within 3%, or time is up; one timing per file.

    The interval is looked at after 12 processes and then whenever there are half as many again, not after each: who
    looks all the time stops when chance has made it narrow. The first file comes first in every other process.
    ``strain`` tells that of the last process, and ``calm`` learns it.
    """
    calm = calm or Calm()
    turns = min(_TURNS_SECONDS, seconds / FIRST_LOOK / 2)
    started, most = clock(), seconds * (files + 1) / 2
    taken: list[list[_Process]] = [[] for _ in range(files)]
    strains: list[float] = []
    found: dict[int, Timing] = {}
    left, next_look = list(range(files)), FIRST_LOOK

    def goes_on() -> bool:
        spent = clock() - started
        if len(strains) < FEWEST or spent < most:
            return True
        limit = calm.limit(strains)
        return spent < _PATIENCE * most and sum(one <= limit for one in strains) < FEWEST_QUIET

    while left and goes_on():
        *own, baseline = take(
            left, seconds=turns * (len(left) + 1), backwards=len(strains) % 2 == 1, calm=calm.limit(strains)
        )
        strains.append(strain())
        for number, times in zip(left, own, strict=True):
            taken[number].append(_Process(times, baseline, strains[-1]))
        if len(strains) >= next_look:
            found |= {number: _timing(taken[number], calm.limit(strains)) for number in left}
            left = [number for number in left if not found[number].precise]
            next_look = ceil(next_look * _GROWTH)
    calm.learn(strains)
    return [_timing(taken[n], calm.limit()) if n in left else found[n] for n in range(files)]


def _timing(taken: Sequence[_Process], limit: float) -> Timing:
    quiet = [process for process in taken if process.strain <= limit]
    counted = quiet if len(quiet) >= min(FEWEST_QUIET, len(taken)) else taken
    times, baseline_times = (np.concatenate([process[which] for process in counted]) for which in (0, 1))
    instances = np.repeat(np.arange(len(counted)), [len(process.times) for process in counted])
    ratio = paired_ratio(times, baseline_times, instances)
    disturbed = 1 - len(quiet) / len(taken) if counted is quiet else 1.0
    return Timing(times, baseline_times, instances, ratio, disturbed=disturbed)
