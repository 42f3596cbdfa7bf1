"""Fits a tf_keras model to training data: one loss per task, Adam, repeatable, progress after every batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, isfinite
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.declarations import Progress, TrainingData
from optimizers.errors import NotApplicable
from optimizers.records import Task
from optimizers.techniques._training import TrainingParams
from optimizers.tf.outputs import output_activation

_PROBES = 64


def seed_everything(seed: int) -> None:
    """Makes what follows repeatable on this machine: Python, NumPy, TensorFlow, both Kerases and all kernels."""
    keras.utils.set_random_seed(seed)
    tf_keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def steps_per_epoch(data: TrainingData, params: TrainingParams) -> int:
    """Training steps in one epoch, the last and smaller batch included."""
    return ceil(len(data.train) / params.batch_size)


def epochs(data: TrainingData, params: TrainingParams) -> int:
    """Passes over the training data: as asked for, or more where the data are too few for ``min_steps``."""
    return max(params.epochs, ceil(params.min_steps / steps_per_epoch(data, params)))


def loss_and_metrics(model: Any, data: TrainingData) -> tuple[Any, list[Any]]:
    """The loss that fits a task and what the model's output layer gives, and metrics to report.

    Whether outputs are probabilities or logits is read from the last layer's activation; where that says nothing (a
    custom operation at the end), from the outputs on some training examples.

    Args:
        model: A tf_keras model with one output of shape (n, classes) or (n, 1).
        data: Decides the task, and the number of classes.

    Raises:
        NotApplicable: The model has several outputs, or an output that does not suit the task.
    """
    if len(model.outputs) != 1:
        raise NotApplicable(f"Training needs a model with one output; this one has {len(model.outputs)}.")
    shape = tuple(model.outputs[0].shape[1:])
    width = int(np.prod([d for d in shape if d is not None])) if shape else 1
    _check_width(data.task, width, len(data.classes))
    losses, metrics = tf_keras.losses, tf_keras.metrics
    if data.task == "regression":
        return losses.MeanSquaredError(), [metrics.MeanAbsoluteError(name="mae")]
    logits = not _gives_probabilities(model, data, width)
    if width == 1:
        threshold = 0.0 if logits else 0.5
        return losses.BinaryCrossentropy(from_logits=logits), [metrics.BinaryAccuracy("accuracy", threshold=threshold)]
    return losses.SparseCategoricalCrossentropy(from_logits=logits), [metrics.SparseCategoricalAccuracy("accuracy")]


def _check_width(task: Task, width: int, classes: int) -> None:
    if task == "classification" and width < max(2, classes):
        raise NotApplicable(f"The data have {classes} classes; the model tells only {width} apart.")
    if task != "classification" and width > (2 if task == "binary" else 1):
        raise NotApplicable(f"A {task} task needs one output value; the model gives {width}.")


def _gives_probabilities(model: Any, data: TrainingData, width: int) -> bool:
    activation = output_activation(model)
    if activation in ("softmax", "sigmoid"):
        return True
    if activation == "linear":
        return False
    rows = np.asarray(model(data.train.x[:_PROBES], training=False)).reshape(-1, width)
    inside = rows.min() >= 0 and rows.max() <= 1
    return bool(inside and (width == 1 or np.abs(rows.sum(axis=1) - 1).max() < 1e-3))


def fit(
    model: Any,
    data: TrainingData,
    params: TrainingParams,
    *,
    seed: int,
    progress: Progress,
    log: Callable[[str], None],
    callbacks: Sequence[Any] = (),
    patient_from: int = 0,
    loss: Any = None,
) -> dict[str, list[float]]:
    """Trains a model in place.

    Args:
        model: A built tf_keras model; it is compiled here, and its trainable flags are respected.
        data: Already in the form that the model takes.
        params: Epochs and least steps, batch size, learning rate, patience.
        seed: Of shuffling, dropout and everything else random.
        progress: Called after every batch with the step, the number of steps, ``loss`` and ``epoch`` (from 1).
        log: Called after every epoch with one line.
        callbacks: Further tf_keras callbacks, run before the ones that are made here.
        patient_from: Epoch (from 0) before which nothing is stopped and nothing counts as the best, for schedules that
            change the model while it trains.
        loss: Instead of the task's own loss; it must then suit the output.

    Returns:
        Lists with one number per epoch that was run: ``loss``, ``val_loss`` and the task's metric with and without
        ``val_``; the validation ones are absent where there are no validation examples.

    Raises:
        NotApplicable: The model's output does not suit the task, or training diverged.
        Cancelled: From ``progress``.
    """
    seed_everything(seed)
    own_loss, metrics = loss_and_metrics(model, data)
    # eager off, XLA off: the same kernels as everywhere else, and deterministic ones
    model.compile(tf_keras.optimizers.Adam(params.learning_rate), loss or own_loss, metrics, jit_compile=False)
    validation = (data.validation.x, _targets(data.validation.y)) if len(data.validation) else None
    reporting = _Reporting(progress, log, epochs(data, params), steps_per_epoch(data, params))
    patience = []
    if params.patience and validation is not None:
        patience.append(
            tf_keras.callbacks.EarlyStopping(
                "val_loss", patience=params.patience, restore_best_weights=True, start_from_epoch=patient_from
            )
        )
    history = model.fit(
        data.train.x,
        _targets(data.train.y),
        batch_size=params.batch_size,
        epochs=epochs(data, params),
        validation_data=validation,
        callbacks=[*callbacks, reporting, *patience],
        shuffle=True,
        verbose=0,
    )
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise _diverged()
    return {name: [float(v) for v in values] for name, values in history.history.items()}


def _diverged() -> NotApplicable:
    sentence = "Training diverged: a loss or a weight is no longer a finite number; lower the learning rate."
    return NotApplicable(sentence, code="diverged")


def _targets(y: np.ndarray) -> np.ndarray:
    """Targets with shape (n, 1), so that no loss broadcasts (n,) against (n, 1)."""
    return y.reshape(-1, 1)


class _Reporting(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Passes batches and epochs on, and stops a training that has diverged."""

    def __init__(self, progress: Progress, log: Callable[[str], None], epochs: int, steps: int) -> None:
        super().__init__()
        self._progress, self._log, self._epochs, self._steps = progress, log, epochs, steps
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {}).get("loss", float("nan")))
        if not isfinite(loss):
            raise _diverged()
        done = self._epoch * self._steps + batch + 1
        self._progress(done, self._epochs * self._steps, loss=loss, epoch=self._epoch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        shown = ", ".join(f"{name} {float(value):.4f}" for name, value in (logs or {}).items())
        self._log(f"epoch {epoch + 1} of {self._epochs}: {shown}")
