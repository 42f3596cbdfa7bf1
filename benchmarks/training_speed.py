"""Training time of a step here against plain toolkit code that does the same steps on the same model, in turn.

    python -m benchmarks.training_speed [ROUNDS]

Each pair runs ROUNDS times (3 unless given), one after the other, and the ratio of the medians is told.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow_model_optimization as tfmot
import tf_keras

import optimizers.tf  # noqa: F401  (sets TensorFlow up as the workers have it)
from optimizers import registry
from optimizers.declarations import StageContext, TrainingData
from optimizers.engine import origins
from optimizers.params import resolve
from optimizers.tf.build import load_working
from optimizers.tf.train import seed_everything

MODEL, DATA, EPOCHS = "sample:digits_cnn", "sample:optdigits", 8  # as many as steps take unless told


def ours(name: str, source: Path, data: TrainingData) -> None:
    """The step as a run does it, reading and writing of the model included."""
    technique = registry.technique(name)
    params = resolve(name, technique.params, {"epochs": EPOCHS, "min_steps": 0})
    with tempfile.TemporaryDirectory() as out:
        context = StageContext(source, Path(out), lambda: data, 0, lambda *_, **__: None, lambda _: None)
        technique.apply(context, params)


def plain(wrap: Callable[[Any], Any], strip: Callable[[Any], Any], source: Path, data: TrainingData,
          callbacks: Callable[[], list[Any]] = list) -> None:  # fmt: skip
    """The same as the toolkit's guide does it."""
    seed_everything(0)
    model = wrap(load_working(source))
    model.compile(tf_keras.optimizers.Adam(3e-4), "sparse_categorical_crossentropy", ["accuracy"], jit_compile=False)
    validation = (data.validation.x, data.validation.y)
    model.fit(data.train.x, data.train.y, batch_size=32, epochs=EPOCHS, validation_data=validation, verbose=0,
              callbacks=callbacks())  # fmt: skip
    with tempfile.TemporaryDirectory() as out:
        strip(model).save(Path(out) / "model.keras")


def pairs(source: Path, data: TrainingData) -> dict[str, Callable[[], None]]:
    """The toolkit's way for each step that it has."""
    steps = EPOCHS * -(-len(data.train) // 32)
    decay = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.5, 0, int(0.6 * steps), frequency=10)
    centroids = tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS
    return {
        "magnitude_pruning": lambda: plain(
            lambda m: tfmot.sparsity.keras.prune_low_magnitude(m, decay), tfmot.sparsity.keras.strip_pruning,
            source, data, lambda: [tfmot.sparsity.keras.UpdatePruningStep()],
        ),
        "weight_clustering": lambda: plain(
            lambda m: tfmot.clustering.keras.cluster_weights(
                m, number_of_clusters=16, cluster_centroids_init=centroids
            ),
            tfmot.clustering.keras.strip_clustering, source, data,
        ),
        "quantization_aware_training": lambda: plain(
            tfmot.quantization.keras.quantize_model, lambda m: m, source, data
        ),
    }  # fmt: skip


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    source, data = origins.resolve_model(MODEL)[0], origins.load_dataset(DATA).for_training()
    print(f"{MODEL}, {EPOCHS} epochs, seconds (median of {rounds}, taken in turn)\n")
    print("| step | here | plain toolkit | ratio |\n|---|--:|--:|--:|")
    for name, theirs in pairs(source, data).items():
        here, there = [], []
        for _ in range(rounds):
            here.append(timed(lambda name=name: ours(name, source, data)))  # type: ignore[misc]
            there.append(timed(theirs))
        ratio = median(here) / median(there)
        print(f"| {name} | {median(here):.1f} | {median(there):.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
