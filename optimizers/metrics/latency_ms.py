"""Median time of one prediction."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import times
from optimizers.metrics._intervals import quantile


def measure(evidence: Evidence) -> Value:
    """Median milliseconds; ``n`` is the number of timed runs."""
    return quantile(times(evidence), 0.5, evidence.instances)


METRIC = Metric(
    name="latency_ms",
    version="3",
    title="Latency (median)",
    unit="ms",
    direction="lower",
    needs="timing",
    measure=measure,
    rank=40,
    device_bound=True,
    help="Time of one prediction of one example in LiteRT on this machine; half of the runs were faster. "
    "The machine is quicker in some minutes than in others, so files that were timed apart are compared by their "
    "speed-up.",
)
