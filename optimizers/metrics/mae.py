"""Mean absolute error of a regression."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import estimates
from optimizers.metrics._intervals import mean_error
from optimizers.metrics._paired import paired_mean


def errors(evidence: Evidence) -> np.ndarray:
    """Distance to the target, or its mean over several numbers, by example, shape (n,). Raises as `measure`."""
    predicted, target = estimates(evidence)
    return np.asarray(np.abs(predicted - target).mean(axis=1))


def measure(evidence: Evidence) -> Value:
    """Mean distance to the target in the target's own unit, with an interval that allows for skewness.

    Several numbers of one example count as one: they are not independent.

    Raises:
        NotApplicable: There are no predictions, or not one for each number to estimate.
    """
    return mean_error(errors(evidence))


METRIC = Metric(
    name="mae",
    version="2",
    title="Mean absolute error",
    unit="target units",
    direction="lower",
    needs="predictions",
    measure=measure,
    change=paired_mean(errors),
    tasks=frozenset({"regression"}),
    rank=10,
    help="How far a prediction is from the truth on average, in the unit of the target.",
)
