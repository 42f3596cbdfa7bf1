"""Time that nine predictions in ten stay under."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import times
from optimizers.metrics._intervals import quantile_interval


def measure(evidence: Evidence) -> Value:
    """90th percentile in milliseconds, with order statistics as bounds; ``n`` is the number of timed runs."""
    runs = times(evidence)
    low, high = quantile_interval(runs, 0.9)
    return Value(value=float(np.quantile(runs, 0.9)), n=len(runs), low=low, high=high)


METRIC = Metric(
    name="latency_p90_ms",
    version="1",
    title="Latency (90th percentile)",
    unit="ms",
    direction="lower",
    needs="timing",
    measure=measure,
    rank=50,
    device_bound=True,
    help="Nine predictions in ten were faster than this; shows the slow tail that a median hides. "
    "It is compared with the baseline by eye only: tails taken at different moments differ by themselves.",
)
