"""How far a classifier's confidence is from how often it is right."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from optimizers.declarations import Change, Evidence, Metric, Value
from optimizers.metrics._evidence import class_probabilities
from optimizers.metrics._intervals import normal_quantile
from optimizers.metrics._paired import ONE_SIDED, correlation, of_baseline, recovered

_BINS = 15
_DRAWS = 2000
_SEED = 20240229


@dataclass(frozen=True)
class _Gaps:
    """Confidence minus being right, by bin, each over all n examples: their absolute values add up to the raw error.

    ``shares`` of the examples lie in each bin. ``noise`` has shape (draws, bins): how much the gaps would differ on
    other examples. ``influence`` is that of the raw error, shape (n,).
    """

    found: np.ndarray
    shares: np.ndarray
    noise: np.ndarray
    influence: np.ndarray

    @property
    def raw(self) -> float:
        return float(np.abs(self.found).sum())


def measure(evidence: Evidence) -> Value:
    """Expected calibration error of the predicted class, in 15 bins of equal width, corrected for chance.

    Even of a perfectly calibrated classifier the usual estimate is above 0, since gaps of few examples are never quite
    0, and the more so the fewer examples there are. The value given is the error with which the usual estimate would be
    above and below what was found equally often; the lower bound is the one with which it would be so large in one
    case in forty only. The upper bound is that of the uncorrected error, which holds the truth too often.

    Raises:
        NotApplicable: There are no predictions, or scores are not probabilities.

    Sources: Guo et al. (2017), "On calibration of modern neural networks"; for the bias Kumar et al. (2019), "Verified
        uncertainty calibration"; for the inversion Carpenter (1999), "Test inversion bootstrap confidence intervals".
    """
    gaps = _gaps(evidence)
    value, low, high = _bounded(gaps, 0.95)
    return Value(value=value, n=len(gaps.influence), low=low, high=high)


def change(evidence: Evidence) -> Change:
    """Paired difference, its interval made of both files' intervals and of how their errors go together."""
    own, base = _gaps(evidence), _gaps(of_baseline(evidence))
    together = correlation(own.influence, base.influence)
    found = [(_bounded(own, level), _bounded(base, level)) for level in (0.95, ONE_SIDED)]
    low, high, floor, ceiling = (bound for one, other in found for bound in recovered(one, other, together))
    return Change(found[0][0][0] - found[0][1][0], len(own.influence), low, high, floor, ceiling)


def _bounded(gaps: _Gaps, level: float) -> tuple[float, float, float]:
    """The corrected error and its bounds. Chance only makes the raw error larger, so its upper bound is a safe one."""
    n = len(gaps.influence)
    value, low = (_inverted(gaps, tail) for tail in (0.5, (1 + level) / 2))
    high = gaps.raw + normal_quantile(level) * float(gaps.influence.std(ddof=1)) / sqrt(n) if n > 1 else 1.0
    return value, low, min(1.0, high)


def _gaps(evidence: Evidence) -> _Gaps:
    probabilities, y = class_probabilities(evidence)
    n = len(y)
    predicted = probabilities.argmax(axis=1)
    gap = probabilities[np.arange(n), predicted] - (predicted == y)
    bins = np.clip(np.ceil(probabilities.max(axis=1) * _BINS).astype(int) - 1, 0, _BINS - 1)
    member = np.eye(_BINS)[bins]
    found = gap @ member / n
    covariance = (member * gap[:, None]).T @ (member * gap[:, None]) / n - np.outer(found, found)
    # A bin whose examples are all right has no variance of its own; half an example more, wrong, gives it one.
    covariance += np.diag(member.sum(axis=0) > 0) * 0.5 / n
    values, vectors = np.linalg.eigh(covariance / n)
    draws = np.random.default_rng(_SEED).standard_normal((_DRAWS, _BINS))
    noise = draws * np.sqrt(np.maximum(values, 0)) @ vectors.T
    influence = gap * np.sign(found)[bins]
    return _Gaps(found, member.mean(axis=0), noise, influence - influence.mean())


def _inverted(gaps: _Gaps, tail: float) -> float:
    """The true error under which the raw one would be at most what was found with that probability; at least 0."""

    shape = gaps.found / gaps.raw if gaps.raw else gaps.shares

    def below(error: float) -> float:
        return float((np.abs(error * shape + gaps.noise).sum(axis=1) <= gaps.raw).mean())

    low, high = 0.0, 1.0
    if below(low) < tail:
        return 0.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) >= tail else (low, middle)
    return (low + high) / 2


METRIC = Metric(
    name="calibration_error",
    version="1",
    title="Calibration error",
    unit="fraction",
    direction="lower",
    needs="predictions",
    measure=measure,
    change=change,
    tasks=frozenset({"classification", "binary"}),
    rank=14,
    percent=True,
    help="How far confidence in the predicted class is from how often it is right, in 15 bins, corrected for chance.",
)
