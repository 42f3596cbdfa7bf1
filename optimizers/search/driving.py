"""Drives one search: what is tried next, what is not worth starting or finishing, and what comes of it.

Cheap before dear: recipes without training first, then each technique alone with a short training, then what the
sampler proposes, with short trainings; those that come near what is wanted are trained in full. After every trial all
is in the history, so that a search can be stopped, killed and continued at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from optimizers.errors import Cancelled, ParetoscopeError, UserError
from optimizers.history.database import UNFINISHED
from optimizers.history.searches import Searches
from optimizers.recipe import Recipe, parse
from optimizers.records import Run
from optimizers.search import goals
from optimizers.search.certifying import certify_best
from optimizers.search.clock import Clock
from optimizers.search.foresight import Abilities, broken_limits, hopeless, promising, worth_timing
from optimizers.search.goals import Outcome
from optimizers.search.guide import Guide
from optimizers.search.ranking import ranked_layers
from optimizers.search.records import Effort, Ending, Study, Trial
from optimizers.search.space import Space, chain_trains, trains

if TYPE_CHECKING:
    from optimizers.engine.queue import JobQueue

_TICK, _MEASURING_SECONDS = 0.25, 2.0
_REPETITIONS = 100
"""Proposals in a row that were tried before or cannot be made, after which nothing is left to try."""
_STUCK = 5
"""Such proposals in a row after which chance proposes instead of the sampler, until something new is found."""
_TOO_DEAR = 6
"""Proposals in a row that would not end in time, after which the time counts as over."""
_RULED_OUT = 40
"""Proposals in a row that were ruled out by their forecasts, after which the search gives up."""
_LOOKING_AHEAD = 2.0
"""Seconds of forecasts after which it is time to look at what is under way, and at the clock."""
_WAIT, _NO_TIME = "wait", "no time"


class Drive:
    """One search in progress, in the calling thread."""

    def __init__(self, queue: JobQueue, study_id: str, closing: Callable[[], bool]) -> None:
        self._queue, self._id, self._closing = queue, study_id, closing
        self._searches = Searches(queue.history)
        self._open: dict[int, Trial] = {}
        self._handles: dict[int, int] = {}
        self._ruled_out = self._dear = self._resuming = 0
        self._seen: tuple[int, list[Outcome]] | None = None
        self._again: Any = None
        self._why: Ending = ""

    def run(self) -> bool:
        """Works until the search is paused, stopped or over, or the app closes; False if another process drives it."""
        claim = self._queue.locks.claim(f"search-{self._id}")
        if claim is None:
            return False
        try:
            self._work()
        except ParetoscopeError as error:
            if not self._closing():
                self._searches.update(self._id, state="failed", problem=error.message)
        except Exception as problem:
            told = f"The search failed unexpectedly ({type(problem).__name__}: {problem})."
            self._searches.update(self._id, state="failed", problem=told)
            raise
        finally:
            claim.release()
        return True

    # the loop -----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        study = self._searches.study(self._id)
        if study.state == "done":  # an earlier process ended before the winner was judged
            if study.judging:
                self._trials = {trial.number: trial for trial in self._searches.trials(self._id)}
                self._conclude()
            return
        self._prepare(study)
        clock = self._clock
        while not self._closing():
            study = self._searches.study(self._id)
            busy = self._settle(study)
            clock.tick(study, busy or (study.state == "running" and not self._open))
            if study.state in ("stopped", "failed"):
                self._cut("The search was stopped.")
                break
            if study.state == "paused" and not self._open:
                break
            if study.state == "running":
                if clock.left <= 0:
                    self._cut("The time of the search was over.")
                    self._why = ""
                more = clock.left > 0 and self._start(study, clock.left)
                clock.tick(study, counts=True)
                if not more and not self._open:
                    clock.keep()
                    over = {"state": "done", "judging": True, "ended": self._why}
                    if self._searches.update(self._id, only_from=("running",), **over):
                        self._conclude()
                    break
            time.sleep(_TICK)
        clock.keep()

    def _prepare(self, study: Study) -> None:
        """Reads model and data, and takes up what an earlier process left."""
        model, summary = self._queue.driver.inspect_model(study.model.uri, self._closing)
        dataset, data = self._queue.driver.inspect_dataset(study.dataset.uri, self._closing)
        if (model.digest, dataset.digest) != (study.model.digest, study.dataset.digest):
            raise UserError("The model's or the data's file has changed since this search began; start a new one.")
        self._trials = {trial.number: trial for trial in self._searches.trials(self._id)}
        self._tried = {trial.recipe for trial in self._trials.values()}
        self._space = Space(summary, data, study.techniques, study.layers or ())
        self._guide = Guide(study, self._space, len(self._trials))
        self._clock = Clock(self._searches, study, self._closing)
        self._able = Abilities(self._queue.driver, study, self._clock.halted)
        self._resuming = sum(trial.state == "cut" for trial in self._trials.values())
        self._plans = self._planned(study)
        found = {o.trial.number: o for o in self._outcomes(study)}
        for trial in self._trials.values():
            if trial.state == "running":
                self._take_up(study, trial)
            elif trial.number in found:
                self._tell(study, found[trial.number])

    def _take_up(self, study: Study, trial: Trial) -> None:
        """Goes on with a trial that was under way when an earlier process ended."""
        known = [r for r in self._queue.history.runs(study=study.id) if r.recipe == trial.recipe]
        run = next((r for r in known if r.id == trial.run_id), None) or next(iter(known), None)
        if run is None:
            self._submit(study, trial)
            return
        self._keep(trial.model_copy(update={"run_id": run.id}))
        self._open[trial.number] = self._trials[trial.number]
        if run.state in UNFINISHED:
            self._queue.proceed([run.id])

    # what comes of trials -----------------------------------------------------------------------------------------

    def _settle(self, study: Study) -> bool:
        """Looks at what is under way; whether something really runs, and does not wait for work of others."""
        if not self._open:
            return False
        runs = {run.id: run for run in self._queue.history.runs([t.run_id for t in self._open.values()])}
        told = {run_id: self._queue.progress(run_id) for run_id in runs}
        for trial in list(self._open.values()):
            run = runs.get(trial.run_id)
            if run is None:
                self._close(trial, state="failed", reason="The run of this trial was deleted.")
            elif run.state == "done":
                self._finished(study, trial, run)
            elif run.state == "failed":
                self._hopeless(study, trial.params)
                self._close(trial, state="failed", reason=run.failure.message if run.failure else "")
            elif run.state == "cancelled":
                self._close(trial, state="cut", reason="Its run was cancelled.")
            elif reason := hopeless(study, trial, told[run.id], self._outcomes(study)):
                self._queue.cancel(run.id)
                self._hopeless(study, trial.params)
                self._close(trial, state="failed", reason=reason)
        working = (told[run.id] for run in runs.values() if run.state == "running")
        return any(progress is None or not progress.waiting for progress in working)

    def _finished(self, study: Study, trial: Trial, run: Run) -> None:
        took = (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else 0.0
        done = trial.model_copy(update={"state": "done", "seconds": (trial.seconds or 0.0) + took})
        outcome = next((o for o in goals.outcomes(self._queue.history, study, [*self._ended(), done])
                        if o.trial.number == trial.number), None)  # fmt: skip
        if outcome is not None and not run.timed and goals.needs_timing(study) and worth_timing(outcome):
            timed = self._queue.submit(
                study.model.uri, study.dataset.uri, [parse(trial.recipe)], seed=study.seed, study=study.id
            )[0]
            self._open[trial.number] = self._keep(
                trial.model_copy(update={"timed_of": run.id, "run_id": timed.id, "seconds": done.seconds})
            )
            return
        self._close(done, state="done")
        if outcome is not None:
            self._tell(study, outcome)

    def _tell(self, study: Study, outcome: Outcome) -> None:
        values = [0.0 if value is None else value for value in outcome.values]
        limits = goals.violations(outcome)
        if not outcome.complete:  # not worth timing; its place among the others is decided by what it misses
            limits["not measured"] = 1.0
        self._guide.tell(outcome.trial.params, values, limits, self._handles.pop(outcome.trial.number, None))

    def _close(self, trial: Trial, **changes: Any) -> None:
        self._keep(trial.model_copy(update=changes))
        self._open.pop(trial.number, None)
        handle = self._handles.get(trial.number)
        if handle is not None and changes["state"] != "done":
            self._guide.drop(handle)

    def _cut(self, reason: str) -> None:
        """Stops what is under way. Finished stages stay, so that it goes on from there if the search does."""
        for trial in list(self._open.values()):
            self._queue.cancel(trial.run_id)
            self._close(trial, state="cut", reason=reason)

    def _conclude(self) -> None:
        """Certifies the best on test data: once, and only if it keeps all limits."""
        certify_best(self._queue, study := self._searches.study(self._id), self._outcomes(study))
        if not self._closing():
            self._searches.update(self._id, judging=False)

    # what is tried next -------------------------------------------------------------------------------------------

    def _start(self, study: Study, left: float) -> bool:
        """Starts trials while there is room; False if nothing more will be started.

        Comes back after a while even if there is room, since looking ahead takes time and what is under way goes on.
        """
        began = time.monotonic()
        while len(self._open) < self._queue.settings.workers:
            looked = time.monotonic() - began
            if looked > min(_LOOKING_AHEAD, left):
                return True
            run = [t for t in self._trials.values() if t.state not in ("rejected", "failed")]
            # Trials that were cut are counted already, and go on first.
            if study.most_trials is not None and not self._resuming and len(run) >= study.most_trials:
                return self._nothing_more("trials")
            proposal, self._again = self._again or next(self._plans, None), None
            if proposal is None:
                return self._nothing_more("tried")
            if proposal == _WAIT:
                return True
            trial, handle = proposal
            verdict = self._forecast(study, trial, left - looked)
            if verdict is not None and self._clock.halted():
                self._again = proposal
                return True
            if verdict is None:
                self._ruled_out = self._dear = 0
                if handle is not None:
                    self._handles[trial.number] = handle
                self._submit(study, self._trials.get(trial.number, trial))
                continue
            self._guide.drop(handle)
            dear = verdict == _NO_TIME
            if dear and trial.number not in self._trials:  # one that was cut stays, and is no new one
                self._tried.discard(trial.recipe)
            self._dear, self._ruled_out = self._dear + dear, self._ruled_out + (not dear)
            if self._dear >= _TOO_DEAR or self._ruled_out >= _RULED_OUT:
                return self._nothing_more("dear" if self._dear >= _TOO_DEAR else "forecasts")
        return True

    def _nothing_more(self, why: Ending) -> bool:
        """Whether there may be more to try when what is under way has ended; else that is why the search is over."""
        self._why = why
        return bool(self._open)

    def _submit(self, study: Study, trial: Trial) -> None:
        self._keep(trial)  # before the run, so that nothing runs that nobody knows of
        run = self._queue.submit(
            study.model.uri, study.dataset.uri, [parse(trial.recipe)], seed=study.seed, study=study.id, timed=False
        )[0]
        self._open[trial.number] = self._keep(trial.model_copy(update={"run_id": run.id}))

    def _planned(self, study: Study) -> Iterator[Any]:
        """What to try, one after the other; `_WAIT` where something has to end first."""
        for trial in list(self._trials.values()):
            if trial.state == "cut":
                self._resuming -= 1
                yield trial.model_copy(update={"state": "running", "run_id": "", "reason": ""}), None
        for params in self._space.untrained():
            yield from self._propose(params, "none")
        if not any(chain_trains(chain) for chain in self._space.chains):
            yield from self._sampled(study)
            return
        while self._open:
            yield _WAIT
        while study.layers is None and not self._rank_layers(study):
            yield _WAIT
        chosen = goals.best(study, self._outcomes(study))
        endings = [chain[-1] for chain in self._space.chains]
        best = parse(chosen.outcome.trial.recipe).steps[-1].technique.name if chosen else ""
        for params in self._space.openings(best if best in endings else endings[-1]):
            yield from self._propose(params, "short")
        yield from self._sampled(study)

    def _sampled(self, study: Study) -> Iterator[Any]:
        repeated = 0
        while repeated < _REPETITIONS:
            promoted = self._promoted(study)
            if promoted is not None:
                yield promoted, None
                continue
            handle: int | None = None
            if repeated < _STUCK:
                handle, params = self._guide.ask()
            else:
                params = self._guide.draw()
            wanted = self._space.recipe(params, "full")
            trained = [step.technique.name for step in wanted.steps if "train" in step.technique.needs]
            if any(self._able.cannot(name) for name in trained):
                self._guide.drop(handle)
                self._hopeless(study, params)
                repeated += 1
                continue
            effort: Effort = "short" if trains(wanted) else "none"
            found = list(self._propose(params, effort, handle))
            repeated = 0 if found else repeated + 1
            if not found:
                self._guide.drop(handle)
            yield from found

    def _propose(self, params: Mapping[str, Any], effort: Effort, handle: int | None = None) -> Iterator[Any]:
        recipe = self._space.recipe(params, effort)
        if recipe.text in self._tried:
            return
        self._tried.add(recipe.text)
        yield self._trial(params, recipe, effort), handle

    def _trial(self, params: Mapping[str, Any], recipe: Recipe, effort: Effort, of: int | None = None) -> Trial:
        return Trial(
            study=self._id,
            number=max(self._trials, default=-1) + 1,
            params=dict(params),
            recipe=recipe.text,
            effort=effort,
            promoted_from=of,
        )

    def _promoted(self, study: Study) -> Trial | None:
        """The most promising short training that was not yet done in full, if it is time for one."""
        for outcome in promising(study, list(self._trials.values()), self._outcomes(study)):
            recipe = self._space.recipe(outcome.trial.params, "full")
            if recipe.text not in self._tried:
                self._tried.add(recipe.text)
                return self._trial(outcome.trial.params, recipe, "full", outcome.trial.number)
        return None

    def _rank_layers(self, study: Study) -> bool:
        """Finds out which layers are sensitive, on the smallest file made without training; False if halted."""
        try:
            found = ranked_layers(self._queue.driver, self._ended(), self._clock.halted)
        except Cancelled:
            return False
        self._searches.update(self._id, layers=found)
        self._space = Space(self._space.model, self._space.data, study.techniques, found)
        self._guide.space = self._space
        return True

    # looking ahead ------------------------------------------------------------------------------------------------

    def _forecast(self, study: Study, trial: Trial, left: float) -> str | None:
        """None if the trial may start, `_NO_TIME`, or why it was rejected, which is kept with it."""
        try:
            expected = self._queue.driver.forecast(
                study.model.uri, study.dataset.uri, parse(trial.recipe), self._clock.halted
            )
        except Cancelled:
            return _NO_TIME
        except ParetoscopeError as error:
            if not self._clock.halted():
                self._keep(trial.model_copy(update={"state": "rejected", "reason": error.message}))
                self._hopeless(study, trial.params)
            return error.message
        told = {"expected_bytes": expected.size_bytes, "expected_seconds": expected.seconds}
        # What does not train is made all the same: it takes seconds, and may be the nearest miss.
        known = self._outcomes(study), self._trials.values()
        if trial.effort != "none" and (broken := broken_limits(study, expected, *known)):
            reason = "; ".join(words for words, _ in broken.values())
            self._keep(trial.model_copy(update={"state": "rejected", "reason": reason, **told}))
            self._hopeless(study, trial.params, {name: much for name, (_, much) in broken.items()})
            return reason
        if trial.effort != "none" and (expected.seconds or 0.0) + _MEASURING_SECONDS > left:
            return _NO_TIME
        self._trials[trial.number] = trial.model_copy(update=told)
        return None

    def _hopeless(self, study: Study, params: Mapping[str, Any], limits: Mapping[str, float] | None = None) -> None:
        """Tells the sampler that settings lead nowhere. What they break counts; the figures beside it do not."""
        seen = next((o for o in self._outcomes(study) if o.complete), None)
        if seen is not None:
            values = [float(v) for v in seen.values if v is not None]
            self._guide.tell(params, values, limits or {"cannot be made": 1.0})

    # keeping ------------------------------------------------------------------------------------------------------

    def _keep(self, trial: Trial) -> Trial:
        self._trials[trial.number] = self._searches.keep(trial)
        return trial

    def _ended(self) -> list[Trial]:
        return [trial for trial in self._trials.values() if trial.state == "done"]

    def _outcomes(self, study: Study) -> list[Outcome]:
        ended = self._ended()
        if self._seen is None or self._seen[0] != len(ended):  # figures of finished trials do not change
            self._seen = (len(ended), goals.outcomes(self._queue.history, study, ended))
        return self._seen[1]
