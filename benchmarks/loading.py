"""What reading a file safely costs, as a multiple of what ``load_model`` costs: that of Keras, and that of tf_keras.

    python -m benchmarks.loading

All are timed in turn in one process, after one round to warm up; the median of the rounds counts. Times are processor
times, so that other work on the machine does not count.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import keras
import tf_keras

from optimizers.models.reader import read
from optimizers.tf.build import build_keras3, build_tf_keras

_SHAPE = (64, 64, 3)
_ROUNDS = 5


def models() -> dict[str, Callable[[], Any]]:
    """Keras 3 models from small to large, with random weights."""
    applications, layers = keras.applications, keras.layers
    return {
        "mlp": lambda: keras.Sequential([keras.Input((64,)), layers.Dense(128, "relu"), layers.Dense(10)]),
        "lstm": lambda: keras.Sequential([keras.Input((32, 16)), layers.LSTM(64), layers.Dense(10)]),
        "MobileNetV2": lambda: applications.MobileNetV2(weights=None, input_shape=_SHAPE, classes=10),
        "ResNet50": lambda: applications.ResNet50(weights=None, input_shape=_SHAPE, classes=10),
        "DenseNet121": lambda: applications.DenseNet121(weights=None, input_shape=_SHAPE, classes=10),
    }


def seconds(work: Callable[[], Any]) -> float:
    """Processor time of one call."""
    keras.backend.clear_session()
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Prints one row for each model: each Keras's own loader, ours into the same Keras, and the ratio."""
    print(f"{'model':14}{'keras':>9}{'here':>9}{'ratio':>7}{'tf_keras':>10}{'here':>9}{'ratio':>7}   (seconds)")
    with tempfile.TemporaryDirectory() as folder:
        for name, build in models().items():
            path, old = Path(folder) / f"{name}.keras", Path(folder) / f"{name}-2.keras"
            build().save(path)
            build_tf_keras(read(path)).save(old)
            ways = (
                lambda path=path: keras.models.load_model(path),
                lambda path=path: build_keras3(read(path)),
                lambda old=old: tf_keras.models.load_model(old),
                lambda path=path: build_tf_keras(read(path)),
            )
            rounds = [[seconds(way) for way in ways] for _ in range(_ROUNDS + 1)][1:]
            native, ours, native_2, ours_2 = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(
                f"{name:14}{native:9.3f}{ours:9.3f}{ours / native:7.2f}{native_2:10.3f}{ours_2:9.3f}"
                f"{ours_2 / native_2:7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
