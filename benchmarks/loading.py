"""What reading a file safely costs, as a multiple of what ``keras.models.load_model`` costs on the same file.

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
    """Prints one row for each model."""
    print(f"{'model':14}{'load_model':>12}{'to Keras 3':>12}{'ratio':>7}{'to Keras 2':>12}{'ratio':>7}   (seconds)")
    with tempfile.TemporaryDirectory() as folder:
        for name, build in models().items():
            path = Path(folder) / f"{name}.keras"
            build().save(path)
            ways = (
                lambda path=path: keras.models.load_model(path),
                lambda path=path: build_keras3(read(path)),
                lambda path=path: build_tf_keras(read(path)),
            )
            rounds = [[seconds(way) for way in ways] for _ in range(_ROUNDS + 1)][1:]
            native, ours, toolkit = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(f"{name:14}{native:12.3f}{ours:12.3f}{ours / native:7.2f}{toolkit:12.3f}{toolkit / native:7.2f}")


if __name__ == "__main__":
    main()
