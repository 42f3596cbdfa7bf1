"""Proposes how data are prepared for a model: shape and size from what the model expects, scaling by trying it out.

Test examples are never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizers.datasets import columns as columns_of_table
from optimizers.datasets import fit, shaping
from optimizers.datasets.preparation import Values, join, of, prepare
from optimizers.declarations import Dataset, Part
from optimizers.errors import DataRefused
from optimizers.kinds import KINDS
from optimizers.records import DatasetSummary, ModelSummary, Record, Task

if TYPE_CHECKING:
    import numpy as np

EXAMPLES = 1000
"""Most examples that a scaling is tried on; as many again and more are there to learn means and ranges from."""

_LEARNT_ON = 5000
_SEED = 20
_ALPHA = 0.05


class Trial(Record):
    """One scaling and how the model does under it. ``error`` is the mean loss: log loss, or squared error.

    ``score`` is the share of right answers (labels, positions) for classes, else the error again. ``worse`` is the
    p-value of a paired test that the best of all is no better than this one.
    """

    scaling: str
    values: str
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


@dataclass(frozen=True)
class _Answers:
    """Correctness (or minus the squared error) and loss of every example, shape (n,)."""

    points: np.ndarray
    loss: np.ndarray


def fitting(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """Layout, channels, size, length and vocabulary that make examples what the model takes, as far as shapes tell.

    Args:
        model: With one input.
        data: As read without these.

    Returns:
        Fields of `Preparation`; none where the examples fit as they are or nothing of this kind would help.
    """
    if len(model.inputs) != 1:
        return {}
    wanted, shape = model.inputs[0].shape, data.input_shape
    if len(shape) == 1 and data.input_dtype.startswith(("int", "uint")):
        return _tokens(model, data)
    if fit.fitted_shape(model.inputs[0], shape) is not None:
        return {}
    image = _as_image(shape)
    if image is None:
        return {}
    found: dict[str, Any] = {}
    if image != shape and len(shape) == 3:
        found["layout"] = "channels_last"
    height, width, channels = (*image, 1)[:3]
    target = _image_wanted(wanted)
    if target is None:
        return found
    if target[2] == 1 and channels > 1:
        found["channels"] = "grey"
    elif target[2] == 3 and channels != 3:
        found["channels"] = "rgb"
    if target[0] and target[1] and (height, width) != target[:2]:
        found |= {"height": target[0], "width": target[1]}
    return found


def size_wanted(model: ModelSummary) -> dict[str, Any]:
    """Height and width of the images that the model takes; none where it takes any."""
    target = _image_wanted(model.inputs[0].shape) if len(model.inputs) == 1 else None
    return {"height": target[0], "width": target[1]} if target and target[0] and target[1] else {}


def targets_wanted(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """The columns of a table that a model with several output numbers predicts, where their number tells."""
    columns = columns_of_table.several_targets(model.inputs, model.outputs, data)
    return {"target": ",".join(columns)} if columns else {}


def labels_wanted(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """``labels=ranked`` where there are as many different labels as outputs, but not numbered from zero."""
    shape = model.outputs[0].shape if len(model.outputs) == 1 else (0,)
    units = (shape[-1] if data.label_shape else max((length or 0 for length in shape), default=1)) or 0
    numbered = data.classes and all(name.isdigit() for name in data.classes)
    if numbered and data.n_labels and data.n_labels < len(data.classes) and max(units, 2) == data.n_labels:
        return {"labels": "ranked"}
    return {}


def ignored(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """``ignore=255`` where that label is far from the others, which are classes of the model, and is itself none."""
    if len(model.outputs) != 1 or not data.far_labels:
        return {}
    classes = fit.classes_told(model.outputs[0], data.label_shape, model.activation)
    outside = all(not 0 <= int(label) < classes for label in data.far_labels.split(","))
    inside = 0 < data.other_labels <= classes
    return {"ignore": data.far_labels} if inside and outside and data.n_labels != classes else {}


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
    candidates = list(_candidates(data, model))
    if len(candidates) < 2:
        return plain
    answers: dict[tuple[str, Values], _Answers] = {}
    for scaling, values in candidates:
        extra = {"scaling": scaling, "values": values} if scaling != "as_is" else {}
        try:
            scaled = prepare(part, of(extra))
        except DataRefused:
            continue
        tried = fit.adapt_dataset(scaled, model.inputs, model.outputs, uri, model.activation)
        answers[scaling, values] = _judged(answer(tried.validation.x), tried.validation, task, model.activation)
    trials = _ranked(answers, task)
    even = _even(trials, task)
    chosen = _chosen(even)
    more = {"scaling": chosen.scaling, "values": chosen.values} if chosen.scaling != "as_is" else {}
    kept = of(given | more)
    return Proposal(
        uri=join(uri, kept),
        given=kept.given,
        task=task,
        n=len(base.validation),
        metric=KINDS[task].quality,
        trials=tuple(trials),
        notes=(*told, *_remarks(even, chosen, base.validation, task)),
    )


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


def _tokens(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    found: dict[str, Any] = {}
    length = model.inputs[0].shape[0] if len(model.inputs[0].shape) == 1 else None
    known = model.input_ranges[0] if model.input_ranges else None
    if known is None or not known.whole:
        return {}
    if length and length != data.input_shape[0]:
        found["length"] = length
    if data.values is not None and data.values.high > known.high:
        found["words"] = int(known.high) + 1
    return found


def _as_image(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Examples as (height, width) or (height, width, channels); None where they are no images."""
    if shaping.is_plain_image(shape) or (len(shape) == 3 and shape[-1] in shaping.COLOURS):
        return shape
    if len(shape) == 3 and shape[0] in shaping.COLOURS:
        return (*shape[1:], shape[0])
    return None


def _image_wanted(shape: tuple[int | None, ...]) -> tuple[int | None, int | None, int] | None:
    """Height, width and channels of a model's images; a vector whose length is a square stands for a grey image."""
    if len(shape) == 3 and shape[-1] in (1, 3):
        return shape[0], shape[1], shape[-1]
    if len(shape) == 2 and None not in shape:
        return shape[0], shape[1], 1
    if len(shape) == 1 and shape[0]:
        side = round(shape[0] ** 0.5)
        return (side, side, 1) if side * side == shape[0] and side >= 8 else None
    return None


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


def _candidates(data: Dataset, model: ModelSummary) -> Iterator[tuple[str, Values]]:
    """Scalings that make sense for these values."""
    x = data.train.x
    several = len(model.inputs) > 1
    if several or model.inputs[0].dtype.startswith(("int", "uint")) or (model.input_ranges and _whole(model)):
        yield "as_is", "pixels"
        return
    low, high = float(x.min()), float(x.max())
    values: Values | None = None
    if 1.5 < high <= 255 and low >= 0 and x.dtype.kind in "iu":
        values = "pixels"
    elif high <= 1 and low >= -1:
        values = "unit" if low >= 0 else "signed"
    yield "as_is", values or "pixels"
    is_image = _as_image(x.shape[1:]) is not None
    if values and is_image:
        for scaling in ("unit", "signed", "pixels"):
            if scaling != values:
                yield scaling, values
        if x.ndim == 4 and x.shape[-1] == 3:
            yield "caffe", values
            yield "torch", values
    yield "min_max", values or "pixels"
    yield "standardize", values or "pixels"


def _whole(model: ModelSummary) -> bool:
    known = model.input_ranges[0]
    return known is not None and known.whole


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


def _ranked(answers: dict[tuple[str, Values], _Answers], task: Task) -> list[Trial]:
    """Best first: by points, then by loss."""
    order = sorted(answers, key=lambda k: (-float(answers[k].points.mean()), float(answers[k].loss.mean())))
    best = answers[order[0]]
    found = []
    for key in order:
        a, error = answers[key], float(answers[key].loss.mean())
        score = float(a.points.mean()) if KINDS[task].decides else error
        found.append(Trial(scaling=key[0], values=key[1], score=score, error=error, worse=_p_value(best, a)))
    return found


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


def _remarks(even: list[Trial], chosen: Trial, part: Part, task: Task) -> Iterator[str]:
    import numpy as np

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
    if chosen.scaling == "as_is" and len(even) > 1:
        yield "Other scalings do no worse, so the values are left as they are."


def _commonest(y: np.ndarray, task: Task) -> float:
    """Share of right answers of whoever always names the commonest class, for each label the commoner truth value."""
    import numpy as np

    if task == "multilabel":
        true = y.mean(axis=0)
        return float(np.maximum(true, 1 - true).mean())
    counted = y[y >= 0].astype(int)
    return float(np.bincount(counted).max() / counted.size)
