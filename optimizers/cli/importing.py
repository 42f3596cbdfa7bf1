"""Commands that bring in what was measured elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizers.cli.common import Home, Json, Opened, app, print_json, run_named, say
from optimizers.devices import benchmark_log, imported
from optimizers.engine.queue import JobQueue
from optimizers.errors import DataRefused, UserError
from optimizers.records import Run


@app.command("import-benchmark")
def import_benchmark(
    run: Annotated[str, typer.Argument(help="Id of a finished run.")],
    file: Annotated[Path, typer.Argument(help="What benchmark_model or litert-benchmark printed or wrote.")],
    device: Annotated[str, typer.Option("--device", help="What the device is called.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Import benchmarks of a run's file, or of its baseline, that were made on another device."""
    with Opened(home) as queue:
        found = run_named(queue, run)
        if not found.artifact_digest:
            raise UserError(f"The run {run!r} has no file: it is {found.state}.")
        kept = []
        for benchmark in benchmark_log.parse(_content(file)):
            digest = _which(queue, found, benchmark)
            kept += imported.store(benchmark, digest, device, [found], queue.history)
            say(f"{benchmark.tool} of the {'run’s file' if digest == found.artifact_digest else 'baseline'}: "
                f"{benchmark.mean_ms:.6g} ms on average of {benchmark.count} runs")  # fmt: skip
    if as_json:
        print_json([m.model_dump(mode="json") for m in kept])
    else:
        for m in kept:
            interval = f"  [{m.low:.6g}, {m.high:.6g}]" if m.low is not None else ""
            print(f"{m.device}: {m.metric} {m.value:.6g} {m.unit}{interval}")


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(benchmark_log.MOST_BYTES + 1)
    except OSError as error:
        raise DataRefused(f"{file} cannot be read: {error.strerror}.") from error


def _which(queue: JobQueue, run: Run, benchmark: benchmark_log.Benchmark) -> str:
    """Digest of the file that the log is about: by the size it tells, else the run's own."""
    sizes = {}
    for key in (run.artifact_key, run.baseline_key):
        artifact = queue.store.get(key) if key else None
        if artifact is not None:
            sizes[artifact.digest] = artifact.size_bytes
    fitting = [digest for digest, size in sizes.items() if not imported.contradicts(benchmark, size)]
    if sizes and not fitting:
        assert benchmark.file_size is not None, "without a size nothing is contradicted"
        about = (benchmark.file_size.low + benchmark.file_size.high) / 2
        raise UserError(
            f"The log tells of a file of about {about:,.0f} bytes; this run's files have "
            f"{' and '.join(f'{size:,}' for size in sizes.values())}."
        )
    return fitting[0] if fitting else run.artifact_digest
