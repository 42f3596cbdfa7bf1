"""Figures that are ratios of sums over examples, such as F1 and the intersection over the union, and their means."""

from __future__ import annotations

from math import sqrt

import numpy as np

from optimizers.declarations import Evidence, Value
from optimizers.metrics._evidence import decisions
from optimizers.metrics._intervals import clustered_share, logistic, wilson
from optimizers.metrics._paired import Estimate


def ratios(above: np.ndarray, below: np.ndarray, true: np.ndarray, gain: tuple[float, float]) -> Estimate:
    """The mean over columns of sum above over sum below, and how it hangs on each example (the delta method).

    Args:
        above, below: What each example adds, shape (n, columns); no column of ``below`` adds up to 0.
        true: How many things of each column an example truly has, shape (n, columns).
        gain: What ``above`` and ``below`` gain where one more of them is found.
    """
    n, total = len(above), below.sum(axis=0)
    each = above.sum(axis=0) / total
    influence = ((above - each * below) * (n / total)).mean(axis=1)
    share, weight = true.mean(axis=0), (gain[0] - each * gain[1]) * n / total
    flip = sqrt(float((share * weight**2).sum() / share.sum())) / above.shape[1]
    return Estimate(float(each.mean()), influence, flip)


def bounded(found: Estimate, fewest: int) -> Value:
    """A figure in [0, 1] with an interval on the logit scale; at 0 or 1 the Wilson bound of so many examples."""
    n = len(found.influence)
    if found.value in (0.0, 1.0):
        low, high = wilson(fewest if found.value else 0, fewest)
    elif n < 2:
        return Value(value=found.value, n=n)
    else:
        low, high = logistic(found.value, float(found.influence.std()) / sqrt(n), n)
    return Value(value=found.value, n=n, low=low, high=high)


def right_things(evidence: Evidence) -> np.ndarray:
    """Which labels, or positions, of each example are decided right, bool, shape (n, things); none that is not judged.

    Raises:
        NotApplicable: There are no predictions, or scores of two classes are not probabilities.
    """
    predicted, y, _ = decisions(evidence)
    return np.asarray(predicted == y)


def right_value(evidence: Evidence) -> Value:
    """Share of right labels or positions, with an interval over examples: those of one are not independent.

    Raises as `right_things`.
    """
    right, counted = right_counts(evidence)
    return clustered_share(per_thing(right, counted), float(counted.mean()))


def right_share(evidence: Evidence) -> Estimate:
    """Share of right labels or positions, and how it hangs on each example. Raises as `right_things`."""
    right, counted = right_counts(evidence)
    shares = per_thing(right, counted)
    return Estimate(float(shares.mean()), shares - shares.mean(), 1 / float(counted.mean()))


def right_counts(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """How many labels or positions of each example are right, and of how many, int64, shape (n,); see `decisions`."""
    predicted, y, _ = decisions(evidence)
    return (predicted == y).sum(axis=1), (y >= 0).sum(axis=1)


def per_thing(sums: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """For each example a number; their mean is that over all things together, and they vary as it does.

    Where examples have as many things it is the mean of each one's own; else the delta method for a ratio.

    Args:
        sums: What the things of each example add up to, shape (n,).
        counted: How many there are in each, shape (n,).

    Source: Cochran (1977), "Sampling techniques", section 6.3.
    """
    usual = counted.mean()
    return np.asarray(sums / usual + sums.sum() / counted.sum() * (1 - counted / usual), np.float64)
