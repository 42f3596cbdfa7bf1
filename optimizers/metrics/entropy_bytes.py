"""How few bytes could tell the weights of a file."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._structure import counted


def measure(evidence: Evidence) -> Value:
    """Bytes of all weights under an ideal code for each tensor that knows how often every value occurs.

    See `optimizers.litert.census.fewest_bytes`.
    """
    return Value(value=float(round(sum(weight.bound for weight in counted(evidence).weights))), n=1)


METRIC = Metric(
    name="entropy_bytes",
    version="1",
    title="Entropy bound of the weights",
    unit="B",
    direction="lower",
    needs="file",
    measure=measure,
    rank=74,
    help="No compressor that treats a tensor's numbers as unrelated to each other can store the weights in less. "
    "“Size and entropy” on the page Inspect tells how far the file is from it.",
)
