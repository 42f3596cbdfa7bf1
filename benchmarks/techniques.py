"""Every sample model through every technique and their combinations, measured on the deployable files.

    python -m benchmarks.techniques [--only MODEL,…] [--sections samples,sizes,…] [--write]

With --write the sections that were asked for go into docs/results.md, each between its two marker lines, and the others
stay; else everything goes to standard output. Results are kept in the usual store, so a second call is quick, and one
that was interrupted goes on; only training times are measured anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import claims
from benchmarks.tables import model_table, written
from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.engine.versions import device, measuring_versions, work_versions
from optimizers.models.sample import manifest
from optimizers.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "results.md"
CHAINS = (
    "int8(io=int8)",
    "magnitude_pruning(target_sparsity=0.8)+int8",
    "weight_clustering+int8",
    "structured_pruning+int8",
    "low_rank+int8",
    "distillation+int8",
    "magnitude_pruning+weight_clustering+quantization_aware_training",
)
RECURRENT = ("float32(recurrent=unrolled)", "dynamic_range(recurrent=unrolled)", "int8(recurrent=fused)")


def samples(queue: JobQueue, only: list[str]) -> list[str]:
    """A table for each sample model."""
    lines = []
    for name, sample in manifest().items():
        if sample.is_variant_of is None and (not only or name in only):
            more = RECURRENT if name in ("digits_lstm", "occupancy_gru") else ()
            recipes = ("float32", *(t for t in registry.techniques() if t != "float32"), *CHAINS, *more)
            lines += [f"### {name}\n", sample.description, "", *model_table(queue, name, recipes), ""]
    return lines


def training(queue: JobQueue, only: list[str]) -> list[str]:
    """Training time against plain toolkit code."""
    from benchmarks import training_speed  # loads TensorFlow

    return training_speed.lines()


SECTIONS: dict[str, tuple[str, Callable[[JobQueue, list[str]], list[str]]]] = {
    "samples": ("Sample models", samples),
    **claims.SECTIONS,
    "training": ("Training time", training),
}
INTRODUCTION = """\
Measured by `python -m benchmarks.techniques` on the deployable files, with the test part of each data set, seed 0 and
default settings unless something else is said. Device: {device}, one thread. {versions}.

Latency differs from hour to hour on a shared machine; the speed-up is measured in turn with the baseline and is what
can be compared. Where its interval contains 1, no difference was shown. Where a technique cannot work on a model, its
line says why."""


def put(name: str, lines: list[str]) -> None:
    """Prints a section and, with --write, puts it into the document."""
    print("\n".join([*lines, ""]), flush=True)
    if "--write" in sys.argv:
        DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), name, lines), encoding="utf-8")


def main() -> None:
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else []
    asked = sys.argv[sys.argv.index("--sections") + 1].split(",") if "--sections" in sys.argv else []
    queue = JobQueue(Settings())
    if not asked:
        versions = ", ".join(f"{name} {told}" for name, told in {**work_versions(), **measuring_versions()}.items())
        put("introduction", [INTRODUCTION.format(device=device(), versions=versions)])
    for name in asked or SECTIONS:
        title, section = SECTIONS[name]
        put(name, [f"## {title}\n", *section(queue, only)])
    queue.close()


if __name__ == "__main__":
    main()
