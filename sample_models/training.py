"""Trains, converts and evaluates sample models. Imports TensorFlow; only `sample_models.build` and tests need it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from optimizers.declarations import Dataset
from sample_models import archives
from sample_models.scores import loss, scores
from sample_models.specs import SEED, Spec

_LOSSES = {
    "classification": "sparse_categorical_crossentropy",
    "binary": "binary_crossentropy",
    "regression": "mean_squared_error",
}


def deterministic() -> None:
    """Makes everything that follows repeatable on one machine: seeds and deterministic kernels."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()


def train(spec: Spec, data: Dataset, verbose: bool = False) -> Any:
    """The trained model, in the state after the epoch that was best on the validation part.

    Best means the best headline figure, ties by loss. The test part is not looked at. Regression learns standardized
    targets; their mean and deviation are folded into the last layer at the end, so that the model answers in the
    target's unit.
    """
    task = data.summary.task
    model = spec.network(keras)
    mean, std = _target_scale(data)
    steps = spec.epochs * -(-len(data.train) // spec.batch)
    rate = keras.optimizers.schedules.CosineDecay(spec.learning_rate, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=spec.decay), _LOSSES[task])
    random = np.random.default_rng(SEED)
    best, kept = (-np.inf, -np.inf), model.get_weights()
    for epoch in range(spec.epochs):
        order = random.permutation(len(data.train))
        x, y = data.train.x[order], (data.train.y[order] - mean) / std
        x = spec.augment(x, random) if spec.augment else x
        history = model.fit(x, y, batch_size=spec.batch, shuffle=False, verbose=0)
        outputs = model.predict_on_batch(data.validation.x) * std + mean
        reached = (
            next(iter(scores(task, outputs, data.validation.y).values())),
            -loss(task, outputs, data.validation.y),
        )
        if reached > best:
            best, kept = reached, model.get_weights()
        if verbose:
            print(f"{epoch + 1:4d}  {history.history['loss'][0]:.4f}  validation {reached[0]:.4f} {-reached[1]:.4f}")
    final = spec.network(keras)
    kept[-2:] = [kept[-2] * std, kept[-1] * std + mean] if task == "regression" else kept[-2:]
    final.set_weights(kept)
    return final


def save(model: Any, path: Path) -> None:
    """Writes a ``.keras`` file without optimizer and without dates."""
    model.save(path)
    archives.timeless_keras(path)


def save_variant(spec: Spec, original: Path, path: Path) -> None:
    """Writes the weights of a ``.keras`` file in a format of Keras 2: ``.h5``, or a zipped SavedModel.

    Raises:
        AssertionError: The two do not answer alike.
    """
    import tf_keras

    tf_keras.utils.set_random_seed(SEED)
    source = keras.models.load_model(original)
    twin = spec.network(tf_keras)
    twin.set_weights(source.get_weights())
    x = np.random.default_rng(SEED).random((16, *source.input_shape[1:]), dtype=np.float32)
    np.testing.assert_allclose(twin.predict_on_batch(x), source.predict_on_batch(x), atol=1e-5)
    if path.suffix == ".h5":
        twin.save(path, include_optimizer=False, save_format="h5")
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        twin.save(folder, include_optimizer=False, save_format="tf")
        (folder / "fingerprint.pb").unlink(missing_ok=True)  # holds a random number, and nobody needs it
        archives.zipped_folder(folder, path)


def load(path: Path) -> Any:
    """One of our own files as its native loader reads it."""
    if path.suffix == ".keras":
        return keras.models.load_model(path)
    import tf_keras

    if path.suffix == ".h5":
        return tf_keras.models.load_model(path, compile=False)
    with tempfile.TemporaryDirectory() as scratch:
        shutil.unpack_archive(path, scratch, "zip")
        return tf_keras.models.load_model(scratch, compile=False)


def evaluate(model: Any, data: Dataset) -> dict[str, float]:
    """Figures on the test part, the headline first."""
    outputs = np.concatenate([model.predict_on_batch(data.test.x[i : i + 512]) for i in range(0, len(data.test), 512)])
    return scores(data.summary.task, outputs, data.test.y)


def _target_scale(data: Dataset) -> tuple[float, float]:
    if data.summary.task != "regression":
        return 0, 1
    return float(data.train.y.mean()), float(data.train.y.std())
