"""Size of the file after the compressor that suits it best."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.litert import compression


def measure(evidence: Evidence) -> Value:
    """Fewest bytes that gzip, zstd, brotli or xz leave, each at a setting near its strongest; exact and repeatable."""
    return Value(value=float(min(compression.of_file(evidence.file).values())), n=1)


METRIC = Metric(
    name="best_compressed_bytes",
    version="1",
    title="Best compressed size",
    unit="B",
    direction="lower",
    needs="file",
    measure=measure,
    rank=70,
    help="Bytes after the best of gzip, zstd, brotli and xz: what is transferred where the receiver can be chosen. "
    "“Size and entropy” on the page Inspect shows them side by side.",
)
