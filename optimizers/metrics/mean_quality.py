"""How good the answers of several outputs are taken together."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import judged
from optimizers.metrics._intervals import signed_mean
from optimizers.metrics._outputs import each_output
from optimizers.metrics._paired import Estimate, paired


def measure(evidence: Evidence) -> Value:
    """Mean over outputs of what leads each: accuracy, micro F1, mean IoU or R²; 1 is perfect in all of them.

    An output without labels counts with its agreement with the original, or with 1 minus its output change. The
    interval is over examples, from how the mean hangs on each of them; there is none where nothing varies.

    Raises:
        NotApplicable: There are no predictions, or an output has no such figure.
    """
    found = estimate(evidence)
    if len(found.influence) < 2 or not found.influence.any():
        return Value(value=found.value, n=len(found.influence))
    low, high = signed_mean(found.value + found.influence)
    return Value(value=found.value, n=len(found.influence), low=low, high=min(1.0, high))


def estimate(evidence: Evidence) -> Estimate:
    """The mean and how it hangs on each example. Raises as `measure`."""
    from optimizers.answers import worth

    told, decided = [], 0
    for target, own in each_output(evidence):
        assert own.scores is not None
        assert own.y is not None
        try:
            one = worth(own.scores, own.y, target.task)
        except NotApplicable as reason:
            raise NotApplicable(f"{target.name}: {reason.message}") from None
        values = one.values if one.better == "higher" else 1 - one.values
        told.append(_of_all(values, judged(own.y), len(own.y)))
        decided += one.counted
    each = np.mean(told, axis=0)
    return Estimate(float(each.mean()), each - each.mean(), 1 / len(told) if decided else 0.0)


def _of_all(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """The same mean, and the same error of it, with a value for each of n examples: some may have nothing to judge."""
    if len(values) == n:
        return values
    mean = values.mean()
    every = np.full(n, mean)
    every[rows] += (values - mean) * n / len(values)
    return every


METRIC = Metric(
    name="mean_quality",
    version="1",
    title="Mean quality",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(estimate),
    tasks=frozenset({"several"}),
    rank=-1,
    percent=True,
    help="Mean over the outputs of what leads each of them: accuracy, micro F1, mean IoU or R², and agreement with the "
    "original where an output has no labels. One output may gain what another loses: see each by itself.",
)
