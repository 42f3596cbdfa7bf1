"""Coefficient of determination of a regression."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import flat_scores, predictions
from optimizers.metrics._intervals import bootstrap


def measure(evidence: Evidence) -> Value:
    """One minus the squared error over the variance of the targets, with a bootstrap interval; may be negative.

    Raises:
        NotApplicable: There are no predictions, or all targets are equal.
    """
    scores, y = predictions(evidence)
    predicted, target = flat_scores(scores), y.astype(np.float64)
    if np.ptp(target) == 0:
        raise NotApplicable("R² is undefined here: all targets of the test part are equal.")
    squared = (predicted - target) ** 2

    def resampled(picks: np.ndarray) -> np.ndarray:
        spread = target[picks].var(axis=1)
        return np.asarray(1 - squared[picks].mean(axis=1) / np.where(spread > 0, spread, np.nan))

    low, high = bootstrap(len(target), resampled)
    return Value(value=float(1 - squared.mean() / target.var()), n=len(target), low=low, high=high)


METRIC = Metric(
    name="r2",
    version="1",
    title="R²",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    tasks=frozenset({"regression"}),
    rank=0,
    help="Share of the target's variance that is explained: 1 is perfect, 0 is no better than always saying the mean.",
)
