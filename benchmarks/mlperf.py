"""The models of MLPerf Tiny through every step, and the int8 files against the published ones.

    python -m benchmarks.mlperf FOLDER

FOLDER holds ``ad01.h5``, ``kws_ref_model``, ``pretrainedResnet.h5``, ``vww_96.h5`` and the published ``*_int8.tflite``
or ``*_quant.tflite`` files, from https://github.com/mlcommons/tiny (benchmark/training). Their data are not needed:
steps learn what the original answers to noise and pictures of clothes, and sizes do not depend on it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from optimizers.engine import origins
from optimizers.engine.queue import JobQueue
from optimizers.history.frames import measurements_of
from optimizers.recipe import parse
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


def examples(shape: tuple[int, ...], count: int = 240) -> np.ndarray:
    """Pictures from 0 to 255 for colour images, else noise; float32, shape (count, *shape)."""
    random = np.random.default_rng(0)
    if shape[-1] != 3:
        return random.normal(size=(count, *shape)).astype(np.float32)
    from optimizers.datasets.shaping import resized, with_channels

    x = origins.load_dataset("sample:fashion_mnist").train.x[:count]
    x = with_channels((x * 255 if x.max() <= 1 else x).astype(np.uint8), "rgb", (1, 1, 1))
    return resized(x, *shape[:2]).astype(np.float32)


def main() -> None:
    folder = Path(sys.argv[1])
    queue = JobQueue(Settings(), resume=False)
    print("| model | recipe | bytes | published | verdict |\n|---|---|--:|--:|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, (shape, published) in MODELS.items():
            if not (folder / name).exists():
                continue
            data = Path(scratch) / f"{name}.npz"
            np.savez(data, x=examples(shape))
            runs = queue.submit(f"file:{folder / name}", f"file:{data}", [parse(text) for text in RECIPES])
            queue.wait([run.id for run in runs])
            known = (folder / published).stat().st_size if published else None
            for run in (queue.history.run(run.id) for run in runs):
                if run.state != "done":
                    print(f"| {name} | `{run.recipe}` | | | {run.failure.message if run.failure else run.state} |")
                    continue
                size = int(measurements_of(queue.history, run)["size_bytes"].value)
                verdict = "" if known is None else "no larger" if size <= known else f"{size - known:,} larger"
                told = f"{known:,}" if known else ""
                print(f"| {name} | `{run.recipe}` | {size:,} | {told} | {verdict} |", flush=True)
    queue.close()


if __name__ == "__main__":
    main()
