"""How many different numbers the kernels of a file hold."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._structure import counted


def measure(evidence: Evidence) -> Value:
    """Distinct stored numbers of each kernel, added up over the kernels.

    Raises:
        NotApplicable: The file has no kernel.
    """
    kernels = counted(evidence).kernels
    if not kernels:
        raise NotApplicable("The file has no kernels.")
    return Value(value=float(sum(kernel.unique for kernel in kernels)), n=1)


METRIC = Metric(
    name="unique_weights",
    version="1",
    title="Unique weights",
    unit="count",
    direction="lower",
    needs="file",
    measure=measure,
    rank=73,
    help="Distinct values of each kernel, added up. Clustering leaves as many per layer as it has clusters, int8 at "
    "most 256; few distinct values compress well.",
)
