"""Coefficient of determination of a regression."""

from __future__ import annotations

from math import exp

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import flat_scores, predictions
from optimizers.metrics._intervals import signed_mean
from optimizers.metrics._paired import Estimate, paired


def measure(evidence: Evidence) -> Value:
    """One minus the squared error over the variance of the targets; may be negative.

    The interval is made on the scale of log(1 - R²), the log of a ratio of two means, from the figures that result when
    one example after the other is left out (the jackknife). There is none where a single example decides.

    Raises:
        NotApplicable: There are no predictions, or all targets are equal.

    Source: Miller (1974), "The jackknife: a review".
    """
    squared, away = _parts(evidence)
    error, spread, n = float(squared.mean()), float(away.mean()), len(squared)
    value = 1 - error / spread
    if error == 0:
        return Value(value=value, n=n, low=value, high=value)
    without = (n * error - squared) / np.maximum(n * spread - away * n / (n - 1), 0)
    if not (without > 0).all() or not np.isfinite(without).all():
        return Value(value=value, n=n)
    each = -(n - 1) * np.log(without)
    low, high = signed_mean(each - each.mean())
    return Value(value=value, n=n, low=1 - error / spread * exp(high), high=1 - error / spread * exp(low))


def estimate(evidence: Evidence) -> Estimate:
    """R² and how it hangs on each example. Raises as `measure`."""
    squared, away = _parts(evidence)
    error, spread = squared.mean(), away.mean()
    return Estimate(float(1 - error / spread), -(squared - error) / spread + error / spread**2 * (away - spread))


def _parts(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors, and squared distances of the targets to their mean, both of shape (n,)."""
    scores, y = predictions(evidence)
    predicted, target = flat_scores(scores), y.astype(np.float64)
    if np.ptp(target) == 0:
        raise NotApplicable("R² is undefined here: all targets of the test part are equal.")
    return (predicted - target) ** 2, (target - target.mean()) ** 2


METRIC = Metric(
    name="r2",
    version="2",
    title="R²",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(estimate),
    tasks=frozenset({"regression"}),
    rank=0,
    help="Share of the target's variance that is explained: 1 is perfect, 0 is no better than always saying the mean.",
)
