"""95% intervals. Everything random is seeded, so that the same evidence gives the same interval."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, exp, log, sqrt

import numpy as np

from optimizers.declarations import Value

Z95 = 1.959963984540054
RESAMPLES = 2000
_CHUNK = 2_000_000
_CLUSTER_RESAMPLES = 400
_FEWEST_CLUSTERS = 4
_SEED = 20240229


def normal_quantile(level: float) -> float:
    """Of the normal distribution, for a two-sided interval of that level."""
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))


def wilson(successes: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Bounds of a proportion; inside [0, 1], and not of zero width at 0 or 1.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    p, z2 = successes / n, z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return centre - half if successes else 0.0, centre + half if successes < n else 1.0


def skewed_mean(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Bounds of a mean that allow for skewness, as errors have it: many small ones and few large ones.

    Student's interval covers such means too rarely (90% instead of 95% for 60 squared errors); Hall's cubic
    transformation of the t statistic removes the skewness. Where there is none it is Student's interval.

    Args:
        values: Shape (n,), independent, at least two.
        level: Of the two-sided interval.

    Source: Hall (1992), "On the removal of skewness by transformation".
    """
    from scipy.stats import t

    n = len(values)
    mean, deviation = float(values.mean()), float(values.std())
    if deviation <= 1e-12 * abs(mean):
        return mean, mean
    skew = float(((values - mean) ** 3).mean()) / deviation**3 / sqrt(n)
    quantiles = t.ppf([(1 + level) / 2, (1 - level) / 2], n - 1)
    if abs(skew) > 1e-6:
        quantiles = 3 / skew * (np.cbrt(1 + skew * (quantiles - skew / 6)) - 1)
    low, high = mean - deviation / sqrt(n - 1) * quantiles
    return float(low), float(high)


def signed_mean(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Bounds of the mean of values of either sign, such as differences: on each side the wider of Student's and Hall's.

    Differences of errors may have heavy tails on both sides, where an estimated skewness is mostly noise and Student's
    interval is right; or on one side, where Hall's is.
    """
    from scipy.stats import t

    n = len(values)
    half = float(t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1)) / sqrt(n)
    low, high = skewed_mean(values, level)
    return min(low, float(values.mean()) - half), max(high, float(values.mean()) + half)


def logistic(value: float, deviation: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Bounds of a fraction with a known standard error, symmetric on the logit scale, so that they stay in (0, 1)."""
    from scipy.stats import t

    half = float(t.ppf((1 + level) / 2, max(1, n - 1))) * deviation / (value * (1 - value))
    centre = log(value / (1 - value))
    return 1 / (1 + exp(min(700.0, half - centre))), 1 / (1 + exp(-half - centre))


def block_bootstrap(n: int, statistic: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Percentile bounds of a statistic of a series whose neighbours resemble each other, such as timings.

    Blocks of about the cube root of n neighbours are drawn together, around the end of the series to its start.

    Source: Politis and Romano (1992), "A circular block-resampling procedure for stationary data".
    """
    rng = np.random.default_rng(_SEED)
    block = max(1, round(n ** (1 / 3)))

    def draw(rows: int) -> np.ndarray:
        starts = rng.integers(0, n, (rows, ceil(n / block), 1))
        return ((starts + np.arange(block)) % n).reshape(rows, -1)[:, :n]

    return _percentiles(n, lambda rows: statistic(draw(rows)))


def _percentiles(n: int, resample: Callable[[int], np.ndarray]) -> tuple[float, float]:
    rows = max(1, min(RESAMPLES, _CHUNK // n))
    values = np.concatenate([resample(min(rows, RESAMPLES - done)) for done in range(0, RESAMPLES, rows)])
    low, high = np.percentile(values[np.isfinite(values)], (2.5, 97.5))
    return float(low), float(high)


def share(hits: int, n: int) -> Value:
    """A proportion with its Wilson interval."""
    low, high = wilson(hits, n)
    return Value(value=hits / n, n=n, low=low, high=high)


def clustered_share(shares: np.ndarray, each: float) -> Value:
    """Mean of shares, one per example, whose parts resemble each other; n is the number of examples.

    Wilson's interval for as many examples as would tell a plain share as precisely, with Student's quantile; a single
    example has none.

    Args:
        shares: Shape (n,), each of ``each`` things (on average) that are right or wrong.

    Source: Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive
        counts estimated from survey data".
    """
    from scipy.stats import t

    value, n = float(shares.mean()), len(shares)
    if n < 2:
        return Value(value=value, n=n)
    variance = float(shares.var(ddof=1)) / n
    most = float(n * each) if 0 < value < 1 else float(n)
    effective = min(most, value * (1 - value) / variance) if variance else most
    low, high = wilson(value * effective, effective, float(t.ppf(0.975, n - 1)))
    return Value(value=value, n=n, low=low, high=high)


def mean_error(errors: np.ndarray) -> Value:
    """Mean of one error per example, shape (n,), none below 0, with its interval; a single example has none."""
    if len(errors) < 2:
        return Value(value=float(errors.mean()), n=len(errors))
    low, high = skewed_mean(errors)
    return Value(value=float(errors.mean()), n=len(errors), low=max(0.0, low), high=high)


def timed(values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], clusters: np.ndarray | None) -> Value:
    """A statistic of timed runs with its interval.

    Runs of one process resemble each other, so where there are several processes whole processes are drawn again. With
    fewer than four nothing is known about how much they differ, and there is no interval.

    Args:
        values: Shape (n,).
        statistic: Of arrays along their last axis.
        clusters: The process of each value, shape (n,). None if all are of one process; then blocks of neighbours are
            drawn again.

    Source: Davison and Hinkley (1997), "Bootstrap methods and their application", section 3.8.
    """
    point, n = float(statistic(values)), len(values)
    if clusters is None:
        low, high = block_bootstrap(n, lambda picks: statistic(values[picks]))
        return Value(value=point, n=n, low=low, high=high)
    groups = [values[clusters == name] for name in np.unique(clusters)]
    if len(groups) < _FEWEST_CLUSTERS:
        return Value(value=point, n=n)
    rng = np.random.default_rng(_SEED)
    drawn = [
        statistic(np.concatenate([groups[i] for i in picks]))
        for picks in rng.integers(0, len(groups), (_CLUSTER_RESAMPLES, len(groups)))
    ]
    bounds = np.percentile(drawn, (2.5, 97.5))
    return Value(value=point, n=n, low=min(point, float(bounds[0])), high=max(point, float(bounds[1])))


def quantile(values: np.ndarray, q: float, clusters: np.ndarray | None = None) -> Value:
    """A quantile of timed runs, as `timed`; within one process the bounds are order statistics."""
    if clusters is not None:
        return timed(values, lambda runs: np.quantile(runs, q, axis=-1), clusters)
    low, high = quantile_interval(values, q)
    return Value(value=float(np.quantile(values, q)), n=len(values), low=low, high=high)


def quantile_interval(values: np.ndarray, q: float) -> tuple[float | None, float | None]:
    """Bounds of the q-quantile as two order statistics: no assumption about the distribution.

    Args:
        values: Shape (n,).
        q: Which quantile, 0.5 for the median.

    Returns:
        Low and high; a bound is None where n is too small for 95% coverage on that side.

    Source: Conover (1999), "Practical nonparametric statistics", section 3.2.
    """
    from scipy.stats import binom

    ordered, n = np.sort(values), len(values)
    below = int(binom.ppf(0.025, n, q)) - 1
    above = int(binom.ppf(0.975, n, q))
    low = float(ordered[below]) if below >= 0 else None
    high = float(ordered[above]) if above < n else None
    return low, high
