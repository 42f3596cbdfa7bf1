"""How much one prediction computes."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.litert.compute import work
from optimizers.metrics._structure import structure


def measure(evidence: Evidence) -> Value:
    """Multiply-accumulates of one prediction, all rounds of loops included; those with zeros count, as they are done.

    Raises:
        NotApplicable: There is a loop whose number of rounds the file does not tell.
    """
    return Value(value=float(sum(step.macs for step in work(structure(evidence)))), n=1)


METRIC = Metric(
    name="macs",
    version="1",
    title="Multiply-accumulates",
    unit="count",
    direction="lower",
    needs="file",
    measure=measure,
    rank=75,
    help="Of convolutions, dense layers, recurrent cells and matrix products for one example. Fewer need not be "
    "faster: time is measured.",
)
