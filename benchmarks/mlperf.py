"""The models of MLPerf Tiny through every step, and the int8 files against the published ones.

    python -m benchmarks.mlperf FOLDER [--all]

FOLDER holds ``ad01.h5``, ``kws_ref_model``, ``pretrainedResnet.h5``, ``vww_96.h5`` and the published ``*_int8.tflite``
or ``*_quant.tflite`` files, from https://github.com/mlcommons/tiny (benchmark/training). Their data are not needed:
steps learn what the original answers to noise and pictures of clothes, and sizes do not depend on it.

With --all: every technique and some chains, bytes of each file by model, or the sentence with which it was refused.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from optimizers import registry
from optimizers.engine import origins
from optimizers.engine.queue import JobQueue
from optimizers.history.frames import measurements_of
from optimizers.recipe import parse
from optimizers.records import Run
from optimizers.settings import Settings

MODELS = {
    "ad01.h5": ((640,), "ad01_int8.tflite"),
    "kws_ref_model": ((49, 10, 1), ""),
    "pretrainedResnet.h5": ((32, 32, 3), "pretrainedResnet_quant.tflite"),
    "vww_96.h5": ((96, 96, 3), "vww_96_int8.tflite"),
}
SHORT = "epochs=1, min_steps=0"
RECIPES = (
    "int8(io=int8)",
    "int8(io=int8, granularity=per_tensor)",
    f"magnitude_pruning({SHORT})+int8(io=int8)",
    f"weight_clustering({SHORT})+int8(io=int8)",
    f"quantization_aware_training({SHORT})+int8(io=int8)",
)
CHAINS = (
    f"magnitude_pruning({SHORT})+weight_clustering({SHORT})+int8",
    f"structured_pruning({SHORT})+int8",
    f"low_rank({SHORT})+int8",
    f"distillation({SHORT})+int8",
    f"magnitude_pruning({SHORT})+quantization_aware_training({SHORT})",
    f"weight_clustering({SHORT})+quantization_aware_training({SHORT})",
    f"magnitude_pruning({SHORT})+weight_clustering({SHORT})+quantization_aware_training({SHORT})",
    f"structured_pruning({SHORT})+magnitude_pruning({SHORT})+low_bit",
)


def everything() -> tuple[str, ...]:
    """Every technique alone, trained as shortly as can be, and the chains."""
    alone = (
        f"{t.name}({SHORT})" if "epochs" in t.params.model_fields else t.name for t in registry.techniques().values()
    )
    return (*alone, *CHAINS)


def examples(shape: tuple[int, ...], count: int = 240) -> np.ndarray:
    """Pictures from 0 to 255 for colour images, else noise; float32, shape (count, *shape)."""
    random = np.random.default_rng(0)
    if shape[-1] != 3:
        return random.normal(size=(count, *shape)).astype(np.float32)
    from optimizers.datasets.shaping import resized, with_channels

    x = origins.load_dataset("sample:fashion_mnist").train.x[:count]
    x = with_channels((x * 255 if x.max() <= 1 else x).astype(np.uint8), "rgb", (1, 1, 1))
    return resized(x, *shape[:2]).astype(np.float32)


def runs_of(
    queue: JobQueue, folder: Path, scratch: Path, name: str, recipes: Sequence[str], *, timed: bool
) -> list[Run]:
    """The finished runs of a model, one per recipe in order."""
    data = scratch / f"{name}.npz"
    np.savez(data, x=examples(MODELS[name][0]))
    runs = queue.submit(f"file:{folder / name}", f"file:{data}", [parse(text) for text in recipes], timed=timed)
    queue.wait([run.id for run in runs])
    return [queue.history.run(run.id) for run in runs]


def against_published(queue: JobQueue, folder: Path, scratch: Path, name: str) -> None:
    """Prints the lines of one model: its int8 files and the published one."""
    published = MODELS[name][1]
    known = (folder / published).stat().st_size if published else None
    for run in runs_of(queue, folder, scratch, name, RECIPES, timed=True):
        if run.state != "done":
            print(f"| {name} | `{run.recipe}` | | | {run.failure.message if run.failure else run.state} |")
            continue
        size = int(measurements_of(queue.history, run)["size_bytes"].value)
        verdict = "" if known is None else "no larger" if size <= known else f"{size - known:,} larger"
        told = f"{known:,}" if known else ""
        print(f"| {name} | `{run.recipe}` | {size:,} | {told} | {verdict} |", flush=True)


def all_techniques(queue: JobQueue, folder: Path, scratch: Path, names: Sequence[str]) -> None:
    """Prints a line per recipe with the bytes of each model's file, and below it why there is none."""
    recipes = everything()
    found = {}
    for name in names:
        found[name] = runs_of(queue, folder, scratch, name, recipes, timed=False)
        print(f"{name}: {sum(run.state == 'done' for run in found[name])} of {len(recipes)} done", file=sys.stderr)
    print(f"| recipe | {' | '.join(names)} |\n|---|{'--:|' * len(names)}")
    refused: dict[str, list[str]] = {}
    for place, recipe in enumerate(recipes):
        cells = []
        for name in names:
            run = found[name][place]
            if run.state == "done":
                cells.append(f"{int(measurements_of(queue.history, run)['size_bytes'].value):,}")
            else:
                cells.append("refused")
                reason = run.failure.message if run.failure else run.state
                refused.setdefault(reason, []).append(f"{name} with `{short(recipe)}`")
        print(f"| `{short(recipe)}` | {' | '.join(cells)} |")
    for reason, where in refused.items():
        print(f"\n{', '.join(where)}: {reason}")


def short(recipe: str) -> str:
    """A recipe without how long it trains."""
    return recipe.replace(f"({SHORT})", "").replace(f"{SHORT}, ", "")


def main() -> None:
    folder = Path(sys.argv[1])
    names = [name for name in MODELS if (folder / name).exists()]
    queue = JobQueue(Settings(), resume=False)
    with tempfile.TemporaryDirectory() as scratch:
        if "--all" in sys.argv:
            all_techniques(queue, folder, Path(scratch), names)
        else:
            print("| model | recipe | bytes | published | verdict |\n|---|---|--:|--:|---|")
            for name in names:
                against_published(queue, folder, Path(scratch), name)
    queue.close()


if __name__ == "__main__":
    main()
