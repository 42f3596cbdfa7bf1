"""The queue of runs. Everything it knows is on disk, so closing a page or losing the app loses nothing."""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from optimizers import uploads
from optimizers.engine import origins, progress
from optimizers.engine.analysing import AnalysisDesk
from optimizers.engine.background import Background
from optimizers.engine.cluster import executor_of
from optimizers.engine.driver import Driver
from optimizers.engine.executor import Executor
from optimizers.engine.locks import Claim
from optimizers.engine.plan import scope_of
from optimizers.engine.progress import Progress
from optimizers.engine.racing import RaceDesk
from optimizers.engine.retiming import RetimingDesk
from optimizers.engine.timing import MOST_FILES, bench_of
from optimizers.errors import (
    Cancelled,
    NotApplicable,
    ParetoscopeError,
    ReadingStopped,
    Unreachable,
    UserError,
    WorkFailed,
)
from optimizers.forecast import Forecast
from optimizers.grid import apart, trials
from optimizers.history.database import UNFINISHED, History, away
from optimizers.recipe import Recipe, check
from optimizers.records import Failure, Run, now
from optimizers.search.desk import SearchDesk
from optimizers.settings import Settings

_log = logging.getLogger("paretoscope.runs")
_FORESEEN = 200
"""Forecasts that are kept in memory."""
_READERS, _READ = 32, 200
"""Threads that wait for what pages have read, so many that who asks for what is known does not wait behind them; and
how many may be asked for at the same time."""
_PATIENCE = 0.3
"""Seconds between two looks at runs that another process drives."""


_SECONDS_BETWEEN_TRIES = 15.0
"""Pause before a run goes on that was interrupted because something did not answer."""


@dataclass(frozen=True)
class Foresight:
    """What is known about a run that nobody has asked for yet: a forecast, a problem in words, or neither so far.

    ``impossible`` tells that the run would fail for the same reason.
    """

    forecast: Forecast | None = None
    problem: str = ""
    impossible: bool = False

    @property
    def pending(self) -> bool:
        return self.forecast is None and not self.problem


class JobQueue:
    """Accepts runs, drives as many at a time as the settings allow, and tells how they are.

    Args:
        settings: Where things are kept and how many runs work at the same time.
        executor: Where tasks are computed; local processes unless given.
        resume: Continue runs that an earlier process left unfinished.
        visited: There are pages whose visitors wait, see `optimizers.engine.executor.LocalExecutor`.
    """

    def __init__(
        self, settings: Settings, executor: Executor | None = None, *, resume: bool = True, visited: bool = False
    ) -> None:
        self.settings = settings
        self.history = History(settings.history_url)
        self.driver = Driver(settings, self.history, executor or executor_of(settings, visited=visited))
        self.store = self.driver.store
        self.locks = self.driver.locks
        self._threads = ThreadPoolExecutor(settings.workers + MOST_FILES, thread_name_prefix="run")
        self._places = threading.Semaphore(settings.workers)
        self._queued = 0
        self._futures: dict[str, Future[None]] = {}
        self._forecasts = Background("forecast", 1, remembered=_FORESEEN, lasting=(WorkFailed, ReadingStopped))
        self.readings = Background("reading", _READERS, remembered=_READ)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.analyses = AnalysisDesk(self.driver, self._closing.is_set)
        self.races = RaceDesk(self.driver)
        self.retiming = RetimingDesk(self.driver, self._closing.is_set)
        self.searches = SearchDesk(self, self._closing)
        atexit.register(self.close)
        if resume:
            self.store.sweep()
            uploads.expire(settings)
            self.history.sweep()
            self.locks.sweep()
            progress.sweep(self.settings.progress)
            unfinished = [run.id for run in reversed(self.history.runs(states=UNFINISHED))]
            if unfinished:
                _log.info("%d unfinished runs continue", len(unfinished))
            self._enqueue(unfinished)
            self.searches.go_on()
        self._adopting: threading.Thread | None = None
        if resume and self.locks.shared:
            self._adopting = threading.Thread(target=self._adopt, daemon=True, name="adopt")
            self._adopting.start()

    # asking for work ----------------------------------------------------------------------------------------------

    def submit(
        self,
        model: str,
        dataset: str,
        recipes: Sequence[Recipe],
        *,
        seed: int | Sequence[int] = 0,
        study: str = "",
        timed: bool = True,
    ) -> list[Run]:
        """Queues one run per recipe and returns at once; those that share a step do not begin at the same time.

        Args:
            model, dataset: URIs such as ``sample:digits_cnn``, or paths.
            recipes: What to do; each ends in a deployable file, by a float32 conversion where it names none.
            seed: For everything random in the runs. With several there is one run per seed and recipe, and one alone
                of a recipe in which nothing is random.
            study: Id of the search that asks; its trials are measured on the validation part.
            timed: Whether the files are timed as well.

        Raises:
            UserError: A URI or a recipe makes no sense; nothing is queued then.
        """
        for recipe in recipes:
            check(recipe)
        _, model_ref = origins.resolve_model(model)
        dataset_ref = origins.resolve_dataset(dataset)
        planned = trials(recipes, [seed] if isinstance(seed, int) else seed)
        runs = [
            Run(
                id=secrets.token_urlsafe(12).replace("-", "x").replace("_", "y"),
                scope=scope_of(model_ref, dataset_ref),
                model=model_ref,
                dataset=dataset_ref,
                recipe=recipe.text,
                steps=tuple(step.record() for step in recipe.steps),
                seed=chance,
                state="queued",
                part="validation" if study else "test",
                study=study,
                timed=timed,
            )
            for recipe, chance in planned
        ]
        self.history.add(runs)
        self._enqueue(runs[place].id for place in apart(planned))
        return runs

    def proceed(self, run_ids: Iterable[str]) -> None:
        """Goes on with unfinished runs that an earlier process left."""
        self._enqueue(run_ids)

    def cancel(self, run_id: str) -> None:
        """Stops a run within a second, whichever process drives it. A run that has ended stays as it is."""
        self.locks.raise_flag(f"run-{run_id}")
        claim = self.locks.claim(f"run-{run_id}")
        if claim is not None:
            try:
                self.history.finish(run_id, "cancelled")
                self._forget(run_id)
            finally:
                claim.release()

    def retry(self, run_id: str) -> Run:
        """Queues a failed or cancelled run again; finished stages are not computed again."""
        self.locks.lower_flag(f"run-{run_id}")
        changes = {"state": "queued", "failure": None, "started_at": None, "finished_at": None}
        run = self.history.update(run_id, only_from=("failed", "cancelled"), **changes)
        if run is None:
            return self.history.run(run_id)
        self._enqueue([run_id])
        return run

    # looking ahead ------------------------------------------------------------------------------------------------

    def foresee(self, model: str, dataset: str, recipe: Recipe) -> Foresight:
        """What a recipe would do, without waiting for it: asked again a moment later, the answer is there."""
        key = (model, dataset, recipe.text)
        try:
            forecast = self._forecasts.ask(
                key, partial(self.driver.forecast, model, dataset, recipe, self._closing.is_set)
            )
        except Exception as problem:
            words = problem.message if isinstance(problem, ParetoscopeError) else "No forecast is possible."
            return Foresight(problem=words, impossible=isinstance(problem, NotApplicable))
        return Foresight(forecast)

    # knowing how it is --------------------------------------------------------------------------------------------

    def progress(self, run_id: str) -> Progress | None:
        """How far a running run is; None before it started and after it ended."""
        return progress.read(self.settings.progress, run_id)

    def log(self, run_id: str, characters: int = 20_000) -> str:
        """The end of the run's log; empty when there is none."""
        path = self.settings.logs / f"{self.history.run(run_id).id}.log"
        if not path.exists():
            return ""
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - characters))
            return stream.read().decode("utf-8", errors="replace")

    def wait(self, run_ids: Iterable[str], seconds: float | None = None) -> None:
        """Blocks until the runs have ended, whichever process drives them, or until the time is over.

        A run whose driver has died meanwhile is continued here.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        pending = list(run_ids)
        while pending and not self._closing.is_set():
            with self._lock:
                futures = [self._futures[run_id] for run_id in pending if run_id in self._futures]
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            wait(futures, timeout=left)
            if deadline is not None and time.monotonic() >= deadline:
                return
            pending = [run.id for run in self.history.runs(pending, states=UNFINISHED)]
            if pending and all(future.done() for future in futures):
                time.sleep(_PATIENCE if deadline is None else min(_PATIENCE, max(0.0, deadline - time.monotonic())))
                self._enqueue(pending)

    @property
    def closing(self) -> bool:
        """Whether no more work is begun here."""
        return self._closing.is_set()

    def close(self) -> None:
        """Ends all work now. Unfinished runs continue when a queue with the same home is opened again."""
        if self._closing.is_set():
            return
        self._closing.set()
        atexit.unregister(self.close)
        self.driver.executor.close()
        self.searches.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._forecasts.close()
        self.readings.close()
        self.analyses.close()
        self.races.close()
        self.retiming.close()
        if self._adopting is not None:
            self._adopting.join()
        self.store.sweep()
        self.locks.close()
        self.history.close()

    # driving ------------------------------------------------------------------------------------------------------

    def _enqueue(self, run_ids: Iterable[str]) -> None:
        with self._lock:
            for run_id in run_ids:
                if self._closing.is_set():
                    return  # it stays queued, and continues at the next start
                self._queued += 1
                self._futures[run_id] = self._threads.submit(self._drive, run_id)

    def _drive(self, run_id: str) -> None:
        """With as many others as the settings allow, and some more that wait to be timed."""
        with ExitStack() as place, ExitStack() as queued:
            queued.callback(self._begun)
            self._places.acquire()
            place.callback(self._places.release)
            if not self._closing.is_set():
                self._drive_here(run_id, place.close, queued.close)

    def _begun(self) -> None:
        with self._lock:
            self._queued -= 1

    def _drive_here(self, run_id: str, aside: Callable[[], None], begun: Callable[[], None]) -> None:
        claim = self.locks.claim(f"run-{run_id}")
        if claim is None:
            return  # another process drives it
        try:
            run = self.history.update(run_id, only_from=UNFINISHED, state="running", started_at=now())
            if run is not None:
                started = time.monotonic()
                _tell(run, "started", model=run.model.name, recipe=run.recipe)
                if run.stages:  # it goes on, perhaps because its results had to be taken away
                    self.driver.store.refresh()
                with self.driver.timing.underway(bench_of(run)) if run.timed else nullcontext():
                    begun()
                    self._finish(run, claim, aside)
                ended = self.history.run(run_id)
                level = logging.WARNING if ended.state == "failed" else logging.INFO
                reason = {"reason": ended.failure.message} if ended.failure else {}
                _tell(ended, ended.state, level, seconds=round(time.monotonic() - started, 3), **reason)
        except sa.exc.DBAPIError as problem:
            if not away(problem):
                raise
            _log.warning("The history does not answer; run %s goes on when it is back", run_id)
            self._later(run_id)
        finally:
            claim.release()

    def _finish(self, run: Run, claim: Claim, aside: Callable[[], None]) -> None:
        cancelled = partial(self._cancelled, claim, run.id)
        try:
            result = self.driver.drive(run, cancelled, self.settings.progress, aside, lambda: self._queued > 0)
        except Cancelled:
            if self._closing.is_set():
                self.history.update(run.id, only_from=UNFINISHED, state="interrupted")
                return
            if claim.lost:
                return  # another host has taken the run over, or soon will
            self.history.finish(run.id, "cancelled")
        except Unreachable as reason:
            _tell(run, "interrupted", logging.WARNING, reason=reason.message)
            self.history.update(run.id, only_from=UNFINISHED, state="interrupted")
            self._later(run.id)
            return
        except ParetoscopeError as error:
            self.history.finish(run.id, "failed", self._failure(run, error))
        except Exception as problem:
            if away(problem):
                raise
            message = f"The run failed unexpectedly ({type(problem).__name__}: {problem})."
            self.history.finish(run.id, "failed", Failure(code="unexpected", message=message, stage=self._stage(run)))
            _tell(run, "failed", logging.ERROR, reason=message)
            raise
        else:
            self.history.finish(run.id, "done", **result)
        self._forget(run.id)

    def _adopt(self) -> None:
        """Takes over runs that wait, or whose drivers have gone, on whatever host they were asked for."""
        while not self._closing.wait(_SECONDS_BETWEEN_TRIES):
            try:
                found = [run.id for run in reversed(self.history.runs(states=UNFINISHED))]
            except sa.exc.DBAPIError:
                continue
            with self._lock:
                idle = [i for i in found if i not in self._futures or self._futures[i].done()]
            self._enqueue(idle)

    def _later(self, run_id: str) -> None:
        """Tries an interrupted run again in a while, unless the app has ended by then."""

        def wait() -> None:
            if not self._closing.wait(_SECONDS_BETWEEN_TRIES):
                self._enqueue([run_id])

        threading.Thread(target=wait, daemon=True, name="again").start()

    def _failure(self, run: Run, error: ParetoscopeError) -> Failure:
        stage = "" if isinstance(error, UserError) else self._stage(run)
        return Failure(code=error.code, message=error.message, stage=stage, detail=error.detail)

    def _stage(self, run: Run) -> str:
        found = self.progress(run.id)
        return found.title if found else ""

    def _cancelled(self, claim: Claim, run_id: str) -> bool:
        return self._closing.is_set() or claim.lost or self.locks.flag(f"run-{run_id}")

    def _forget(self, run_id: str) -> None:
        progress.remove(self.settings.progress, run_id)
        self.locks.lower_flag(f"run-{run_id}")


def _tell(run: Run, what: str, level: int = logging.INFO, **more: Any) -> None:
    why = f": {more['reason']}" if "reason" in more else ""
    _log.log(level, "Run %s%s", what, why, extra={"run": run.id, "state": run.state, **more})
