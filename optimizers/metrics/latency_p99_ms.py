"""Time that 99 predictions in 100 stay under."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import times
from optimizers.metrics._intervals import quantile

_FEWEST = 500


def measure(evidence: Evidence) -> Value:
    """99th percentile in milliseconds; ``n`` is the number of timed runs.

    Raises:
        NotApplicable: Fewer than 500 runs, of which five would decide.
    """
    runs = times(evidence)
    if len(runs) < _FEWEST:
        raise NotApplicable(f"The 99th percentile needs {_FEWEST} timed runs, and there are {len(runs)}.")
    return quantile(runs, 0.99, evidence.instances)


METRIC = Metric(
    name="latency_p99_ms",
    version="2",
    title="Latency (99th percentile)",
    unit="ms",
    direction="lower",
    needs="timing",
    measure=measure,
    rank=54,
    device_bound=True,
    help="99 predictions in 100 were faster than this; absent where fewer than 500 runs were timed.",
)
