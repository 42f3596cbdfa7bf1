"""Median time of one prediction."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import times
from optimizers.metrics._intervals import quantile_interval


def measure(evidence: Evidence) -> Value:
    """Median milliseconds, with order statistics as bounds; ``n`` is the number of timed runs."""
    runs = times(evidence)
    low, high = quantile_interval(runs, 0.5)
    return Value(value=float(np.median(runs)), n=len(runs), low=low, high=high)


METRIC = Metric(
    name="latency_ms",
    version="1",
    title="Latency (median)",
    unit="ms",
    direction="lower",
    needs="timing",
    measure=measure,
    rank=40,
    device_bound=True,
    help="Time of one prediction of one example in LiteRT on this machine; half of the runs were faster.",
)
