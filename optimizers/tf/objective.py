"""What a training minimizes: the task's own loss, the distance to a teacher's outputs, or a mixture of both.

A teacher's outputs are computed once and travel beside the labels in one array: first the label (one column, or one for
each number that the model is to give), then a column that tells whether it may be used, then the teacher's outputs.
Where a model has several outputs they lie side by side, in labels, in the teacher's outputs and in what is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.declarations import StageContext, TrainingData
from optimizers.errors import NotApplicable
from optimizers.kinds import KINDS
from optimizers.records import Task, digest_of_path
from optimizers.techniques._training import TrainingParams
from optimizers.tf.losses import (
    SMALLEST,
    FlatAbsoluteError,
    FlatBinaryAccuracy,
    FlatBinaryCrossentropy,
    FlatSquaredError,
    OutputChange,
    Packed,
    PositionsAccuracy,
    PositionsCrossentropy,
    SideBySide,
    on_labels,
    outputs_of,
    over_things,
)
from optimizers.tf.outputs import output_activation, outputs

_PROBES = 64
Output = Literal["probabilities", "logits", "values"]


@dataclass(frozen=True)
class Objective:
    """Loss, metrics and targets of one training.

    Attributes:
        loss, metrics: For ``compile``.
        metric, metric_direction: Name of the task's own metric, and which direction is better.
        train_targets: Shape (n, labels), or (n, labels + 1 + outputs) where there is a teacher.
        validation_targets: Of the validation part, shape (n, labels): labels only, or None without examples.
        targets_of: Targets of varied examples: (examples of shape (k, *example), their numbers in the train part, and
            their labels where these were varied with them, else None).
        notes, figures: For the report.
    """

    loss: Any
    metrics: list[Any]
    metric: str
    metric_direction: Literal["lower", "higher"]
    train_targets: np.ndarray
    validation_targets: np.ndarray | None
    targets_of: Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
    notes: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


def objective(
    model: Any,
    context: StageContext,
    params: TrainingParams,
    *,
    teacher: Any = None,
    labelled: np.ndarray | None = None,
) -> Objective:
    """What to minimize, as ``params.learn_from`` asks for it.

    Args:
        model: A tf_keras model. One output has the shape (n, classes) or (n, 1), or any shape where there are as many
            labels, or as many for each class; several have as many together, and ``loss`` takes them as
            `outputs.side_by_side` gives them.
        context: Data, and the original to learn from.
        params: All training settings.
        teacher: Instead of the original, a tf_keras model.
        labelled: Which labels may be used, shape (n,), bool; all unless given.

    Raises:
        NotApplicable: What the model gives does not suit the task or the teacher.
    """
    data = context.data()
    output = output_of(model, data)
    things = things_of(data)
    own, metric, direction = _own(output, _width(model, data), data.task, things)
    notes: tuple[str, ...] = ()
    if len(model.outputs) > 1:
        each = outputs_of(model, data.train.x, data.train.y)
        own, metric = SideBySide(each), OutputChange(each)
        whose = "another model" if teacher is not None and params.learn_from != "labels" else "the original"
        notes = (f"All {len(each)} outputs learned from what {whose} answers; each counts by how much it varies.",)
    labels = data.train.y.reshape(len(data.train), -1)
    validation = data.validation.y.reshape(len(data.validation), -1) if len(data.validation) else None
    if params.learn_from == "labels" and labelled is None:
        return Objective(
            own, [metric], metric.name, direction, labels, validation,
            lambda x, picks, y: labels[picks] if y is None else y.reshape(len(y), -1), notes,
        )  # fmt: skip
    allowed = np.ones(len(labels), bool) if labelled is None else labelled
    alpha = {"labels": 1.0, "original": 0.0, "both": params.label_weight}[params.learn_from]
    guide = _Guide(model, context, data, teacher) if alpha < 1 else None
    columns = [labels, allowed.reshape(-1, 1)]
    packed = np.concatenate([*columns, guide.outputs()] if guide else columns, axis=1).astype(np.float32)

    def targets_of(x: np.ndarray, picks: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        rows: np.ndarray = packed[picks]
        if y is not None:
            rows[:, : labels.shape[1]] = y.reshape(len(y), -1)
        if guide:
            rows[:, labels.shape[1] + 1 :] = guide.answers(x)
        return rows

    kind = guide.output if guide else output
    told = things, _width(model, data) // things
    loss = _mixed_loss(own, output, kind, labels.shape[1], told, alpha, params.temperature)
    figures = {"learned_from": params.learn_from, "teacher": guide.name} if guide else {}
    return Objective(
        Packed(loss), [on_labels(metric, labels.shape[1])], metric.name, direction, packed, validation, targets_of,
        notes, figures,
    )  # fmt: skip


def things_of(data: TrainingData) -> int:
    """Of how many things of an example a class is told: itself, or its labels or positions."""
    several = KINDS[data.task].decides in ("label", "position")
    return int(np.prod(data.train.y.shape[1:])) if several else 1


def output_of(model: Any, data: TrainingData) -> Output:
    """What a model's output means for the task, read from its last layer or, where that says nothing, from outputs.

    Raises:
        NotApplicable: A width that does not suit the task.
    """
    return meaning(output_activation(model), _width(model, data), data, lambda x: outputs(model, x))


def meaning(activation: str, width: int, data: TrainingData, answers: Callable[[np.ndarray], np.ndarray]) -> Output:
    """What ``width`` numbers behind an activation mean for the task; see `output_of`.

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


def _width(model: Any, data: TrainingData) -> int:
    """Numbers for an example in all outputs together."""
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    if any(None in shape for shape in shapes):
        return int(outputs(model, data.train.x[:1]).shape[1])
    return sum(prod(shape) for shape in shapes)


def label_loss(output: Output, width: int, task: Task, things: int = 1) -> Any:
    """The loss of ``width`` numbers on labels of so many ``things``: (labels, answers) to a scalar."""
    return _own(output, width, task, things)[0]


def _own(output: Output, width: int, task: Task, things: int) -> tuple[Any, Any, Literal["lower", "higher"]]:
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


class _Guide:
    """The teacher: its outputs on the training examples, computed once, and on varied ones."""

    def __init__(self, model: Any, context: StageContext, data: TrainingData, teacher: Any) -> None:
        from optimizers.tf.build import load_working

        self._context, self._data = context, data
        self._source: Path = context.original or context.source
        self._own = teacher is None
        self._model = teacher if teacher is not None else load_working(self._source)
        self.name = "original" if self._own else self._model.name
        self.output = output_of(self._model, data)
        theirs, ours = _width(self._model, data), _width(model, data)
        if theirs != ours:
            raise NotApplicable(f"The teacher gives {theirs} values and the student {ours}; they must be alike.")

    def outputs(self) -> np.ndarray:
        """Shape (n, outputs), float32, for the training part."""

        def compute() -> np.ndarray:
            return self.answers(self._data.train.x)

        if not self._own:
            return compute()
        return self._context.remember({"outputs_of": digest_of_path(self._source), "part": "train"}, compute)

    def answers(self, x: np.ndarray) -> np.ndarray:
        """Shape (n, outputs), float32, for any examples."""
        return outputs(self._model, x)


def _mixed_loss(
    own: Any, output: Output, teacher: Output, labels: int, told: tuple[int, int], alpha: float, temperature: float
) -> Any:
    """(targets of shape (n, labels + 1 + outputs), predictions) to one loss per example.

    The distance to the teacher is the Kullback-Leibler divergence of the softened answers, times the squared
    temperature, the mean over the things that a class is told of and that count (``told``: how many there are, and how
    many scores each has); for numbers, and for several outputs, it is the loss of the labels with the teacher's in
    their place.

    Source: Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network", section 2.
    """
    label_loss = type(own).from_config({**own.get_config(), "reduction": "none"})

    def loss(targets: Any, predicted: Any) -> Any:
        predicted = tf.reshape(predicted, (tf.shape(targets)[0], -1))
        if targets.shape[1] == labels:  # validation comes with labels alone, and is measured by them
            return label_loss(targets, predicted)
        hard = label_loss(targets[:, :labels], predicted) * targets[:, labels] if alpha > 0 else 0.0
        if alpha >= 1:
            return hard
        return alpha * hard + (1 - alpha) * soft(targets[:, labels + 1 :], predicted, targets[:, :labels])

    def soft(answers: Any, predicted: Any, classes: Any) -> Any:
        if output == "values":
            return label_loss(answers, predicted)
        things, each = told
        if things > 1:  # each is a row of its own
            answers, predicted = (tf.reshape(part, (-1, each)) for part in (answers, predicted))
        wanted, given = _logits(answers, teacher), _logits(predicted, output)
        wanted = tf.nn.log_softmax(wanted / temperature)
        given = tf.nn.log_softmax(given / temperature)
        apart = temperature**2 * tf.reduce_sum(tf.exp(wanted) * (wanted - given), axis=1)
        return apart if things == 1 else over_things(tf.reshape(apart, (-1, things)), classes)

    return loss


def _logits(values: Any, kind: Output) -> Any:
    """Logits of shape (n, classes), two for a single value; from probabilities up to a constant per example."""
    if values.shape[1] == 1:
        if kind == "probabilities":
            p = tf.clip_by_value(values, SMALLEST, 1 - SMALLEST)
            values = tf.math.log(p) - tf.math.log1p(-p)
        return tf.concat([tf.zeros_like(values), values], axis=1)
    return tf.math.log(tf.maximum(values, SMALLEST)) if kind == "probabilities" else values
