"""Benchmarks from logs as measurements of a run's files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import PurePosixPath, PureWindowsPath

from optimizers import registry
from optimizers.devices import names
from optimizers.devices.benchmark_log import Benchmark
from optimizers.devices.measuring import keep
from optimizers.errors import UserError
from optimizers.history.database import History
from optimizers.records import Measurement, Run


def store(benchmark: Benchmark, digest: str, name: str, runs: Sequence[Run], history: History) -> list[Measurement]:
    """Keeps a benchmark of one of these runs' files under the device's name and returns its measurements.

    Raises:
        UserError: The name is empty, no run has the file, or a run has measurements of too many devices.
    """
    whose = [run for run in runs if run.artifact_digest == digest] or [r for r in runs if r.baseline_digest == digest]
    if not whose:
        raise UserError("That file is not in this comparison.")
    found = measurements(benchmark, digest, name)
    for run in whose:
        keep(history, run, found)
    return found


def measurements(benchmark: Benchmark, digest: str, name: str) -> list[Measurement]:
    """The mean, and the median where the log tells it, of one file under a device's name.

    The mean's 95% interval is Student's, from the standard deviation and the number of runs in the log, widened by
    what was rounded away when it was printed. It takes the runs as independent of one another, which a log cannot
    show. A log has no interval of a median, and nothing that was timed in turn, so there is no speed-up.

    Args:
        digest: Of the file that was timed.
        name: What somebody calls the device.

    Raises:
        UserError: The name is empty.
    """
    low, high = _interval(benchmark)
    values = {"latency_mean_ms": (benchmark.mean_ms, low, high)}
    if benchmark.median_ms is not None:
        values["latency_ms"] = (benchmark.median_ms, None, None)
    known = registry.metrics()
    return [
        Measurement(
            artifact_digest=digest,
            metric=metric,
            version=known[metric].version,
            value=value,
            low=below,
            high=above,
            unit=known[metric].unit,
            n=benchmark.count,
            threads=benchmark.threads,
            source="import",
            device=names.labelled(name, benchmark.tool, benchmark.accelerator),
            versions={"tool": benchmark.tool},
        )
        for metric, (value, below, above) in values.items()
    ]


def _interval(benchmark: Benchmark) -> tuple[float | None, float | None]:
    from scipy.stats import t

    if benchmark.std_ms is None or benchmark.count < 2:
        return None, None
    spread = float(t.ppf(0.975, benchmark.count - 1)) * (benchmark.std_ms + benchmark.step_ms / 2)
    half = spread / sqrt(benchmark.count) + benchmark.step_ms / 2
    return max(0.0, benchmark.mean_ms - half), benchmark.mean_ms + half


def recognised(benchmark: Benchmark, files: Mapping[str, tuple[str, int]]) -> str | None:
    """Which file a benchmark is about, or None where the log does not tell or leaves a choice.

    Args:
        files: By digest, the name under which a file is downloaded and its size in bytes.
    """
    fits = [digest for digest, (_, size) in files.items() if _size_fits(benchmark, size)]
    if len(fits) == 1 and benchmark.file_size is not None:
        return fits[0]
    called = [digest for digest in fits if benchmark.model and _same(benchmark.model, files[digest][0])]
    return called[0] if len(called) == 1 else None


def contradicts(benchmark: Benchmark, size: int) -> bool:
    """Whether the log says that the file had another size."""
    return not _size_fits(benchmark, size)


def _size_fits(benchmark: Benchmark, size: int) -> bool:
    return benchmark.file_size is None or benchmark.file_size.low <= size <= benchmark.file_size.high


def _same(path: str, file: str) -> bool:
    """Whether a path ends in that file name; downloads of the same name get a number such as ``(1)``."""
    last = PureWindowsPath(PurePosixPath(path).name).name
    return re.sub(r" ?\(\d+\)(?=\.tflite$)", "", last) == file
