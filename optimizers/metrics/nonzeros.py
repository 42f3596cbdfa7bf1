"""How many weights of a file are not zero."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._structure import counted


def measure(evidence: Evidence) -> Value:
    """Weights that stand for another number than zero, biases included."""
    return Value(value=float(counted(evidence).nonzero), n=1)


METRIC = Metric(
    name="nonzeros",
    version="1",
    title="Weights that are not zero",
    unit="count",
    direction="lower",
    needs="file",
    measure=measure,
    rank=72,
    help="What pruning lowers. A file stores its zeros all the same; compressed they cost next to nothing.",
)
