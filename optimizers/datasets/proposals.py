"""Proposes how values are scaled for a model, by trying it out.

Test examples are never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from optimizers.datasets import fit
from optimizers.datasets.labels_fit import remark
from optimizers.datasets.preparation import Values, join, of
from optimizers.datasets.scaling import COLUMNS
from optimizers.datasets.scaling_trials import Bench, Comparison, Trial, Way, options
from optimizers.datasets.shape_proposals import as_image
from optimizers.datasets.shaping import is_plain_image
from optimizers.declarations import Dataset, Part
from optimizers.kinds import KINDS
from optimizers.records import ModelSummary, Record, Task

if TYPE_CHECKING:
    import numpy as np

EXAMPLES = 1000
"""Most examples that a scaling is tried on; as many again and more are there to learn means and ranges from."""

_LEARNT_ON = 5000
_SEED = 20


class Proposal(Record):
    """What is proposed, and why. ``trials`` are best first; there are none where nothing could be compared."""

    uri: str
    given: dict[str, Any]
    task: Task
    n: int = 0
    metric: str = ""
    trials: tuple[Trial, ...] = ()
    notes: tuple[str, ...] = ()


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
    task = base.summary.task
    told = (*_told(given, model), *filter(None, [remark(model.outputs, base.summary, task)]))
    plain = Proposal(uri=join(uri, of(given)), given=given, task=task, notes=told)
    if task == "fidelity":
        note = "Without labels, or with several outputs, there is nothing to compare scalings by; values stay as is."
        return plain.model_copy(update={"notes": (*told, note)})
    bench = Bench(part, model, uri, task, answer)
    order = _tried(part.train.x, model)
    if not order:
        return plain
    chosen = bench.together(order) if len(order) > 1 else {}
    found: dict[str, Comparison] = {}
    for name, ways in order.items():
        found[name] = bench.compared(name, ways, chosen)
        chosen[name] = found[name].chosen.way
    last = found[next(reversed(order))]
    vain = _in_vain(last.chosen, base.validation, task)
    kept = of(given if vain else given | options(chosen))
    untouched = all(way[0] == "as_is" for way in chosen.values()) and len(last.even) > 1
    return Proposal(
        uri=join(uri, kept),
        given=kept.given,
        task=task,
        n=len(base.validation),
        metric=KINDS[task].quality,
        trials=tuple(trial for name in order for trial in found[name].trials),
        notes=(*told, *filter(None, [vain]), *([_NO_WORSE] if untouched and not vain else [])),
    )


def _tried(x: np.ndarray, model: ModelSummary) -> dict[str, list[Way]]:
    """Scalings that make sense, by input, images first; a single input has no name. Whole numbers are left alone."""
    found: dict[str, list[Way]] = {}
    several = len(model.inputs) > 1
    for number, spec in enumerate(model.inputs):
        known = model.input_ranges[number] if number < len(model.input_ranges) else None
        if spec.dtype.startswith(("int", "uint")) or (known is not None and known.whole) or "," in spec.name:
            continue
        ways = list(candidates(x[spec.name] if several else x))
        if len(ways) > 1:
            found[spec.name if several else ""] = ways
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _told(given: dict[str, Any], model: ModelSummary) -> Iterator[str]:
    """What people should know of what shapes and labels decided."""
    if given.get("task") == "regression":
        yield "The labels are taken for numbers to estimate, since the model gives one number."
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


def candidates(x: np.ndarray) -> Iterator[Way]:
    """Scalings that make sense for these values of one input, shape (n, ...)."""
    low, high = float(x.min()), float(x.max())
    values: Values | None = None
    is_image = as_image(x.shape[1:]) is not None
    if 1.5 < high <= 255 and low >= 0 and (is_image or x.dtype.kind in "iu"):  # pixels may be decimal numbers
        values = "pixels"
    elif high <= 1 and low >= -1:
        values = "unit" if low >= 0 else "signed"
    yield "as_is", values or "pixels"
    if values and is_image:
        for scaling in ("unit", "signed", "pixels"):
            if scaling != values:
                yield scaling, values
        if x.ndim == 4 and x.shape[-1] == 3:
            yield "caffe", values
            yield "torch", values
    for scaling in ("min_max", "standardize"):
        yield scaling, values or "pixels"
        if is_plain_image(x.shape[1:]) and x.dtype.kind == "f":  # which may as well be a series
            yield f"{scaling}{COLUMNS}", values or "pixels"


_NO_WORSE = "Other scalings do no worse, so the values are left as they are."


def _in_vain(chosen: Trial, part: Part, task: Task) -> str:
    """Says so where the model does no better than whoever does not look at the inputs. Then no scaling is proposed."""
    import numpy as np

    if KINDS[task].decides:
        commonest = _commonest(part.y, task)
        if chosen.score <= commonest + 1e-9:
            return (
                f"Under no scaling does the model do better than always naming the commonest class ({commonest:.0%}): "
                "are these the right data, with classes in the order that the model was trained with? "
                "Words are numbered alphabetically; give numbers where the model has another order. Values stay as "
                "they are."
            )
    elif task == "regression" and chosen.score >= float(np.var(part.y, axis=0).mean()):
        return (
            "Under no scaling does the model do better than always answering the mean: are these the right data, in "
            "the unit that the model was trained with? Values stay as they are."
        )
    elif task == "several" and chosen.score >= 1:
        return (
            "Under no scaling does the model do better than always giving the same answers: are these the right data, "
            "with classes and units that the model was trained with? Values stay as they are."
        )
    return ""


def _commonest(y: np.ndarray, task: Task) -> float:
    """Share of right answers of whoever always names the commonest class, for each label the commoner truth value."""
    import numpy as np

    if task == "multilabel":
        true = y.mean(axis=0)
        return float(np.maximum(true, 1 - true).mean())
    counted = y[y >= 0].astype(int)
    return float(np.bincount(counted).max() / counted.size)
