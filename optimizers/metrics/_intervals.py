"""95% intervals. Everything random is seeded, so that the same evidence gives the same interval."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt

import numpy as np

from optimizers.declarations import Value

Z95 = 1.959963984540054
RESAMPLES = 2000
_CHUNK = 2_000_000
_CLUSTER_RESAMPLES = 400
_FEWEST_CLUSTERS = 4
_SEED = 20240229


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Bounds of a proportion; inside [0, 1], and not of zero width at 0 or 1.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    p, z2 = successes / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return centre - half if successes else 0.0, centre + half if successes < n else 1.0


def bootstrap(n: int, statistic: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Percentile bounds of a statistic of n independent examples.

    Args:
        n: Number of examples.
        statistic: From indices with shape (resamples, n) to values with shape (resamples,); a value that is not finite
            (a resample in which the statistic is undefined) is left out.

    Source: Efron (1979), "Bootstrap methods: another look at the jackknife".
    """
    rng = np.random.default_rng(_SEED)
    return _percentiles(n, lambda rows: statistic(rng.integers(0, n, (rows, n))))


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


def mean_error(errors: np.ndarray) -> Value:
    """Mean of one error per example, shape (n,), with its bootstrap interval."""
    low, high = bootstrap(len(errors), lambda picks: np.asarray(errors[picks].mean(axis=1)))
    return Value(value=float(errors.mean()), n=len(errors), low=low, high=high)


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
