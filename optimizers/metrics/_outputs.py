"""One of several outputs as if it were the only one, and metrics of it.

A metric of an output is called ``output/metric``, such as ``digit/accuracy``; it is the metric itself, given nothing
but that output's answers and labels. So every metric works for every output that its tasks suit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import TypeVar

import numpy as np

from optimizers.declarations import Evidence, Metric
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import grouped
from optimizers.records import Target

MARK = "/"
_Told = TypeVar("_Told")


def columns(targets: Sequence[Target]) -> list[slice]:
    """Where each output's numbers are among those that lie side by side."""
    ends = np.cumsum([prod(one.output) for one in targets]).tolist()
    return [slice(end - prod(one.output), end) for end, one in zip(ends, targets, strict=True)]


def shaped(scores: np.ndarray, target: Target) -> np.ndarray:
    """One output's numbers, shape (n, numbers), in the shape that `Evidence` has for its task."""
    if target.task == "segmentation":
        return scores.reshape(len(scores), *target.label_shape, -1)
    if target.task == "fidelity":
        return scores.reshape(len(scores), *target.output)
    return grouped(scores, scores, target.task)


def of_output(evidence: Evidence, name: str) -> Evidence:
    """What is known of one output: its own answers and the baseline's, its labels and its task.

    Raises:
        NotApplicable: There are no predictions, or none of such an output.
    """
    if evidence.scores is None or evidence.y is None:
        raise NotApplicable("This metric needs predictions on the test part, and there are none.")
    targets = evidence.targets
    place = next((number for number, one in enumerate(targets) if one.name == name), None)
    if place is None or name not in (evidence.y.dtype.names or ()):
        raise NotApplicable(f"Nothing is known about an output {name!r}.")
    flat, cuts, one = evidence.scores.reshape(len(evidence.scores), -1), columns(targets), targets[place]
    if flat.shape[1] != cuts[-1].stop:
        raise NotApplicable(f"The outputs have {flat.shape[1]} numbers for an example instead of {cuts[-1].stop}.")
    y, base = evidence.y[name], evidence.baseline_scores
    if one.task == "fidelity":  # what the original answers stands for what is right
        y, base = y.reshape(len(y), *one.output), None
    elif base is not None:
        base = shaped(base.reshape(len(base), -1)[:, cuts[place]], one)
    own = shaped(flat[:, cuts[place]], one)
    return replace(evidence, task=one.task, scores=own, y=y, baseline_scores=base, outputs=(), targets=())


def each_output(evidence: Evidence) -> list[tuple[Target, Evidence]]:
    """Every output by itself, in the model's order. Raises as `of_output`, and where there are not several."""
    if evidence.scores is None or not evidence.targets:
        raise NotApplicable("This metric needs predictions of several outputs with labels, and there are none.")
    return [(one, of_output(evidence, one.name)) for one in evidence.targets]


def of_an_output(metric: Metric, output: str) -> Metric:
    """The metric of one of several outputs, for predictions."""

    def by(measure: Callable[[Evidence], _Told]) -> Callable[[Evidence], _Told]:
        return lambda evidence: measure(of_output(evidence, output))

    return replace(
        metric,
        name=f"{output}{MARK}{metric.name}",
        title=f"{metric.title} of {output}",
        measure=by(metric.measure),
        change=by(metric.change) if metric.change is not None else None,
        tasks=frozenset({"several"}),
    )
