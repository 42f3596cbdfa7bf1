"""What the numbers of one output mean for a task, and the loss and metric that suit them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tf_keras

from optimizers.declarations import TrainingData
from optimizers.errors import NotApplicable
from optimizers.kinds import KINDS
from optimizers.records import Task
from optimizers.tf.losses import (
    FlatAbsoluteError,
    FlatBinaryAccuracy,
    FlatBinaryCrossentropy,
    FlatSquaredError,
    Meaning,
    PositionsAccuracy,
    PositionsCrossentropy,
)

_PROBES = 64


def things_of(data: TrainingData) -> int:
    """Of how many things of an example a class is told: itself, or its labels or positions."""
    several = KINDS[data.task].decides in ("label", "position")
    return int(np.prod(data.train.y.shape[1:])) if several else 1


def meaning(activation: str, width: int, data: TrainingData, answers: Callable[[np.ndarray], np.ndarray]) -> Meaning:
    """What ``width`` numbers behind an activation mean for the task; see `optimizers.tf.objective.output_of`.

    Args:
        activation: Empty where it is not known.
        width: Numbers per example.
        data: Of the task.
        answers: From examples to their outputs, shape (n, width); asked where the activation says nothing.
    """
    if data.task == "classification" and width < max(2, len(data.classes)):
        raise NotApplicable(f"The data have {len(data.classes)} classes; the model tells only {width} apart.")
    if data.task == "binary" and width > 2:
        raise NotApplicable(f"A binary task needs one output value or two; the model gives {width}.")
    things = things_of(data)
    if things > 1 and (width % things or (data.task == "multilabel" and width != things)):
        raise NotApplicable(f"The data have {things} labels for an example; the model gives {width} numbers.")
    if not KINDS[data.task].decides:
        wanted = int(np.prod(data.train.y.shape[1:]))
        if width != wanted:
            raise NotApplicable(f"The data have {wanted} numbers to estimate for an example; the model gives {width}.")
        return "values"
    if activation in ("softmax", "sigmoid"):
        return "probabilities"
    if activation == "linear":
        return "logits"
    rows = answers(data.train.x[:_PROBES]).reshape(-1, width // things)
    inside, alone = rows.min() >= 0 and rows.max() <= 1, rows.shape[1] == 1
    return "probabilities" if inside and (alone or np.abs(rows.sum(axis=1) - 1).max() < 1e-3) else "logits"


def label_loss(output: Meaning, width: int, task: Task, things: int = 1) -> Any:
    """The loss of ``width`` numbers on labels of so many ``things``: (labels, answers) to a scalar."""
    return own_loss(output, width, task, things)[0]


def own_loss(output: Meaning, width: int, task: Task, things: int) -> tuple[Any, Any, Literal["lower", "higher"]]:
    """The same loss, the metric that people know the task by, and which direction of that is better."""
    losses, metrics, logits = tf_keras.losses, tf_keras.metrics, output == "logits"
    threshold = 0.0 if logits else 0.5
    if not KINDS[task].decides:
        return FlatSquaredError(), FlatAbsoluteError(name="mae"), "lower"
    if KINDS[task].decides != "example":
        if width == things:
            loss = FlatBinaryCrossentropy(from_logits=logits)
            return loss, FlatBinaryAccuracy("accuracy", threshold=threshold), "higher"
        return PositionsCrossentropy(from_logits=logits), PositionsAccuracy("accuracy"), "higher"
    if width == 1:
        metric = metrics.BinaryAccuracy("accuracy", threshold=threshold)
        return losses.BinaryCrossentropy(from_logits=logits), metric, "higher"
    metric = metrics.SparseCategoricalAccuracy("accuracy")
    return losses.SparseCategoricalCrossentropy(from_logits=logits), metric, "higher"
