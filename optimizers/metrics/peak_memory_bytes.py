"""How much memory a file takes in the process that runs it."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable

_BETWEEN = 65536.0
"""Bytes by which the middle of six copies of one process differs from that of the next one's: memory lies elsewhere."""


def measure(evidence: Evidence) -> Value:
    """Median over processes; the interval is from the lowest to the highest, and somewhat more on either side.

    ``n`` is the number of processes.

    Raises:
        NotApplicable: The system does not tell; it needs Linux.
    """
    if not evidence.memory:
        raise NotApplicable("The peak of resident memory was not measured; the system must be Linux.")
    added = [memory.added for memory in evidence.memory]
    low, high = max(0.0, min(added) - _BETWEEN), max(added) + _BETWEEN
    return Value(value=float(np.median(added)), n=len(added), low=low, high=high)


METRIC = Metric(
    name="peak_memory_bytes",
    version="2",
    title="Peak memory",
    unit="B",
    direction="lower",
    needs="timing",
    measure=measure,
    rank=77,
    device_bound=True,
    help="Resident memory that loading the file and one prediction add to a process of LiteRT, at its peak: the file, "
    "weights packed anew, activations and bookkeeping, program code excluded. Even the smallest file takes about 1 MB.",
)
