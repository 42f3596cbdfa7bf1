"""Times the files of finished runs once more, in turn with their original; what was measured before is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from optimizers.engine import progress
from optimizers.engine.background import Background
from optimizers.engine.progress import Progress, ProgressWriter
from optimizers.engine.timing import Ask, bench_of, fitting
from optimizers.errors import Cancelled, NotApplicable, ParetoscopeError
from optimizers.records import Artifact, Run, digest_of

if TYPE_CHECKING:
    from optimizers.engine.driver import Driver

_REMEMBERED = 50
_TITLE = "Timing the files again"


@dataclass(frozen=True)
class Retimed:
    """How many ``files`` were timed, originals counted, and the runs whose files are ``gone`` from the store."""

    files: int
    gone: tuple[Run, ...]


def retime(driver: Driver, runs: Sequence[Run], cancelled: Callable[[], bool] = lambda: False) -> Retimed:
    """Times the files of runs, and their originals, anew. Those of one model are timed in the same processes.

    Args:
        driver: Knows the files.
        runs: Finished ones.
        cancelled: Asked many times a second. What was timed until then stays.

    Raises:
        NotApplicable: None of the runs has a file that is still in the store, or LiteRT cannot run one of them.
        Cancelled: ``cancelled`` became true.
    """
    groups, name, folder = list(_groups(driver, runs)), name_of(runs), driver.settings.progress
    if not groups:
        raise NotApplicable("None of these runs has a file that could be timed; run their recipes again.")
    writer = ProgressWriter(folder, name, len(groups))

    def check() -> None:
        if cancelled():
            raise Cancelled("Timing was cancelled.")

    try:
        for number, (run, files) in enumerate(groups, start=1):
            writer.stage(number, _TITLE)
            _, summary = driver.inspect_model(run.model.uri, cancelled)
            log = str(driver.settings.logs / f"{name}.log")
            ask = Ask(files, files[0], summary.model_dump(mode="json"), log, writer.event, anew=True)
            driver.timing.time(bench_of(run), ask, check)
    finally:
        progress.remove(folder, name)
    timed = {file.digest for _, files in groups for file in files}
    return Retimed(len(timed), tuple(run for run in runs if run.artifact_digest not in timed))


def name_of(runs: Iterable[Run]) -> str:
    """What the work on these files is called, in progress and logs."""
    return f"timing-{digest_of(sorted({run.artifact_digest for run in runs}))[:32]}"


def _groups(driver: Driver, runs: Iterable[Run]) -> Iterator[tuple[Run, tuple[Artifact, ...]]]:
    """Files that are timed together, their original first: as many as may be in memory, and one run that has them."""
    found: dict[str, tuple[Run, Artifact, dict[str, Artifact]]] = {}
    for run in runs:
        baseline, file = driver.store.get(run.baseline_key), driver.store.get(run.artifact_key)
        if baseline is not None and file is not None:
            place = digest_of([bench_of(run), baseline.digest])
            found.setdefault(place, (run, baseline, {}))[2][file.digest] = file
    for run, baseline, files in found.values():
        files.pop(baseline.digest, None)
        left = list(files.values())
        while True:
            count = fitting(file.size_bytes for file in left)
            yield run, (baseline, *left[:count])
            left = left[count:]
            if not left:
                break


@dataclass(frozen=True)
class Sight:
    """How far it is while it is ``pending``; then a problem in words, or what was timed."""

    pending: bool = False
    progress: Progress | None = None
    problem: str = ""
    retimed: Retimed | None = None
    cancelled: bool = False


class RetimingDesk:
    """Answers pages without blocking. Safe to use from several threads."""

    def __init__(self, driver: Driver, closing: Callable[[], bool]) -> None:
        self._driver, self._closing = driver, closing
        self._work = Background("retiming", 1, remembered=_REMEMBERED, lasting=(Exception,))
        self._cancelled: set[str] = set()

    def start(self, runs: Sequence[Run]) -> None:
        """Begins, unless it is under way already."""
        name = name_of(runs)
        self._work.forget(name)
        self._cancelled.discard(name)
        with suppress(ParetoscopeError):  # `look` tells
            self._ask(runs)

    def look(self, runs: Sequence[Run]) -> Sight | None:
        """How far it is, or how it ended. None where nobody has started it."""
        if name_of(runs) not in self._work:
            return None
        try:
            found = self._ask(runs)
        except Cancelled:
            return Sight(cancelled=True)
        except ParetoscopeError as problem:
            return Sight(problem=problem.message)
        if found is not None:
            return Sight(retimed=found)
        return Sight(True, progress.read(self._driver.settings.progress, name_of(runs)))

    def cancel(self, runs: Sequence[Run]) -> None:
        """Stops it within a second."""
        self._cancelled.add(name_of(runs))

    def close(self) -> None:
        """Waits until nothing is at work; the executor must have been closed before."""
        self._work.close()

    def _ask(self, runs: Sequence[Run]) -> Retimed | None:
        name = name_of(runs)

        def stopped() -> bool:
            return self._closing() or name in self._cancelled

        return self._work.ask(name, partial(retime, self._driver, tuple(runs), stopped))
