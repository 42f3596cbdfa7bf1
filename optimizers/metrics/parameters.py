"""How many numbers the weights of a file are."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._structure import counted


def measure(evidence: Evidence) -> Value:
    """Numbers in all weights, biases included and those that several operators share once, zeros or not."""
    return Value(value=float(counted(evidence).parameters), n=1)


METRIC = Metric(
    name="parameters",
    version="1",
    title="Parameters",
    unit="count",
    direction="lower",
    needs="file",
    measure=measure,
    rank=71,
    help="Numbers in the weights of the file, biases included. The converter folds normalizations into kernels, so "
    "there may be fewer than in the Keras model.",
)
