"""Time that nine predictions in ten stay under."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import times
from optimizers.metrics._intervals import quantile


def measure(evidence: Evidence) -> Value:
    """90th percentile in milliseconds; ``n`` is the number of timed runs."""
    return quantile(times(evidence), 0.9, evidence.instances)


METRIC = Metric(
    name="latency_p90_ms",
    version="3",
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
