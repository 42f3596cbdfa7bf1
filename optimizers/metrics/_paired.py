"""Differences to the baseline on the same examples.

What two files get wrong is mostly the same; only a comparison example by example sees a small difference. A metric
says how its figure follows from examples (an `Estimate`), and `paired` makes the difference and its interval of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from optimizers.declarations import Change, Evidence
from optimizers.errors import NotApplicable
from optimizers.metrics._intervals import signed_mean

ONE_SIDED = 0.93
"""Level of the two-sided interval whose bounds are taken for one-sided 95% bounds.

It would be 0.90 if figures were normally distributed. They are not quite for few examples, and such bounds were wrong
in up to 7 cases of 100; these are in at most 5 (``python -m benchmarks.measurement``).
"""
_ONE_SIDED_SHARES = 0.90


@dataclass(frozen=True)
class Estimate:
    """A figure and how it hangs on each example.

    Attributes:
        value: The figure.
        influence: Shape (n,), mean 0: how much the figure would change, times n, if an example counted a little more.
            The figure's error is about that of the influence's mean (the delta method).
        flip: For figures that count right answers: how much the difference's influence is for a typical example that
            one file gets right and the other one wrong. 0 where every example changes a little.

    Source: Hampel (1974), "The influence curve and its role in robust estimation".
    """

    value: float
    influence: np.ndarray
    flip: float = 0.0


def paired(estimate: Callable[[Evidence], Estimate]) -> Callable[[Evidence], Change]:
    """Makes the paired difference of a metric from its estimate.

    The interval is that of the mean of the differences of influence, example by example. Where few examples differ it
    would be too narrow; as Agresti and Min do for proportions, two made-up examples are then added, one lost and one
    gained, which only widen it.

    Source: Agresti and Min (2005), "Simple improved confidence intervals for comparing matched proportions".
    """

    def change(evidence: Evidence) -> Change:
        own, base = estimate(evidence), estimate(of_baseline(evidence))
        difference, each = own.value - base.value, own.influence - base.influence
        (low, high), (floor, ceiling) = (
            _bounds(difference, each, max(own.flip, base.flip), level) for level in (0.95, ONE_SIDED)
        )
        return Change(difference, len(each), low, high, floor, ceiling)

    return change


def of_baseline(evidence: Evidence) -> Evidence:
    """The same examples with the baseline's outputs. Raises `NotApplicable` when there are none."""
    if evidence.baseline_scores is None:
        raise NotApplicable("There are no outputs of the baseline on the same examples.")
    if evidence.scores is None or len(evidence.scores) != len(evidence.baseline_scores):
        raise NotApplicable("The baseline was measured on other examples.")
    if len(evidence.scores) < 2:
        raise NotApplicable("A difference needs at least two test examples.")
    return replace(evidence, scores=evidence.baseline_scores, baseline_scores=None)


def _bounds(difference: float, each: np.ndarray, flip: float, level: float) -> tuple[float, float]:
    if not flip:
        low, high = signed_mean(each, level)
        middle = float(each.mean())
        return difference + low - middle, difference + high - middle
    from scipy.stats import t

    n = len(each)
    pulled = difference * n / (n + 2)
    widened = np.concatenate([each + difference, [flip, -flip]])
    half = float(t.ppf((1 + level) / 2, n - 1)) * sqrt(((widened - pulled) ** 2).mean() / (n + 2))
    return pulled - half, pulled + half


def recovered(own: Sequence[float], base: Sequence[float], together: float) -> tuple[float, float]:
    """Bounds of a difference from the bounds of both figures, for figures that are far from normally distributed.

    Args:
        own, base: Figure, lower and upper bound.
        together: Correlation of the two figures' errors.

    Source: Zou and Donner (2008), "Construction of confidence limits about effect measures: a general approach".
    """

    def joint(one: float, other: float) -> float:
        return sqrt(max(0.0, one * one + other * other - 2 * together * one * other))

    difference = own[0] - base[0]
    return (
        difference - joint(own[0] - own[1], base[2] - base[0]),
        difference + joint(own[2] - own[0], base[0] - base[1]),
    )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of two influences, both with mean 0; 0 where one of them does not vary."""
    spread = float(one.std() * other.std())
    return float((one * other).mean()) / spread if spread else 0.0


def paired_mean(errors: Callable[[Evidence], np.ndarray]) -> Callable[[Evidence], Change]:
    """Makes the paired difference of a mean from what it is the mean of, one number per example, shape (n,)."""

    def estimate(evidence: Evidence) -> Estimate:
        each = errors(evidence)
        return Estimate(float(each.mean()), each - each.mean())

    return paired(estimate)


def paired_share(right: Callable[[Evidence], np.ndarray]) -> Callable[[Evidence], Change]:
    """Makes the paired difference of a share of examples from which of them are right, booleans of shape (n,)."""

    def change(evidence: Evidence) -> Change:
        own, base = right(evidence), right(of_baseline(evidence))
        return share_change(int((base & ~own).sum()), int((own & ~base).sum()), len(own))

    return change


def share_change(lost: int, gained: int, n: int) -> Change:
    """The difference of two shares of the same n examples, with score intervals and the exact McNemar test.

    The one-sided bounds have a continuity correction of half an example: with it a loss is ruled out wrongly at most
    5 times in 100, computed exactly for 60 to 5,000 examples; without it up to 5.5.

    Sources: Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
        paired-sample design"; McNemar (1947), "Note on the sampling error of the difference between correlated
        proportions or percentages".
    """
    from scipy.stats import binomtest

    low, high = tango(lost, gained, n)
    floor, ceiling = tango(lost, gained, n, _ONE_SIDED_SHARES, correction=0.5)
    p = float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0
    return Change((gained - lost) / n, n, low, high, floor, ceiling, lost, gained, p)


def tango(lost: int, gained: int, n: int, level: float = 0.95, correction: float = 0.0) -> tuple[float, float]:
    """Score bounds of the share gained minus the share lost, of n examples."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    z, found, edge = float(norm.ppf((1 + level) / 2)), (gained - lost) / n, 1 - 1e-12

    def above(d: float) -> float:
        return tango_score(lost, gained, n, d, correction) - z

    def below(d: float) -> float:
        return -tango_score(lost, gained, n, d, -correction) - z

    low = float(brentq(above, -edge, found)) if found > -edge and above(-edge) > 0 else -1.0
    high = float(brentq(below, found, edge)) if found < edge and below(edge) > 0 else 1.0
    return low, high


def tango_score(lost: float, gained: float, n: int, difference: float, correction: float = 0.0) -> float:
    """How many standard errors the difference found is above a supposed one, given by its maximum-likelihood fit."""
    a = 2 * n
    b = (2 * n + lost - gained) * difference - lost - gained
    c = -lost * difference * (1 - difference)
    q = (sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    distance, variance = gained - lost - n * difference - correction, n * (2 * q + difference * (1 - difference))
    if variance <= 0:
        return 0.0 if distance == 0 else float(np.copysign(1e300, distance))
    return distance / sqrt(variance)
