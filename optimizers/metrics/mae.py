"""Mean absolute error of a regression."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import flat_scores, predictions
from optimizers.metrics._intervals import mean_error


def measure(evidence: Evidence) -> Value:
    """Mean distance to the target in the target's own unit, with a bootstrap interval.

    Raises:
        NotApplicable: There are no predictions, or more than one value per example.
    """
    scores, y = predictions(evidence)
    errors = np.abs(flat_scores(scores) - y)
    return mean_error(errors)


METRIC = Metric(
    name="mae",
    version="1",
    title="Mean absolute error",
    unit="target units",
    direction="lower",
    needs="predictions",
    measure=measure,
    tasks=frozenset({"regression"}),
    rank=10,
    help="How far a prediction is from the truth on average, in the unit of the target.",
)
