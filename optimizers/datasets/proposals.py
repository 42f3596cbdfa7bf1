"""Proposes how values are scaled for a model, by trying it out.

Test examples are never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from optimizers.datasets import fit
from optimizers.datasets.by_output import constant_loss
from optimizers.datasets.preparation import Values, join, of, prepare, scalings_told
from optimizers.datasets.shape_proposals import as_image
from optimizers.declarations import Dataset, Part
from optimizers.errors import DataRefused
from optimizers.kinds import KINDS
from optimizers.records import ModelSummary, Record, Task

if TYPE_CHECKING:
    import numpy as np

EXAMPLES = 1000
"""Most examples that a scaling is tried on; as many again and more are there to learn means and ranges from."""

_LEARNT_ON = 5000
_SEED = 20
_ALPHA = 0.05
_COMBINATIONS = 64
"""Most combinations of scalings of several inputs that are all tried."""


class Trial(Record):
    """One scaling and how the model does under it. ``error`` is the mean loss: log loss, or squared error.

    ``score`` is the share of right answers (labels, positions) for classes, else the error again. ``worse`` is the
    p-value of a paired test that the best of all is no better than this one. ``input`` tells which one of several is
    scaled so, the others being as they are proposed.
    """

    scaling: str
    values: str
    input: str = ""
    score: float
    error: float
    worse: float


class Proposal(Record):
    """What is proposed, and why. ``trials`` are best first; there are none where nothing could be compared."""

    uri: str
    given: dict[str, Any]
    task: Task
    n: int = 0
    metric: str = ""
    trials: tuple[Trial, ...] = ()
    notes: tuple[str, ...] = ()


_Way = tuple[str, Values]
"""A scaling, and the range that it starts from."""


@dataclass(frozen=True)
class _Answers:
    """Correctness (or minus the squared error) and loss of every example, shape (n,)."""

    points: np.ndarray
    loss: np.ndarray


def propose(
    data: Dataset, uri: str, given: dict[str, Any], model: ModelSummary, answer: Callable[[np.ndarray], np.ndarray]
) -> Proposal:
    """The scaling under which the model does best; as the data are, where nothing is proven to be better.

    Args:
        data: Prepared but for the scaling.
        uri: Of the data, without its preparation.
        given: The preparation so far.
        model: What is known about the model.
        answer: From inputs of shape (n, *input) to outputs of shape (n, *output).

    Raises:
        DataRefused: The data do not fit the model.
    """
    part = _sample(data)
    base = fit.adapt_dataset(part, model.inputs, model.outputs, uri, model.activation)
    task, told = base.summary.task, tuple(_told(given, model))
    plain = Proposal(uri=join(uri, of(given)), given=given, task=task, notes=told)
    if task == "fidelity":
        note = "Without labels, or with several outputs, there is nothing to compare scalings by; values stay as is."
        return plain.model_copy(update={"notes": (*told, note)})
    bench = _Bench(part, model, uri, task, answer)
    order = _tried(part.train.x, model)
    if not order:
        return plain
    chosen = bench.together(order) if len(order) > 1 else {}
    found: dict[str, _Comparison] = {}
    for name, ways in order.items():
        found[name] = bench.compared(name, ways, chosen)
        chosen[name] = found[name].chosen
    last = found[next(reversed(order))]
    kept = of(given | _options(chosen))
    return Proposal(
        uri=join(uri, kept),
        given=kept.given,
        task=task,
        n=len(base.validation),
        metric=KINDS[task].quality,
        trials=tuple(trial for name in order for trial in found[name].trials),
        notes=(*told, *_remarks(last, all(way[0] == "as_is" for way in chosen.values()), base.validation, task)),
    )


def _options(ways: dict[str, _Way]) -> dict[str, str]:
    """Fields of `Preparation` for the scaling of each input; of the only input, which has no name."""
    if list(ways) == [""]:
        scaling, values = ways[""]
        return {"scaling": scaling, "values": values} if scaling != "as_is" else {}
    text = scalings_told(ways)
    return {"scalings": text} if text else {}


@dataclass(frozen=True)
class _Comparison:
    """How the model does under each scaling of one input, best first, and which of them are no worse than the best."""

    trials: list[Trial]
    even: list[Trial]

    @property
    def chosen(self) -> _Way:
        return _way(_chosen(self.even))


def _way(trial: Trial) -> _Way:
    return trial.scaling, cast(Values, trial.values)


@dataclass(frozen=True)
class _Bench:
    """Compares scalings by what the model makes of some examples."""

    part: Dataset
    model: ModelSummary
    uri: str
    task: Task
    answer: Callable[[np.ndarray], np.ndarray]

    known: dict[str, _Answers | None] = field(default_factory=dict)

    def together(self, order: dict[str, list[_Way]]) -> dict[str, _Way]:
        """A way for each input, under which the model does best.

        A model may do no better with one input scaled well as long as another one drowns it, so all combinations are
        tried; where there are too many, one input after the other, twice.
        """
        if math.prod(len(ways) for ways in order.values()) <= _COMBINATIONS:
            combined = [dict(zip(order, ways, strict=True)) for ways in product(*order.values())]
            return self._best(combined)
        chosen: dict[str, _Way] = {}
        for name, ways in [*order.items(), *order.items()]:
            chosen = self._best([{**chosen, name: way} for way in ways])
        return chosen

    def compared(self, name: str, ways: Iterable[_Way], others: dict[str, _Way]) -> _Comparison:
        """One input in all of the ways, the others as they are chosen so far."""
        answers = {way: told for way in ways if (told := self._answers({**others, name: way})) is not None}
        trials = [trial.model_copy(update={"input": name}) for trial in _ranked(answers, self.task)]
        return _Comparison(trials, _even(trials, self.task))

    def _best(self, combined: list[dict[str, _Way]]) -> dict[str, _Way]:
        """The one with the least loss of those that are not proven worse than the one with most right answers."""
        answers = [(ways, told) for ways in combined if (told := self._answers(ways)) is not None]
        if not answers:
            return combined[0]
        lead = min((told for _, told in answers), key=lambda told: _badness(told, self.task))
        even = [one for one in answers if one[1] is lead or _p_value(lead, one[1]) >= _ALPHA]
        return min(even, key=lambda one: float(one[1].loss.mean()))[0]

    def _answers(self, ways: dict[str, _Way]) -> _Answers | None:
        """What the model makes of inputs scaled so; None where the data cannot be scaled so."""
        options = _options(ways)
        key = repr(sorted(options.items()))
        if key not in self.known:
            try:
                scaled = prepare(self.part, of(options))
                tried = fit.adapt_dataset(
                    scaled, self.model.inputs, self.model.outputs, self.uri, self.model.activation
                )
            except DataRefused:
                self.known[key] = None
            else:
                self.known[key] = _answered(self.answer(tried.validation.x), tried, self.model.activation)
        return self.known[key]


def _tried(x: np.ndarray, model: ModelSummary) -> dict[str, list[_Way]]:
    """Scalings that make sense, by input, images first; a single input has no name. Whole numbers are left alone."""
    found: dict[str, list[_Way]] = {}
    several = len(model.inputs) > 1
    for number, spec in enumerate(model.inputs):
        known = model.input_ranges[number] if number < len(model.input_ranges) else None
        if spec.dtype.startswith(("int", "uint")) or (known is not None and known.whole) or "," in spec.name:
            continue
        ways = list(_candidates(x[spec.name] if several else x))
        if len(ways) > 1:
            found[spec.name if several else ""] = ways
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _told(given: dict[str, Any], model: ModelSummary) -> Iterator[str]:
    """What people should know of what shapes and labels decided."""
    if "ignore" in given:
        which = str(given["ignore"]).replace(",", " or ")
        yield f"Positions labelled {which} are none of the model's classes: they are left out of training and figures."
    columns = str(given.get("target", "")).split(",")
    if len(columns) > 1:
        yield (
            f"The columns {', '.join(columns)} are predicted, all others are features: the model takes "
            f"{math.prod(n or 1 for n in model.inputs[0].shape)} numbers and gives {len(columns)}."
        )


def _sample(data: Dataset) -> Dataset:
    """Few enough examples to try things on: some to learn ranges from, and up to `EXAMPLES` to compare by."""
    import numpy as np

    random = np.random.default_rng(_SEED)
    pool = data.validation if len(data.validation) >= EXAMPLES // 2 else _joined(data.train, data.validation)
    rows, seen = (np.sort(random.permutation(len(p))[:n]) for p, n in ((pool, EXAMPLES), (data.train, _LEARNT_ON)))
    train, tried = Part(data.train.x[seen], data.train.y[seen]), Part(pool.x[rows], pool.y[rows])
    return Dataset(train, tried, Part(tried.x[:0], tried.y[:0]), data.summary)


def _joined(one: Part, other: Part) -> Part:
    import numpy as np

    return Part(np.concatenate([one.x, other.x]), np.concatenate([one.y, other.y]))


def _candidates(x: np.ndarray) -> Iterator[_Way]:
    """Scalings that make sense for these values of one input, shape (n, ...)."""
    low, high = float(x.min()), float(x.max())
    values: Values | None = None
    if 1.5 < high <= 255 and low >= 0 and x.dtype.kind in "iu":
        values = "pixels"
    elif high <= 1 and low >= -1:
        values = "unit" if low >= 0 else "signed"
    yield "as_is", values or "pixels"
    is_image = as_image(x.shape[1:]) is not None
    if values and is_image:
        for scaling in ("unit", "signed", "pixels"):
            if scaling != values:
                yield scaling, values
        if x.ndim == 4 and x.shape[-1] == 3:
            yield "caffe", values
            yield "torch", values
    yield "min_max", values or "pixels"
    yield "standardize", values or "pixels"


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


def _ranked(answers: dict[_Way, _Answers], task: Task) -> list[Trial]:
    """Best first."""
    order = sorted(answers, key=lambda key: _badness(answers[key], task))
    best = answers[order[0]]
    found = []
    for key in order:
        a, error = answers[key], float(answers[key].loss.mean())
        score = float(a.points.mean()) if KINDS[task].decides else error
        found.append(Trial(scaling=key[0], values=key[1], score=score, error=error, worse=_p_value(best, a)))
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
    even = [trial for trial in trials if trial.worse >= _ALPHA or KINDS[task].decides in ("label", "position")]
    slack = 0.005 if KINDS[task].decides else 0.0
    most = 1.1 * min(trial.error for trial in even) + slack
    return [trial for trial in even if trial.error <= most]


def _chosen(even: list[Trial]) -> Trial:
    """The data as they are, else a fixed scaling, else a learnt one; of several the one with the least loss."""
    learnt = ("min_max", "standardize")
    return min(even, key=lambda t: (t.scaling != "as_is", t.scaling in learnt, t.error))


def _remarks(found: _Comparison, untouched: bool, part: Part, task: Task) -> Iterator[str]:
    import numpy as np

    chosen = _chosen(found.even)

    if KINDS[task].decides:
        commonest = _commonest(part.y, task)
        if chosen.score <= commonest + 1e-9:
            yield (
                f"Under no scaling does the model do better than always naming the commonest class ({commonest:.0%}): "
                "are these the right data, with classes in the order that the model was trained with?"
            )
    elif task == "regression" and chosen.score >= float(np.var(part.y, axis=0).mean()):
        yield (
            "Under no scaling does the model do better than always answering the mean: are these the right data, in "
            "the unit that the model was trained with?"
        )
    elif task == "several" and chosen.score >= 1:
        yield (
            "Under no scaling does the model do better than always giving the same answers: are these the right data, "
            "with classes and units that the model was trained with?"
        )
    if untouched and len(found.even) > 1:
        yield "Other scalings do no worse, so the values are left as they are."


def _commonest(y: np.ndarray, task: Task) -> float:
    """Share of right answers of whoever always names the commonest class, for each label the commoner truth value."""
    import numpy as np

    if task == "multilabel":
        true = y.mean(axis=0)
        return float(np.maximum(true, 1 - true).mean())
    counted = y[y >= 0].astype(int)
    return float(np.bincount(counted).max() / counted.size)
