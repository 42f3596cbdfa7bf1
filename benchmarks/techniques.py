"""Every sample model through every technique and their combinations, measured on the deployable files.

    python -m benchmarks.techniques [--only MODEL,…] [--sections samples,sizes,…] [--write]

With --write the tables go into docs/results.md, else to standard output. Results are kept in the usual store, so a
second call is quick, and a call that was interrupted goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import claims
from benchmarks.tables import model_table
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


SECTIONS: dict[str, tuple[str, Callable[[JobQueue, list[str]], list[str]]]] = {
    "samples": ("Sample models", samples),
    **claims.SECTIONS,
}
INTRODUCTION = """# Results on the sample models

Measured by `python -m benchmarks.techniques` on the deployable files, with the test part of each data set, seed 0 and
default settings unless something else is said. Device: {device}, one thread. {versions}.

Latency differs from hour to hour on a shared machine; the speed-up is measured in turn with the baseline and is what
can be compared. Where its interval contains 1, no difference was shown. Where a technique cannot work on a model, its
line says why.
"""


def main() -> None:
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else []
    asked = sys.argv[sys.argv.index("--sections") + 1].split(",") if "--sections" in sys.argv else list(SECTIONS)
    queue = JobQueue(Settings())
    versions = ", ".join(f"{name} {version}" for name, version in {**work_versions(), **measuring_versions()}.items())
    lines = [INTRODUCTION.format(device=device(), versions=versions)]
    for name in asked:
        title, section = SECTIONS[name]
        part = [f"## {title}\n", *section(queue, only), ""]
        print("\n".join(part), flush=True)
        lines += part
    queue.close()
    if "--write" in sys.argv:
        DOCUMENT.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
