"""Files that are ready at about the same time are timed together, in the same processes as their original.

Processes that time start LiteRT, load the original and run it as often as the file: shared by many files, each takes a
third as long. So a run whose file is ready waits for others on the same model and data, if such are under way. It gives
its place among the runs that work to the next one meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Any, NamedTuple

from optimizers import registry
from optimizers.engine.evaluation import timed_key
from optimizers.engine.executor import Executor
from optimizers.engine.locks import Locks
from optimizers.engine.plan import scope_of
from optimizers.engine.store import Store
from optimizers.engine.worker import OnEvent, Task
from optimizers.errors import Cancelled, WorkerDied, from_dict
from optimizers.history.database import History
from optimizers.records import Artifact, Measurement, Run
from optimizers.settings import Settings

MOST_FILES = 12
"""That are timed together."""
PATIENCE = 20.0
"""Seconds that a file waits for others."""
MOST_BYTES = 256 << 20
"""Of files that are timed together: a process has all of them in memory."""
_TICK = 0.1
_STILL = 0.4
"""Seconds for which nobody else must have been under way where runs are queued that could be."""
_WAITING = f"Waiting up to {PATIENCE:.0f} seconds for other files, to be timed together with them."


class Bench(NamedTuple):
    """What runs have in common whose files can be timed together."""

    model: str
    dataset: str
    scope: str


def bench_of(run: Run) -> Bench:
    """Runs of the same bench have their files timed together."""
    return Bench(run.model.digest, run.dataset.uri, scope_of(run.model, run.dataset))


@dataclass
class Ask:
    """Files that one run wants to have timed, and what becomes of that.

    Attributes:
        queued: Whether runs wait to begin that may want the same.
        anew: Whether files that are timed already are timed once more.
    """

    files: tuple[Artifact, ...]
    baseline: Artifact
    summary: dict[str, Any]
    log: str
    on_event: OnEvent
    queued: Callable[[], bool] = lambda: False
    anew: bool = False
    since: float = field(default_factory=time.monotonic)
    gone: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    problem: Exception | None = None


class TimingDesk:
    """Times files for runs, which wait in their own threads."""

    def __init__(self, settings: Settings, history: History, store: Store, executor: Executor, locks: Locks) -> None:
        self._settings, self._history, self._store = settings, history, store
        self._executor, self._locks = executor, locks
        self._lock = threading.Lock()
        self._underway: Counter[Bench] = Counter()
        self._asks: dict[Bench, list[Ask]] = {}

    @contextmanager
    def underway(self, bench: Bench) -> Iterator[None]:
        """Lets others know that a run may want to have a file timed on this bench."""
        with self._lock:
            self._underway[bench] += 1
        try:
            yield
        finally:
            with self._lock:
                self._underway[bench] -= 1

    def time(self, bench: Bench, ask: Ask, check: Callable[[], None]) -> None:
        """Has files timed that are not; blocks. ``check`` is called many times a second and may raise.

        Raises:
            NotApplicable: LiteRT cannot run one of them.
            ParetoscopeError: What `Executor.run` raises.
        """
        if not ask.anew and not self._missing(ask.files, ask.baseline, bench):
            return
        with self._lock:
            served = bench in self._asks
            self._asks.setdefault(bench, []).append(ask)
        if not served:
            threading.Thread(target=self._serve, args=(bench,), daemon=True, name="timing").start()
        try:
            while not ask.ended.wait(_TICK):
                check()
        except BaseException:
            ask.gone = True
            raise
        if ask.problem is not None:
            raise ask.problem

    # --------------------------------------------------------------------------------------------------------------

    def _serve(self, bench: Bench) -> None:
        """Until nobody asks any more."""
        try:
            while together := self._gathered(bench):
                self._settle(bench, together)
        except Exception as problem:  # such as a full disk; nobody must wait for ever
            with self._lock:
                left = self._asks.pop(bench, [])
            for ask in left:
                ask.problem = problem
                ask.ended.set()

    def _gathered(self, bench: Bench) -> list[Ask]:
        """The next that are timed together, when there are enough of them or nobody else is to be expected."""
        still = told = 0.0
        while True:
            now = time.monotonic()
            with self._lock:
                asks = [ask for ask in self._asks[bench] if not ask.gone]
                others = self._underway[bench] > len(asks)
                self._asks[bench] = asks
                if not asks:
                    del self._asks[bench]
                    return []
                still = now if others else still or now
                quiet = not others and (now - still >= _STILL or not any(ask.queued() for ask in asks))
                chosen = asks[: fitting(sum(file.size_bytes for file in ask.files) for ask in asks)]
                if quiet or len(chosen) < len(asks) or len(asks) >= MOST_FILES or now - asks[0].since > PATIENCE:
                    self._asks[bench] = [ask for ask in asks if ask not in chosen]
                    return chosen
            if now - told > 1:
                told = now
                for ask in asks:
                    ask.on_event({"type": "waiting", "why": _WAITING})
            time.sleep(_TICK)

    def _settle(self, bench: Bench, asks: Sequence[Ask]) -> None:
        """Lets everybody know how it ended."""
        try:
            self._have_timed(bench, asks)
        except WorkerDied as problem:
            if len(asks) > 1:  # the others need not suffer from one of them
                for ask in asks:
                    self._settle(bench, [ask])
                return
            asks[0].problem = problem
        except Exception as problem:
            for ask in asks:
                ask.problem = problem
        for ask in asks:
            ask.ended.set()

    def _have_timed(self, bench: Bench, asks: Sequence[Ask]) -> None:
        baseline = asks[0].baseline
        wanted = {file.digest: file for ask in asks for file in ask.files}
        anew = {file.digest for ask in asks if ask.anew for file in ask.files}

        def cancelled() -> bool:
            return all(ask.gone for ask in asks)

        def check() -> None:
            if cancelled():
                raise Cancelled("The run was cancelled.")

        def told(event: dict[str, Any]) -> None:
            for ask in asks:
                if not ask.gone:
                    ask.on_event(event)

        def waits() -> None:
            told({"type": "waiting", "why": "Another run has the same file timed; its result will be shared."})

        with ExitStack() as locks:
            missing = self._missing(wanted.values(), baseline, bench, anew)
            for digest in sorted(file.digest for file in missing):  # in one order everywhere, so that nobody is stuck
                locks.enter_context(self._locks.exclusive(f"time-{digest}", check, waits))
            missing = self._missing(missing, baseline, bench, anew)
            if not missing:
                return
            threads = self._settings.threads
            params = {
                "files": [
                    {"artifact": file.key, "timing": timed_key(file.digest, baseline.digest, bench.scope, threads)}
                    for file in missing
                ],
                "baseline": baseline.key,
                "dataset": bench.dataset,
                "summary": asks[0].summary,
                "threads": threads,
                "seconds": self._settings.timing_seconds,
                "scope": bench.scope,
            }
            task = Task("optimizers.engine.tasks:time_latency", params, "light", "alone", asks[0].log)
            found = self._executor.run(task, told, cancelled)
            for file, one in zip(missing, found, strict=True):
                measured = (Measurement.model_validate(m) for m in one.get("measurements", ()))
                self._history.record(measured, anew=file.digest in anew)
                for ask in asks:
                    if "error" in one and file in ask.files:
                        ask.problem = from_dict(one["error"])

    def _missing(
        self, files: Iterable[Artifact], baseline: Artifact, bench: Bench, anew: Collection[str] = ()
    ) -> list[Artifact]:
        """Those of which there are not all times, by the present versions of metrics, of a machine that is there.

        Digests in ``anew`` are of files that are timed whatever there is.
        """
        threads, there = self._settings.threads, self._executor.devices()
        current = {m.name: m.version for m in registry.metrics().values() if m.needs == "timing"}

        def known(file: Artifact) -> bool:
            if file.digest in anew:
                return False
            if self._store.get(timed_key(file.digest, baseline.digest, bench.scope, threads)) is None:
                return False
            return any(
                current.get(m.metric) == m.version and m.threads == threads and m.device in there
                for m in self._history.measurements([file.digest], scopes=[bench.scope])
            )

        return [file for file in files if not known(file)]


def fitting(sizes: Iterable[int]) -> int:
    """How many of the first of these may be timed together, by their sizes in bytes; one at least."""
    totals = accumulate(islice(sizes, MOST_FILES))
    return max(1, sum(total <= MOST_BYTES for total in totals))
