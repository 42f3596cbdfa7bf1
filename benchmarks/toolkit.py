"""What a user would do instead: pruning, clustering, conversion and evaluation as the guides of the TensorFlow Model
Optimization Toolkit and of LiteRT have them, with the training settings that are the defaults here."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from ai_edge_litert.interpreter import Interpreter
from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster

import optimizers.tf  # noqa: F401  (sets TensorFlow up as the workers have it)
from optimizers.declarations import TrainingData
from optimizers.tf.build import load_working
from optimizers.tf.train import seed_everything

BATCH, RATE = 32, 3e-4
RUNS = 1000
"""Invocations of which the median is taken."""
_sparsity, _clustering = tfmot.sparsity.keras, tfmot.clustering.keras


def fit(model: Any, data: TrainingData, epochs: int, callbacks: Sequence[Any] = ()) -> None:
    """Trains a model in place: same examples, batches, optimizer and compilation as a step has them here."""
    model.compile(tf_keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", ["accuracy"], jit_compile=False)
    validation = (data.validation.x, data.validation.y)
    model.fit(data.train.x, data.train.y, batch_size=BATCH, epochs=epochs, validation_data=validation, verbose=0,
              callbacks=list(callbacks))  # fmt: skip


def prunable(model: Any, target: float, steps: int) -> Any:
    """The model in the toolkit's wrappers that prune it gradually during the first six tenths of so many batches."""
    decay = _sparsity.PolynomialDecay(0.0, target, 0, int(0.6 * steps), frequency=10)
    return _sparsity.prune_low_magnitude(model, decay)


def clusterable(model: Any, clusters: int, *, keep_zeros: bool = False) -> Any:
    """The model in the toolkit's wrappers that let its weights share so many values, and leave zeros alone if asked."""
    start = _clustering.CentroidInitialization.LINEAR
    if keep_zeros:
        return cluster.cluster_weights(model, clusters, start, preserve_sparsity=True)
    return _clustering.cluster_weights(model, number_of_clusters=clusters, cluster_centroids_init=start)


def converted(model: Any, kind: str, examples: np.ndarray) -> bytes:
    """A file of a model; ``examples``, shape (n, *input_shape), calibrate where the kind is ``int8``."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.representative_dataset = lambda: ([one[None]] for one in examples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return bytes(converter.convert())


def answers(content: bytes, x: np.ndarray) -> np.ndarray:
    """The class that a file gives each example, one after the other, int64, shape (n,)."""
    interpreter = _loaded(content)
    given, told = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    found = []
    for one in x:
        interpreter.set_tensor(given, one[None])
        interpreter.invoke()
        found.append(int(interpreter.get_tensor(told)[0].argmax()))
    return np.array(found)


def milliseconds(content: bytes) -> float:
    """The median of a thousand runs of a file."""
    interpreter, times = _loaded(content), []
    for _ in range(RUNS):
        started = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - started)
    return 1e3 * float(np.median(times))


def _loaded(content: bytes) -> Any:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def made(source: Path, data: TrainingData, steps: Sequence[tuple[str, dict[str, Any]]]) -> bytes:
    """The file that a recipe leaves of a Keras model.

    Args:
        source: The trained model.
        data: What to train on and to calibrate with.
        steps: Names of techniques and their settings, a conversion last.
    """
    seed_everything(0)
    model, pruned = load_working(source), False
    for name, params in steps[:-1]:
        batches = ceil(len(data.train) / BATCH)
        epochs = max(params["epochs"], ceil(params["min_steps"] / batches))
        if name == "magnitude_pruning":
            wrapped = prunable(model, params["target_sparsity"], epochs * batches)
            fit(wrapped, data, epochs, [_sparsity.UpdatePruningStep()])
            model, pruned = _sparsity.strip_pruning(wrapped), True
        else:
            wrapped = clusterable(model, params["clusters"], keep_zeros=pruned)
            fit(wrapped, data, epochs)
            model = _clustering.strip_clustering(wrapped)
    kind, params = steps[-1]
    return converted(model, kind, data.train.x[: params.get("calibration_samples", 0)])
