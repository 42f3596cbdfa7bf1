"""Coefficient of determination of a regression."""

from __future__ import annotations

from math import exp

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import estimates
from optimizers.metrics._intervals import signed_mean
from optimizers.metrics._paired import Estimate, paired


def measure(evidence: Evidence) -> Value:
    """One minus the squared error over the variance of the targets; may be negative.

    Of several numbers per example it is the mean over those that vary (scikit-learn's uniform average).

    The interval is made on the scale of log(1 - R²), the log of a ratio of two means, from the figures that result when
    one example after the other is left out (the jackknife). There is none where a single example decides.

    Raises:
        NotApplicable: There are no predictions, or all targets are equal.

    Source: Miller (1974), "The jackknife: a review".
    """
    squared, away = _parts(evidence)
    error, spread, n = squared.mean(axis=0), away.mean(axis=0), len(squared)
    left = float((error / spread).mean())
    if left == 0:
        return Value(value=1.0, n=n, low=1.0, high=1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        without = ((n * error - squared) / np.maximum(n * spread - away * n / (n - 1), 0)).mean(axis=1)
    if not (without > 0).all() or not np.isfinite(without).all():
        return Value(value=1 - left, n=n)
    each = -(n - 1) * np.log(without)
    low, high = signed_mean(each - each.mean())
    return Value(value=1 - left, n=n, low=1 - left * exp(high), high=1 - left * exp(low))


def estimate(evidence: Evidence) -> Estimate:
    """R² and how it hangs on each example. Raises as `measure`."""
    squared, away = _parts(evidence)
    error, spread = squared.mean(axis=0), away.mean(axis=0)
    each = -(squared - error) / spread + error / spread**2 * (away - spread)
    return Estimate(float(1 - (error / spread).mean()), each.mean(axis=1))


def _parts(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors, and squared distances of the targets to their mean, both of shape (n, numbers)."""
    predicted, target = estimates(evidence)
    varied = np.ptp(target, axis=0) > 0
    if not varied.any():
        raise NotApplicable("R² is undefined here: all targets of the test part are equal.")
    predicted, target = predicted[:, varied], target[:, varied]
    return (predicted - target) ** 2, (target - target.mean(axis=0)) ** 2


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
    help="Share of the target's variance that is explained: 1 is perfect, 0 is no better than always saying the mean. "
    "Of several numbers per example it is their mean, without those that are the same in every test example.",
)
