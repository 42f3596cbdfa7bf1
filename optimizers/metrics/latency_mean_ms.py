"""Mean time of one prediction."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import times
from optimizers.metrics._intervals import block_bootstrap


def measure(evidence: Evidence) -> Value:
    """Mean milliseconds with a block bootstrap over the runs; ``n`` is the number of timed runs."""
    runs = times(evidence)
    low, high = block_bootstrap(len(runs), lambda picks: np.asarray(runs[picks].mean(axis=1)))
    return Value(value=float(runs.mean()), n=len(runs), low=low, high=high)


METRIC = Metric(
    name="latency_mean_ms",
    version="1",
    title="Latency (mean)",
    unit="ms",
    direction="lower",
    needs="timing",
    measure=measure,
    rank=55,
    device_bound=True,
    help="Average time of one prediction. Single slow runs raise it, so the median says more; it is what "
    "benchmark_model tells, and so what can be compared with a phone's log.",
)
