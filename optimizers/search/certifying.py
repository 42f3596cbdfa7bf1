"""The one look at test data: trials that were chosen become ordinary runs, and their verdicts are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optimizers.certification import Budget, Decision, decide
from optimizers.engine.judging import keep
from optimizers.history.database import History
from optimizers.history.frames import differences_of
from optimizers.history.searches import Searches
from optimizers.recipe import parse
from optimizers.records import Run
from optimizers.search import goals
from optimizers.search.goals import Outcome
from optimizers.search.records import Study, Trial

if TYPE_CHECKING:
    from optimizers.engine.queue import JobQueue

TAG = "search"


def certify(queue: JobQueue, study: Study, trial: Trial) -> Run:
    """The run of a trial's recipe that is measured on test data; asked for once, and the same one ever after.

    Its stages are those of the trial, so only measuring is new.
    """
    searches = Searches(queue.history)
    known = searches.study(study.id).certified
    there = queue.history.runs([known[trial.number]]) if trial.number in known else []
    if there:  # else somebody has deleted it; its measurements are found again
        return there[0]
    note = f"Trial {trial.number} of the search {study.id}."
    run = next((r for r in queue.history.runs(text=study.id) if r.note == note), None)  # asked for just before a kill
    if run is None:
        run = queue.submit(study.model.uri, study.dataset.uri, [parse(trial.recipe)], seed=study.seed)[0]
        run = queue.history.annotate(run.id, tags=[TAG], note=note)
    searches.update(study.id, certified={**known, trial.number: run.id})
    return run


def certify_best(queue: JobQueue, study: Study, outcomes: list[Outcome]) -> None:
    """Has the best measured and judged on test data, if it keeps all limits; blocks."""
    chosen = goals.best(study, outcomes)
    if chosen is not None and chosen.standing != "nearest miss":
        run = certify(queue, study, chosen.outcome.trial)
        queue.wait([run.id])
        keep_verdicts(queue.history, study, run.id)


def verdicts(history: History, study: Study, run: Run) -> Mapping[Budget, Decision]:
    """What test data say about the study's limits that can be certified; empty until the run is done."""
    if run.state != "done" or run.artifact_digest == run.baseline_digest:
        return {}
    found = differences_of(history, run)
    return {budget: decide(found[budget.metric], budget) for budget in goals.budgets(study) if budget.metric in found}


def keep_verdicts(history: History, study: Study, run_id: str) -> None:
    """Puts the verdicts on a finished run into the history, where the first ones stand."""
    run = history.run(run_id)
    for budget, decision in verdicts(history, study, run).items():
        keep(history, run, budget, decision)
