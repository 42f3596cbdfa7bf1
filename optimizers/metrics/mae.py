"""Mean absolute error of a regression."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import flat_scores, predictions
from optimizers.metrics._intervals import mean_error
from optimizers.metrics._paired import paired_mean


def errors(evidence: Evidence) -> np.ndarray:
    """Distance to the target, example by example, shape (n,). Raises as `measure`."""
    scores, y = predictions(evidence)
    return np.asarray(np.abs(flat_scores(scores) - y))


def measure(evidence: Evidence) -> Value:
    """Mean distance to the target in the target's own unit, with an interval that allows for skewness.

    Raises:
        NotApplicable: There are no predictions, or more than one value per example.
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
