"""Root mean squared error of a regression."""

from __future__ import annotations

from math import sqrt

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import estimates
from optimizers.metrics._intervals import skewed_mean
from optimizers.metrics._paired import Estimate, paired


def measure(evidence: Evidence) -> Value:
    """Root of the mean squared distance to the target, in the target's unit; its bounds are roots of that mean's.

    Where there are several numbers per example the mean is over all of them, and the interval over examples.

    Raises:
        NotApplicable: There are no predictions, or not one for each number to estimate.
    """
    squared = _squared(evidence)
    if len(squared) < 2:
        return Value(value=sqrt(squared.mean()), n=len(squared))
    low, high = skewed_mean(squared)
    return Value(value=sqrt(squared.mean()), n=len(squared), low=sqrt(max(0.0, low)), high=sqrt(high))


def estimate(evidence: Evidence) -> Estimate:
    """The error and how it hangs on each example. Raises as `measure`."""
    squared = _squared(evidence)
    root = sqrt(squared.mean())
    return Estimate(root, (squared - squared.mean()) / (2 * root) if root else np.zeros_like(squared))


def _squared(evidence: Evidence) -> np.ndarray:
    predicted, target = estimates(evidence)
    return np.asarray(((predicted - target) ** 2).mean(axis=1))


METRIC = Metric(
    name="rmse",
    version="1",
    title="Root mean squared error",
    unit="target units",
    direction="lower",
    needs="predictions",
    measure=measure,
    change=paired(estimate),
    tasks=frozenset({"regression"}),
    rank=11,
    help="Like the mean absolute error, in the unit of the target, but large misses count for more.",
)
