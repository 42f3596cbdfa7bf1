"""Mean time of one prediction."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import times
from optimizers.metrics._intervals import timed


def measure(evidence: Evidence) -> Value:
    """Mean milliseconds; ``n`` is the number of timed runs."""
    return timed(times(evidence), lambda runs: runs.mean(axis=-1), evidence.instances)


METRIC = Metric(
    name="latency_mean_ms",
    version="3",
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
