"""Early stopping that always goes back to the best epoch, and tells which that was."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras

from optimizers.techniques._training import TrainingParams
from optimizers.tf.objective import Objective


def watch(params: TrainingParams, goal: Objective, patient_from: int, *, has_validation: bool) -> EarlyStopping | None:
    """The callback that the parameters ask for; None without patience or without validation examples."""
    if not params.patience or not has_validation:
        return None
    monitor = "val_loss" if params.monitor == "val_loss" else f"val_{goal.metric}"
    higher = params.monitor == "val_metric" and goal.metric_direction == "higher"
    return EarlyStopping(monitor, params.patience, params.min_delta, higher=higher, start=patient_from)


class EarlyStopping(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Stops after ``patience`` epochs without improvement, and leaves the weights of the best epoch behind.

    Keras' own callback keeps the last weights instead of the best ones when the epochs run out first.

    Args:
        monitor: Name of the figure in the logs of an epoch.
        patience: Epochs without improvement after which training ends.
        min_delta: How much better counts as better.
        higher: Larger is better.
        start: Epoch, from 0, before which nothing counts.
    """

    def __init__(self, monitor: str, patience: int, min_delta: float, *, higher: bool, start: int) -> None:
        super().__init__()
        self._monitor, self._patience, self._delta, self._start = monitor, patience, min_delta, start
        self._sign = -1.0 if higher else 1.0
        self._best = np.inf
        self._best_epoch = -1
        self._stopped_epoch = -1
        self._weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch < self._start:
            return
        value = self._sign * float((logs or {})[self._monitor])
        if value < self._best - self._delta or self._best_epoch < 0:
            self._best, self._best_epoch, self._weights = value, epoch, self.model.get_weights()
        elif epoch - self._best_epoch >= self._patience:
            self._stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._weights:
            self.model.set_weights(self._weights)

    def told(self) -> dict[str, Any]:
        """What was watched, the best epoch and its value, and where training stopped (None: at its end); from 1."""
        return {
            "monitor": self._monitor,
            "best_epoch": self._best_epoch + 1,
            "best_value": self._sign * self._best if np.isfinite(self._best) else None,
            "stopped_epoch": self._stopped_epoch + 1 if self._stopped_epoch >= 0 else None,
        }

    def sentence(self, epochs: int) -> str:
        """The same in words."""
        kept = f"the weights of epoch {self._best_epoch + 1} were kept"
        if self._stopped_epoch >= 0:
            return f"Stopped early after epoch {self._stopped_epoch + 1} of {epochs}; {kept}."
        return f"Trained to the end, epoch {epochs}; {kept}."
