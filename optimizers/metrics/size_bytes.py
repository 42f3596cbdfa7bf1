"""Size of the file as it is deployed."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value


def measure(evidence: Evidence) -> Value:
    """Bytes of the file on disk; exact, so there is no interval."""
    return Value(value=float(evidence.file.stat().st_size), n=1)


METRIC = Metric(
    name="size_bytes",
    version="1",
    title="File size",
    unit="B",
    direction="lower",
    needs="file",
    measure=measure,
    rank=20,
    help="Bytes of the file that is deployed: what it occupies in storage.",
)
