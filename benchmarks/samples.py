"""Every sample model through the techniques, measured on the deployable files; writes the table in docs/results.md.

    python -m benchmarks.samples [--only NAME] [--write]

Without --write the table goes to standard output. Results are kept in the usual store, so a second call is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.engine.versions import device, measuring_versions, work_versions
from optimizers.figures import format as shown
from optimizers.history.frames import comparison, headline
from optimizers.models.sample import manifest
from optimizers.recipe import parse
from optimizers.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "results.md"
RECIPES = (
    "float32", "dynamic_range", "float16", "int8", "int8(io=int8)", "int16x8", "magnitude_pruning",
    "magnitude_pruning+dynamic_range", "magnitude_pruning(target_sparsity=0.8)+int8",
)  # fmt: skip
RECURRENT = ("float32(recurrent=unrolled)", "dynamic_range(recurrent=unrolled)", "int8(recurrent=fused)")


def rows(queue: JobQueue, name: str) -> Iterable[str]:
    """The lines of one model's table."""
    sample = manifest()[name]
    recipes = [parse(text) for text in (*RECIPES, *(RECURRENT if name in ("digits_lstm", "occupancy_gru") else ()))]
    runs = queue.submit(f"sample:{name}", sample.dataset, recipes)
    queue.wait(run.id for run in runs)
    runs = [queue.history.run(run.id) for run in runs]
    frame = comparison(queue.history, [run.id for run in runs])
    lead = headline(frame)
    assert lead is not None, "every sample model has a task"
    yield f"## {name}\n\n{sample.description}\n"
    title = registry.metric(lead).title
    yield f"| recipe | file | compressed | {title} | 95% interval | median latency | speed-up (interval) |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for run in runs:
        found = frame[(frame["variant"] == run.recipe) | (frame["is_baseline"] & (run.recipe == "float32"))]
        if found.empty:
            reason = run.failure.message if run.failure else run.state
            yield f"| `{run.recipe}` | {reason} | | | | | |"
        else:
            yield f"| `{run.recipe}` | {' | '.join(cells(found.iloc[0].to_dict(), lead))} |"
    yield ""


def cells(row: dict[str, float], lead: str) -> tuple[str, ...]:
    """What the table says about one file."""

    def value(metric: str) -> str:
        return shown.value(registry.metric(metric), row.get(metric))

    def interval(metric: str) -> str:
        return shown.interval(registry.metric(metric), row.get(f"{metric}_low"), row.get(f"{metric}_high"))

    speedup = "" if row["is_baseline"] else f"{value('speedup')} ({interval('speedup')})"
    return value("size_bytes"), value("compressed_bytes"), value(lead), interval(lead), value("latency_ms"), speedup


def main() -> None:
    only = sys.argv[sys.argv.index("--only") + 1 :][:1] if "--only" in sys.argv else []
    names = only or [name for name, sample in manifest().items() if sample.is_variant_of is None]
    queue = JobQueue(Settings())
    versions = ", ".join(f"{name} {version}" for name, version in {**work_versions(), **measuring_versions()}.items())
    lines = [
        "# Results on the sample models\n",
        "Measured by `python -m benchmarks.samples` on the deployable files, with the test part of each data set,",
        f"seed 0 and default settings. Device: {device()}, one thread. {versions}.\n",
        "Latency differs from hour to hour on a shared machine; the speed-up is measured in turn with the baseline and",
        "is what can be compared. Where its interval contains 1, no difference was shown.\n",
    ]
    for name in names:
        part = list(rows(queue, name))
        print("\n".join(part), flush=True)
        lines += part
    queue.close()
    if "--write" in sys.argv:
        TABLE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
