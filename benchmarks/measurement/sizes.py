"""What is counted in the files of all sample models, and what updates between variants of one of them transfer."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tables import run_all
from optimizers.engine.queue import JobQueue
from optimizers.figures import format as shown
from optimizers.litert import compression
from optimizers.litert.delta import WAYS, delta
from optimizers.models.sample import manifest
from optimizers.registry import metric
from optimizers.settings import Settings

TITLE = "What is counted in a file"
RECIPES = ("float32", "int8", "magnitude_pruning(target_sparsity=0.8)+int8")
UPDATED = "digits_cnn"
VARIANTS = ("float32", "dynamic_range", "int8", "weight_clustering+int8", RECIPES[-1])
COLUMNS = ("size_bytes", "best_compressed_bytes", "entropy_bytes", "macs", "arena_bytes", "peak_memory_bytes")


def lines() -> list[str]:
    """Both tables."""
    queue = JobQueue(Settings())
    try:
        return [*_counted(queue), "", *_updates(queue)]
    finally:
        queue.close()


def _counted(queue: JobQueue) -> list[str]:
    heads = " | ".join(metric(name).title.lower() for name in COLUMNS)
    found = [f"| model | recipe | {heads} |", "|---|---|" + "--:|" * len(COLUMNS)]
    for model, told in manifest().items():
        if told.is_variant_of:
            continue
        for recipe, results in run_all(queue, model, RECIPES).items():
            values = results[0].values
            cells = [shown.value(metric(name), values.get(name)) for name in COLUMNS]
            told_cells = " | ".join(cells) if values else results[0].refusal
            found.append(f"| {model} | `{recipe}` | {told_cells} |")
    return found


def _updates(queue: JobQueue) -> list[str]:
    files: dict[str, Path] = {}
    for recipe, results in run_all(queue, UPDATED, VARIANTS).items():
        artifact = queue.store.get(results[0].run.artifact_key)
        assert artifact is not None, "a finished run has a file"
        files[recipe] = queue.store.path(artifact)
    found = [
        f"Bytes that bring a device of {UPDATED} from the variant on the left to the one above: the smaller of both "
        "deltas, each applied and equal. The last row is the whole file after the best compressor.\n",
        "| from | " + " | ".join(f"`{name}`" for name in files) + " |", "|---|" + "--:|" * len(files),
    ]  # fmt: skip
    for name, old in files.items():
        cells = ["–" if new is old else shown.size(_smallest(old, new)) for new in files.values()]
        found.append(f"| `{name}` | {' | '.join(cells)} |")
    whole = [shown.size(min(compression.of_file(file).values())) for file in files.values()]
    return [*found, f"| nothing | {' | '.join(whole)} |"]


def _smallest(old: Path, new: Path) -> int:
    return min(len(delta(way, old.read_bytes(), new.read_bytes())) for way in WAYS)
