"""How much faster one file is than another, and how sure that is, from timings of several fresh processes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, hypot, sqrt
from typing import Literal

import numpy as np

FEWEST = 4
"""Processes below which nothing can be said about how much they differ."""
PRECISION = 0.03
"""Width of the interval, as a share of the ratio, at which timing ends."""
_QUICK = 0.05
_BEST = 0.1
_COUNTED = 0.5
_TRIMMED = 0.2
_MOST_DEPENDENT = 0.8
_QUANTILE = 0.99
"""Of Student's t. Timing stops when the interval is narrow, which makes it too narrow a little too often; with 0.99
instead of 0.975 it covers the truth in at least 95 of 100 simulated measurements that end that way."""
_DRIFT = 0.007
"""Added in quadrature to half the width of every interval. Processes that follow each other within seconds cannot
show how a ratio drifts from minute to minute with what else the machine does; repeated measurements differ by about
0.4% more than their processes explain (`benchmarks.measurement.latency`)."""


@dataclass(frozen=True)
class Ratio:
    """How many times faster, with its 95% interval, and the number of processes that count."""

    value: float
    low: float
    high: float
    n: int

    @property
    def width(self) -> float:
        """Width of the interval as a share of the value: 0.03 is 1.5% up and down."""
        return (self.high - self.low) / self.value


@dataclass(frozen=True)
class OfProcess:
    """Fast runs of one process, in milliseconds, and whether they count: not where the machine was disturbed."""

    instance: int
    time: float
    baseline: float
    counts: bool

    @property
    def ratio(self) -> float:
        return self.baseline / self.time


Verdict = Literal["faster", "slower", "indistinguishable"]


def verdict(ratio: float, low: float | None, high: float | None) -> Verdict:
    """What a ratio means: an interval that holds 1 shows no difference."""
    if low is not None and high is not None and low <= 1 <= high:
        return "indistinguishable"
    return "faster" if ratio >= 1 else "slower"


def paired_ratio(times: np.ndarray, baseline_times: np.ndarray, instances: np.ndarray) -> Ratio:
    """Baseline's time over the file's time, from runs taken in turn in several processes.

    Runs within one process agree much better with each other than with those of the next one, because memory lies
    elsewhere there. So each process gives one number, the logarithm of a ratio, and the interval comes from how these
    numbers differ: Student's t of their 20% trimmed mean. The quantile of t is such that stopping early is paid for.
    Where neighbours in time resemble each other the interval is widened as for a series of first order.

    What else a machine does only ever lengthens runs, and hardly ever both files' by the same factor: on a shared one,
    which changes between two speeds several times a second, ratios of medians differed by 5 to 9% from minute to
    minute. So of each process the fifth percentiles count, and of all processes the half in which the machine was
    undisturbed. Those are told by the file that was closer to its own best, since a disturbed machine slows down both;
    by the slower one, or by the sum, luck of a single file in where its memory lies would decide.

    Args:
        times, baseline_times: Milliseconds of single runs, shape (runs,).
        instances: Which process each run was taken in, shape (runs,); at least four different ones.

    Source: Chen and Revels (2016), "Robust benchmarking in noisy environments"; Yuen (1974), "The two-sample trimmed t
    for unequal population variances"; Bayley and Hammersley (1946), "The 'effective' number of independent observations
    in an autocorrelated time series".
    """
    counting = [one.ratio for one in of_processes(times, baseline_times, instances) if one.counts]
    centre, half = trimmed_interval(np.log(counting))
    return Ratio(exp(centre), exp(centre - half), exp(centre + half), len(counting))


def of_processes(times: np.ndarray, baseline_times: np.ndarray, instances: np.ndarray) -> list[OfProcess]:
    """What each process gives to `paired_ratio`, in order of measurement; same arguments."""
    order = _order(instances)
    quick = np.array([[np.quantile(runs[instances == i], _QUICK) for runs in (times, baseline_times)] for i in order])
    counting = set(_undisturbed(np.log(quick)).tolist())
    return [
        OfProcess(int(instance), float(own), float(baseline), place in counting)
        for place, (instance, (own, baseline)) in enumerate(zip(order, quick, strict=True))
    ]


def _undisturbed(logs: np.ndarray) -> np.ndarray:
    """Numbers of the processes in which some file came near its best, in order; ``logs``: shape (processes, files)."""
    above = (logs - np.quantile(logs, _BEST, axis=0)).min(axis=1)
    wanted = max(FEWEST, ceil(_COUNTED * len(logs)))
    return np.sort(np.argsort(above, kind="stable")[:wanted])


def trimmed_interval(values: np.ndarray) -> tuple[float, float]:
    """The 20% trimmed mean of a series, and half the width of its 95% interval.

    Args:
        values: One number per process, in order of measurement, shape (n,); n is at least 4.
    """
    from scipy import stats

    n = len(values)
    if n < FEWEST:
        raise ValueError(f"an interval needs {FEWEST} processes, got {n}")
    cut = int(_TRIMMED * n)
    kept = np.sort(values)[cut : n - cut]
    winsorized = np.clip(values, kept[0], kept[-1])
    error = float(winsorized.std(ddof=1)) / ((1 - 2 * cut / n) * sqrt(n))
    half = float(stats.t.ppf(_QUANTILE, len(kept) - 1)) * error
    return float(kept.mean()), hypot(_DRIFT, half * sqrt(_inflation(winsorized)))


def _inflation(values: np.ndarray) -> float:
    """By how much the variance of a mean grows because neighbours in the series resemble each other; at least 1."""
    apart = values - values.mean()
    power = float(apart @ apart)
    if power == 0:
        return 1.0
    alike = min(_MOST_DEPENDENT, max(0.0, float(apart[1:] @ apart[:-1]) / power))
    return (1 + alike) / (1 - alike)


def _order(instances: np.ndarray) -> np.ndarray:
    found, first = np.unique(instances, return_index=True)
    return np.asarray(found[np.argsort(first)])
