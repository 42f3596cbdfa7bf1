"""Tries scalings out: how well a model answers examples that are scaled in one way or another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, cast

from optimizers.datasets import fit
from optimizers.datasets.by_output import constant_loss
from optimizers.datasets.preparation import Values, of, prepare, scalings_told
from optimizers.datasets.scaling import LEARNT
from optimizers.declarations import Dataset, Part
from optimizers.errors import DataRefused
from optimizers.kinds import KINDS
from optimizers.records import ModelSummary, Record, Task

if TYPE_CHECKING:
    import numpy as np

ALPHA = 0.05
"""Probability with which any scaling is called worse than the best that is not (Bonferroni)."""
_COMBINATIONS = 64
"""Most combinations of scalings of several inputs that are all tried."""

Way = tuple[str, Values]
"""A scaling, and the range that it starts from."""


class Trial(Record):
    """One scaling and how the model does under it. ``error`` is the mean loss: log loss, or squared error.

    ``score`` is the share of right answers (labels, positions) for classes, else the error again. ``worse`` is the
    p-value of a paired test that the best of all is no better than this one, times the number of others (Bonferroni).
    ``input`` tells which one of several is scaled so, the others being as they are proposed.
    """

    scaling: str
    values: str
    input: str = ""
    score: float
    error: float
    worse: float

    @property
    def way(self) -> Way:
        return self.scaling, cast(Values, self.values)


@dataclass(frozen=True)
class _Answers:
    """Correctness (or minus the squared error) and loss of every example, shape (n,)."""

    points: np.ndarray
    loss: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """How the model does under each scaling of one input, best first, and which of them are no worse than the best."""

    trials: list[Trial]
    even: list[Trial]

    @property
    def chosen(self) -> Trial:
        """The data as they are, else a fixed scaling, else a learnt one; of several the one with the least loss."""
        return min(self.even, key=lambda t: (t.scaling != "as_is", t.scaling in LEARNT, t.error))


@dataclass(frozen=True)
class Bench:
    """Compares scalings by what the model makes of some examples."""

    part: Dataset
    model: ModelSummary
    uri: str
    task: Task
    answer: Callable[[np.ndarray], np.ndarray]
    known: dict[str, _Answers | None] = field(default_factory=dict)

    def together(self, order: dict[str, list[Way]]) -> dict[str, Way]:
        """A way for each input, under which the model does best.

        A model may do no better with one input scaled well as long as another one drowns it, so all combinations are
        tried; where there are too many, one input after the other, twice.
        """
        if math.prod(len(ways) for ways in order.values()) <= _COMBINATIONS:
            combined = [dict(zip(order, ways, strict=True)) for ways in product(*order.values())]
            return self._best(combined)
        chosen: dict[str, Way] = {}
        for name, ways in [*order.items(), *order.items()]:
            chosen = self._best([{**chosen, name: way} for way in ways])
        return chosen

    def compared(self, name: str, ways: Iterable[Way], others: dict[str, Way]) -> Comparison:
        """One input in all of the ways, the others as they are chosen so far."""
        answers = {way: told for way in ways if (told := self._answers({**others, name: way})) is not None}
        trials = [trial.model_copy(update={"input": name}) for trial in _ranked(answers, self.task)]
        return Comparison(trials, _even(trials, self.task))

    def _best(self, combined: list[dict[str, Way]]) -> dict[str, Way]:
        """The one with the least loss of those that are not proven worse than the one with most right answers."""
        answers = [(ways, told) for ways in combined if (told := self._answers(ways)) is not None]
        if not answers:
            return combined[0]
        lead = min((told for _, told in answers), key=lambda told: _badness(told, self.task))
        risk = ALPHA / max(1, len(answers) - 1)
        even = [one for one in answers if one[1] is lead or _p_value(lead, one[1]) >= risk]
        return min(even, key=lambda one: float(one[1].loss.mean()))[0]

    def _answers(self, ways: dict[str, Way]) -> _Answers | None:
        """What the model makes of inputs scaled so; None where the data cannot be scaled so."""
        given = options(ways)
        key = repr(sorted(given.items()))
        if key not in self.known:
            try:
                scaled = prepare(self.part, of(given))
                tried = fit.adapt_dataset(
                    scaled, self.model.inputs, self.model.outputs, self.uri, self.model.activation
                )
            except DataRefused:
                self.known[key] = None
            else:
                self.known[key] = _answered(self.answer(tried.validation.x), tried, self.model.activation)
        return self.known[key]


def options(ways: dict[str, Way]) -> dict[str, str]:
    """Fields of `Preparation` for the scaling of each input; of the only input, which has no name."""
    if list(ways) == [""]:
        scaling, values = ways[""]
        return {"scaling": scaling, "values": values} if scaling != "as_is" else {}
    text = scalings_told(ways)
    return {"scalings": text} if text else {}


def _answered(outputs: np.ndarray, data: Dataset, activation: str) -> _Answers:
    """How well outputs do on the validation part; several with labels by the mean of what each does.

    Their losses are taken as shares of what the best constant answer has, so that no unit outweighs another.
    """
    import numpy as np

    from optimizers.metrics._outputs import columns

    targets, part = data.summary.targets, data.validation
    if not targets:
        return _judged(outputs, part, data.summary.task, activation)
    flat, points, losses = outputs.reshape(len(part), -1), [], []
    for one, own in zip(targets, columns(targets), strict=True):
        if one.task == "fidelity":
            continue
        y = part.y[one.name]
        found = _judged(flat[:, own], Part(part.x, y), one.task, one.activation)
        knows_nothing = constant_loss(y, one.task)
        points.append(found.points if KINDS[one.task].decides else found.points / knows_nothing)
        losses.append(found.loss / knows_nothing)
    return _Answers(np.mean(points, axis=0), np.mean(losses, axis=0))


def _judged(outputs: np.ndarray, part: Part, task: Task, activation: str) -> _Answers:
    import numpy as np

    from optimizers.answers import probabilities
    from optimizers.metrics._evidence import chances, grouped

    found = np.nan_to_num(outputs.astype(np.float64).reshape(len(part), -1), nan=0.0, posinf=1e30, neginf=-1e30)
    if not KINDS[task].decides:
        y = part.y.astype(np.float64).reshape(len(part), -1)
        errors = np.minimum(np.square(found - y).mean(axis=1), 1e30)
        if task == "reconstruction":
            errors = errors / max(float(y.var()), 1e-12)
        return _Answers(-errors, errors)
    each, truth = chances(probabilities(grouped(found, part.y, task), task, activation), part.y, task)
    counts = truth >= 0
    own = np.take_along_axis(each, np.maximum(truth, 0)[..., None], axis=2)[..., 0]
    loss = np.where(counts, -np.log(np.maximum(own, 1e-7)), 0.0)
    right, n = each.argmax(axis=2) == truth, counts.sum(axis=1)
    return _Answers(right.sum(axis=1) / n, loss.sum(axis=1) / n)


def _ranked(answers: dict[Way, _Answers], task: Task) -> list[Trial]:
    """Best first."""
    order = sorted(answers, key=lambda key: _badness(answers[key], task))
    best = answers[order[0]]
    found = []
    for key in order:
        a, error = answers[key], float(answers[key].loss.mean())
        score = float(a.points.mean()) if KINDS[task].decides else error
        worse = min(1.0, _p_value(best, a) * max(1, len(answers) - 1))  # the best of many owes something to luck
        found.append(Trial(scaling=key[0], values=key[1], score=score, error=error, worse=worse))
    return found


def _badness(told: _Answers, task: Task) -> tuple[float, float]:
    """Less is better: wrong answers first where there is a figure for them, then the loss."""
    loss = float(told.loss.mean())
    return (-float(told.points.mean()) if KINDS[task].decides else loss), loss


def _p_value(best: _Answers, other: _Answers) -> float:
    """One-sided, paired: small where ``other`` is truly worse. Exact McNemar for right and wrong, else Wilcoxon."""
    import numpy as np
    from scipy import stats

    difference = best.points - other.points
    if not difference.any():
        return 1.0
    if set(np.unique(difference)) <= {-1.0, 0.0, 1.0}:
        gained, lost = int((difference > 0).sum()), int((difference < 0).sum())
        return float(stats.binomtest(gained, gained + lost, alternative="greater").pvalue)
    return float(stats.wilcoxon(difference, alternative="greater").pvalue)


def _even(trials: list[Trial], task: Task) -> list[Trial]:
    """Those that are neither proven worse than the best nor have a clearly larger loss.

    Of many labels or positions a thousandth is soon proven and means nothing: there the loss alone decides.
    """
    even = [trial for trial in trials if trial.worse >= ALPHA or KINDS[task].decides in ("label", "position")]
    slack = 0.005 if KINDS[task].decides else 0.0
    most = 1.1 * min(trial.error for trial in even) + slack
    return [trial for trial in even if trial.error <= most]
