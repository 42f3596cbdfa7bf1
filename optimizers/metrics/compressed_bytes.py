"""Size of the file as it travels: gzip, level 9."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.litert import compression


def measure(evidence: Evidence) -> Value:
    """Bytes after ``gzip -9 --no-name``; exact and repeatable, because no time stamp is written."""
    return Value(value=float(compression.of_file(evidence.file)[compression.GZIP]), n=1)


METRIC = Metric(
    name="compressed_bytes",
    version="1",
    title="Compressed size",
    unit="B",
    direction="lower",
    needs="file",
    measure=measure,
    rank=30,
    help="Bytes after gzip -9: what an app bundle or an over-the-air update transfers. Zeros and repeated weights pay.",
)
