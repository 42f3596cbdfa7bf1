"""Fits a tf_keras model to training data: repeatable, cancellable, with early stopping and recovery from a teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.datasets.several import arrays_of
from optimizers.declarations import Progress, StageContext, TrainingData
from optimizers.errors import NotApplicable
from optimizers.techniques._training import TrainingParams
from optimizers.tf import feeding, stopping
from optimizers.tf.objective import Objective, objective
from optimizers.tf.outputs import given, side_by_side

_OPTIMIZERS: dict[str, Callable[[float], Any]] = {
    "adam": tf_keras.optimizers.Adam,
    "adamw": tf_keras.optimizers.AdamW,
    "sgd": lambda rate: tf_keras.optimizers.SGD(rate, momentum=0.9),
    "rmsprop": tf_keras.optimizers.RMSprop,
}


@dataclass(frozen=True)
class Training:
    """How a training went. ``history`` has one number per epoch that was run; ``notes`` are sentences."""

    history: dict[str, list[float]]
    notes: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


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


def tune(
    model: Any,
    context: StageContext,
    params: TrainingParams,
    *,
    callbacks: Sequence[Any] = (),
    patient_from: int = 0,
    teacher: Any = None,
    labelled: np.ndarray | None = None,
) -> Training:
    """Trains a model in place as the parameters ask, from labels, from the chain's original model, or from both.

    Args:
        model: A built tf_keras model; it is compiled here, and its trainable flags are respected.
        context: Of the stage: data, seed, progress, log, and the original to learn from.
        params: All training settings.
        callbacks: Further tf_keras callbacks, run before the ones that are made here.
        patient_from: Epoch (from 0) before which nothing is stopped and nothing counts as the best, for schedules that
            change the model while it trains.
        teacher: What to learn from instead of the original, where ``learn_from`` asks for a teacher at all: a tf_keras
            model with the same kind of output.
        labelled: Which training examples have a label that may be used, shape (n,), bool; all unless given.

    Returns:
        History with ``loss``, ``val_loss`` and the task's metric with and without ``val_``; the validation ones are
        absent where there are no validation examples. Figures: ``history``, ``epochs`` and, where asked for,
        ``early_stopping``.

    Raises:
        NotApplicable: The model's output does not suit the task or its teacher, or training diverged.
        Cancelled: From ``context.progress``.
    """
    data = context.data()
    seed_everything(context.seed)
    goal = objective(model, context, params, teacher=teacher, labelled=labelled)
    feed = feeding.feed(data, params, goal, context.seed)
    optimizer = _OPTIMIZERS[params.optimizer](params.learning_rate)
    learner = side_by_side(model)
    # eager off, XLA off: the same kernels as everywhere else, and deterministic ones
    learner.compile(optimizer, goal.loss, goal.metrics, jit_compile=False)
    # before the first step: a step that creates variables is traced a second time without them
    optimizer.build(learner.trainable_variables)
    total = epochs(data, params)
    reporting = _Reporting(context.progress, context.log, total, steps_per_epoch(data, params))
    watch = stopping.watch(params, goal, patient_from, has_validation=len(data.validation) > 0)
    history = learner.fit(
        feed.x,
        feed.y,
        sample_weight=feed.weights,
        batch_size=None if feed.y is None else params.batch_size,
        epochs=total,
        validation_data=_validation(data, goal),
        callbacks=[*callbacks, reporting, *([watch] if watch else [])],
        shuffle=True,
        verbose=0,
    )
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise _diverged()
    found = {name: [float(v) for v in values] for name, values in history.history.items()}
    run = len(found["loss"])
    reporting.finish()
    notes = [*goal.notes, *feed.notes]
    if total > params.epochs:
        notes.append(f"Trained for up to {total} epochs instead of {params.epochs}, to take {params.min_steps} steps.")
    figures: dict[str, Any] = {"history": found, "epochs": run, **goal.figures}
    if watch:
        figures["early_stopping"] = watch.told()
        notes.append(watch.sentence(total))
    elif params.patience:
        notes.append("There are no validation examples, so nothing was stopped early.")
    return Training(found, tuple(notes), figures)


def _validation(data: TrainingData, goal: Objective) -> Any:
    if not len(data.validation):
        return None
    return given(arrays_of(data.validation.x)), goal.validation_targets


def _diverged() -> NotApplicable:
    sentence = "Training diverged: a loss or a weight is no longer a finite number; lower the learning rate."
    return NotApplicable(sentence, code="diverged")


class _Reporting(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Passes batches on, with what the epoch before them validated, and stops a training that has diverged."""

    def __init__(self, progress: Progress, log: Callable[[str], None], epochs: int, steps: int) -> None:
        super().__init__()
        self._progress, self._log, self._epochs, self._steps = progress, log, epochs, steps
        self._epoch = self._done = 0
        self._latest: dict[str, float] = {}
        self._validated: dict[str, float] = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {}).get("loss", float("nan")))
        if not isfinite(loss):
            raise _diverged()
        self._done = self._epoch * self._steps + batch + 1
        self._latest = {"loss": loss, "epoch": self._epoch + 1, **self._validated}
        self._progress(self._done, self._epochs * self._steps, **self._latest)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        shown = ", ".join(f"{name} {float(value):.4f}" for name, value in (logs or {}).items())
        self._log(f"epoch {epoch + 1} of {self._epochs}: {shown}")
        self._validated = {name: float(value) for name, value in (logs or {}).items() if name.startswith("val_")}

    def finish(self) -> None:
        """Says that the work is done where it was stopped early."""
        total = self._epochs * self._steps
        if self._done < total:
            self._progress(total, total, **self._latest)
