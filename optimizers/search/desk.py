"""Starts, pauses, stops, extends and certifies searches, and tells how they are.

Commands are kept in the history, so any process may give them, whichever drives the search.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from optimizers import registry
from optimizers.engine import origins
from optimizers.engine.plan import scope_of
from optimizers.engine.worker import Task
from optimizers.errors import InvalidParameter, UnknownName
from optimizers.history.frames import comparison
from optimizers.history.searches import Searches
from optimizers.records import Run
from optimizers.search import goals
from optimizers.search.certifying import certify, keep_verdicts
from optimizers.search.goals import Best, Outcome
from optimizers.search.importance import FEWEST
from optimizers.search.records import Sampler, Study, Trial
from optimizers.search.space import Space

if TYPE_CHECKING:
    from optimizers.engine.queue import JobQueue

LEAST_SECONDS, MOST_SECONDS = 5.0, 7 * 86400.0
_PATIENCE = 0.3


@dataclass(frozen=True)
class Wish:
    """What is searched for.

    Attributes:
        objectives: Names of metrics, the one that decides among files that keep all limits first; size and the task's
            quality if empty.
        limits: Short form, as `optimizers.limits.parse` reads it.
        board: A board that files have to fit, or nothing.
        seconds: Time that may be spent.
        techniques: Names of those that may be used; all that suit the model if empty.
        most_trials: No more than these.
    """

    objectives: tuple[str, ...] = ()
    limits: str = ""
    board: str = ""
    seconds: float = 600.0
    techniques: tuple[str, ...] = ()
    sampler: Sampler = "tpe"
    seed: int = 0
    most_trials: int | None = None


@dataclass(frozen=True)
class View:
    """How a search stands.

    Attributes:
        study, trials: As they are in the history.
        outcomes: Finished trials with their figures.
        frame: Their files and the baseline, as `optimizers.history.frames.comparison` has them, on validation data.
        front: Those that no other one beats.
        best: What it would hand over now.
        certified: Runs on test data by trial.
    """

    study: Study
    trials: list[Trial]
    outcomes: list[Outcome] = field(default_factory=list)
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    front: list[Outcome] = field(default_factory=list)
    best: Best | None = None
    certified: dict[int, Run] = field(default_factory=dict)


class SearchDesk:
    """Searches of one queue. Safe to use from several threads.

    Args:
        queue: Where trials run.
        closing: Set when the app ends.
    """

    def __init__(self, queue: JobQueue, closing: threading.Event) -> None:
        self._queue, self._closing = queue, closing
        self._searches = Searches(queue.history)
        self._threads: dict[str, threading.Thread] = {}
        self._judged: set[str] = set()
        self._lock = threading.Lock()

    def start(self, model: str, dataset: str, wish: Wish) -> Study:
        """Begins a search and returns at once.

        Raises:
            UserError: Model, data, objectives, limits or techniques make no sense; nothing is begun then.
        """
        study = self.checked(model, dataset, wish)
        self._searches.add(study)
        self._drive(study.id)
        return study

    def checked(self, model: str, dataset: str, wish: Wish) -> Study:
        """The search as it would begin. Raises as `start`."""
        from optimizers.engine.driver import check_fit, targets_of

        _, model_ref = origins.resolve_model(model)
        dataset_ref = origins.resolve_dataset(dataset)
        _, summary = self._queue.driver.inspect_model(model, self._closing.is_set)
        _, data = self._queue.driver.inspect_dataset(dataset, self._closing.is_set)
        task = check_fit(summary, data, dataset_ref.name)
        if data.n_validation < 2:
            raise InvalidParameter("These data have no validation part, and a search may see no other.")
        if not LEAST_SECONDS <= wish.seconds <= MOST_SECONDS:
            raise InvalidParameter(
                f"A search takes from {LEAST_SECONDS:g} seconds to {MOST_SECONDS / 86400:g} days, "
                f"got {wish.seconds:g} seconds."
            )
        if wish.most_trials is not None and wish.most_trials < 1:
            raise InvalidParameter(f"A search has at least 1 trial, got {wish.most_trials}.")
        for name in wish.techniques:
            registry.technique(name)
        study = Study(
            id=secrets.token_urlsafe(12).replace("-", "x").replace("_", "y"),
            scope=scope_of(model_ref, dataset_ref),
            model=model_ref,
            dataset=dataset_ref,
            objectives=wish.objectives or goals.usual_objectives(task),
            limits=wish.limits,
            board=goals.board_named(wish.board).name if wish.board else "",
            techniques=wish.techniques,
            sampler=wish.sampler,
            seed=wish.seed,
            seconds=wish.seconds,
            most_trials=wish.most_trials,
        )
        goals.check_goals(study.objectives, goals.limits_of(study), task, targets_of(summary, data, dataset_ref.name))
        if not Space(summary, data, study.techniques).chains:
            raise InvalidParameter("With these techniques no recipe is possible for this model and these data.")
        return study

    def pause(self, study_id: str) -> None:
        """Starts no more trials; those under way end."""
        self._searches.update(study_id, only_from=("running",), state="paused")

    def stop(self, study_id: str) -> None:
        """Ends a search now; what is under way is stopped."""
        if self._searches.update(study_id, only_from=("running", "paused"), state="stopped"):
            self._drive(study_id)  # if nobody drives it, trials under way have to be stopped all the same

    def go_on(self, study_id: str = "", more_seconds: float = 0.0, more_trials: int = 0) -> None:
        """Continues a paused, stopped or finished search, for so many more seconds if they are given.

        Without an id all searches that were running when an earlier process ended go on.
        """
        if not study_id:
            for study in self._searches.studies(states=("running", "done")):
                if study.state == "running" or study.judging:
                    self._drive(study.id)
            return
        study = self._searches.study(study_id)
        most = study.most_trials + more_trials if study.most_trials is not None else None
        seconds = min(study.spent + more_seconds if more_seconds else study.seconds, MOST_SECONDS)
        self._searches.update(study_id, seconds=seconds, most_trials=most, state="running", problem="", ended="")
        self._drive(study_id)

    def certify(self, study_id: str, number: int) -> Run:
        """Has a trial's file measured on test data, once. Raises `UnknownName`."""
        study = self._searches.study(study_id)
        trial = next((t for t in self._searches.trials(study_id) if t.number == number and t.state == "done"), None)
        if trial is None:
            raise UnknownName(f"The search {study_id} has no finished trial {number}.")
        return certify(self._queue, study, trial)

    def study(self, study_id: str) -> Study:
        """One search. Raises `UnknownName`."""
        return self._searches.study(study_id)

    def studies(self, scopes: Sequence[str] | None = None, also: Sequence[str] = ()) -> list[Study]:
        """Searches of these scopes and of these ids, newest first; all if no scope is named."""
        return self._searches.studies(scopes=scopes, also=also)

    def view(self, study_id: str) -> View:
        """How a search stands now. Raises `UnknownName`."""
        study, trials = self._searches.study(study_id), self._searches.trials(study_id)
        found = goals.outcomes(self._queue.history, study, trials)
        certified = {run.id: run for run in self._queue.history.runs(list(study.certified.values()))}
        for run in certified.values():
            if run.state == "done" and run.id not in self._judged:
                keep_verdicts(self._queue.history, study, run.id)  # the first one stands
                self._judged.add(run.id)
        return View(
            study,
            trials,
            found,
            comparison(self._queue.history, [o.trial.run_id for o in found], part="validation"),
            goals.front(study, found),
            goals.best(study, found),
            {number: certified[run] for number, run in study.certified.items() if run in certified},
        )

    def importance(self, view: View, objective: str) -> dict[str, float]:
        """Share of each setting in the differences of an objective between trials, as `optimizers.search.importance`
        has it; computed in a worker process, which takes about a second."""
        place = view.study.objectives.index(objective)
        pairs = [(o.trial.params, v) for o in view.outcomes if (v := o.values[place]) is not None]
        if len(pairs) < FEWEST:
            return {}
        params = {"settings": [params for params, _ in pairs], "values": [value for _, value in pairs]}
        log = str(self._queue.settings.logs / "search.log")
        task = Task("optimizers.search.importance:told", params, "light", "interactive", log)
        found: dict[str, float] = self._queue.driver.executor.run(task, lambda event: None, self._closing.is_set)
        return found

    def rests(self, study_id: str) -> bool:
        """Whether this process is doing nothing for a search, and no certificate is under way."""
        thread = self._threads.get(study_id)
        return thread is None or not thread.is_alive()

    def wait(self, study_id: str, seconds: float | None = None) -> bool:
        """Blocks until a search rests (it was paused, stopped, or is over); False if the time was over before.

        A search whose process has died is driven here.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._closing.is_set():
            thread = self._threads.get(study_id)
            if thread is not None and thread.is_alive():
                thread.join(_PATIENCE)
            elif self._searches.study(study_id).state == "running":
                self._drive(study_id)
                time.sleep(_PATIENCE)
            else:
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return False

    def close(self) -> None:
        """Waits until no search is at work; the executor must have been closed before."""
        for thread in list(self._threads.values()):
            thread.join()

    def _drive(self, study_id: str) -> None:
        from optimizers.search.driving import Drive

        with self._lock:
            thread = self._threads.get(study_id)
            if self._closing.is_set() or (thread is not None and thread.is_alive()):
                return

            def drive() -> None:
                # Somebody may extend a search in the moment in which it ends.
                while Drive(self._queue, study_id, self._closing.is_set).run() and not self._closing.is_set():
                    if self._searches.study(study_id).state != "running":
                        break

            thread = threading.Thread(target=drive, name=f"search-{study_id}")
            self._threads[study_id] = thread
            thread.start()
