"""What is not worth starting or finishing, and what is worth training in full, as forecasts and trainings tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from optimizers.engine.progress import Progress
from optimizers.errors import NotApplicable, ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.forecast import Forecast
from optimizers.recipe import Recipe, Step, parse
from optimizers.search import goals
from optimizers.search.goals import Outcome
from optimizers.search.records import Study, Trial

if TYPE_CHECKING:
    from optimizers.engine.driver import Driver

_PROMOTED = 0.5
"""Trainings in full for each short one."""
_NEARLY = 0.2
"""Short trainings may miss a limit by so much and still be promising: two points, or a fifth of the bound."""
_LATE, _FAR = 0.7, 0.1
"""Part of a recipe's last training after which accuracy so far below its limit will not come back."""
_FIRST_STEP = 2
"""Number of a recipe's first step in the progress of its run, which converts the original first."""
_MANY_REJECTED, _CLEARLY = 5, 0.97
"""Trials ruled out before a nearer miss is made, and the share of the least so far that it has to stay below."""
_SIZE_ERROR, _COMPRESSED_ERROR = 0.1, 0.3
"""By how much forecasts of sizes are expected to be wrong, until finished trials have shown it."""
_FORESEEN: dict[str, Callable[[Forecast], float | None]] = {
    "size_bytes": lambda forecast: forecast.size_bytes,
    "compressed_bytes": lambda forecast: forecast.compressed_bytes,
    "parameters": lambda forecast: forecast.parameters,
    "macs": lambda forecast: forecast.macs or None,
}


class Abilities:
    """Which techniques cannot work on a model with their defaults and nothing else; each is found out once.

    Args:
        driver: That makes forecasts.
        study: Which model and data.
        closing: Whether to give up.
    """

    def __init__(self, driver: Driver, study: Study, closing: Callable[[], bool]) -> None:
        self._driver, self._study, self._closing = driver, study, closing
        self._able: dict[str, bool] = {}

    def cannot(self, name: str) -> bool:
        """False where it is not known, since the forecast failed for another reason."""
        if name not in self._able:
            recipe = Recipe((Step.of(name),))
            try:
                self._driver.forecast(self._study.model.uri, self._study.dataset.uri, recipe, self._closing)
                self._able[name] = True
            except NotApplicable:
                self._able[name] = False
            except ParetoscopeError:
                return False
        return not self._able[name]


def broken_limits(
    study: Study, expected: Forecast, outcomes: Sequence[Outcome], trials: Iterable[Trial] = ()
) -> dict[str, tuple[str, float]]:
    """Limits that a forecast breaks by more than forecasts are wrong: why, in words, and by which share.

    Once many were ruled out so and no file keeps the limits, one that comes nearer than all files so far is not: it is
    a nearer miss, and perhaps there is none that keeps them.

    Args:
        study: With the limits.
        expected: The forecast of a recipe.
        outcomes: Of all trials that ended, which tell the baseline and how wrong forecasts were.
        trials: All of the search, of which some were ruled out.
    """
    found, nearer = {}, sum(trial.state == "rejected" for trial in trials) >= _MANY_REJECTED
    baseline = next((o.row for o in outcomes), None)
    for limit in goals.limits_of(study):
        foreseen = _FORESEEN.get(limit.metric)
        likely = foreseen(expected) if foreseen is not None else None
        if likely is None or limit.side != "most" or limit.kind == "difference":
            continue
        bound = limit.bound
        if limit.kind == "ratio":
            change = baseline.get(f"{limit.metric}_change") if baseline else None
            if baseline is None or change is None:
                continue
            bound *= float(baseline[limit.metric]) / (1 + float(change))
        if likely * (1 - _error(outcomes, limit.metric)) > bound:
            about = fmt.value(limit.declared, likely)
            told = f"{limit.declared.title} would be about {about}, which is too much"
            found[limit.text] = (told, likely / bound - 1)
            nearer = nearer and likely < _CLEARLY * min((o.row[limit.metric] for o in outcomes), default=0.0)
    so_far = goals.best(study, outcomes) if found and nearer else None
    return {} if so_far is not None and so_far.standing == "nearest miss" else found


def hopeless(study: Study, trial: Trial, progress: Progress | None, outcomes: Sequence[Outcome]) -> str:
    """Why a trial under way is not worth finishing, as a sentence; empty where it may be.

    That is when most of its last training is over and the best accuracy on the validation part is ten points below
    what a limit asks for.

    Args:
        study: With the limits.
        trial: Under way.
        progress: Of its run.
        outcomes: Of trials that ended, which tell the baseline.
    """
    if progress is None or progress.figure != "val_accuracy" or progress.step < _LATE * progress.of:
        return ""
    trained = [n for n, step in enumerate(parse(trial.recipe).steps) if "train" in step.technique.needs]
    if not trained or progress.stage != trained[-1] + _FIRST_STEP:
        return ""
    best = max(value for _, value in progress.validated)
    row = next((o.row for o in outcomes), {})
    for limit in goals.limits_of(study):
        if limit.metric != "accuracy" or limit.side != "least" or limit.kind == "ratio":
            continue
        bound = limit.bound
        if limit.kind == "difference":
            change = row.get("accuracy_change")
            if change is None:
                continue
            bound += float(row["accuracy"]) - float(change)
        if best < bound - _FAR:
            return (
                f"Stopped late in its training: the best accuracy was {fmt.percent(best)}, far below the "
                f"{fmt.percent(bound)} that are wanted."
            )
    return ""


def _error(outcomes: Sequence[Outcome], metric: str) -> float:
    """By how much forecasts were too high so far in this search, at least what they are known for."""
    least = _COMPRESSED_ERROR if metric == "compressed_bytes" else _SIZE_ERROR
    if metric != "size_bytes":
        return least
    pairs = [(o.trial.expected_bytes, o.row.get(metric)) for o in outcomes]
    return max([least, *(1 - float(true) / likely for likely, true in pairs if likely and true)])


def promising(study: Study, trials: Sequence[Trial], outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    """Short trainings that were not yet done in full, the most promising first; none if it is not time for one.

    Args:
        study: With objectives and limits.
        trials: All of the search.
        outcomes: Of those that ended.
    """
    short = {t.number for t in trials if t.effort == "short" and t.state == "done"}
    done = {t.promoted_from for t in trials if t.promoted_from is not None}
    if len(done) >= _PROMOTED * len(short):
        return
    front = {o.trial.number for o in goals.front(study, outcomes)}

    def hope(outcome: Outcome) -> tuple[Any, ...]:
        missing = sum(max(0.0, v - _NEARLY) for v in goals.violations(outcome).values())
        key = goals.ordered(study, outcome)
        return missing, outcome.trial.number not in front, key is None, key or ()

    yield from sorted((o for o in outcomes if o.trial.number in short and o.trial.number not in done), key=hope)


def worth_timing(outcome: Outcome) -> bool:
    """Timing is dear: only files that pass whatever can be told without it."""
    return all(v.margin is None or v.margin >= 0 or v.limit.declared.needs == "timing" for v in outcome.judged.verdicts)
