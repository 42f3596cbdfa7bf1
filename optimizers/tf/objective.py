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

from optimizers.declarations import StageContext, TrainingData
from optimizers.errors import NotApplicable
from optimizers.records import digest_of_path
from optimizers.techniques._training import NO_CLASSES, TrainingParams
from optimizers.tf.heads import MeanLoss, SumOfHeads, flat, heads, to_teacher, told, without_mean
from optimizers.tf.losses import Meaning, OutputChange, Packed, SideBySide, on_labels, outputs_of, softened
from optimizers.tf.meanings import meaning, own_loss, things_of
from optimizers.tf.outputs import each_activation, output_activation, outputs


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
    learns = _learns(model, data, balanced=params.class_weights != "none")
    notes = learns.notes
    if len(model.outputs) > 1:
        whose = "another model" if teacher is not None else "the original"
        answered = f"what {whose} answers" if params.learn_from != "labels" else "what the original answers"
        by = {"labels": "their labels", "original": answered, "both": f"their labels and {answered}"}
        notes = (learns.told(by[params.learn_from], answered), *notes)
    labels = learns.labels(data.train.y)
    validation = learns.labels(data.validation.y) if len(data.validation) else None
    metric, direction = learns.metric, learns.direction
    if params.learn_from == "labels" and labelled is None and learns.hard is learns.own:
        return Objective(
            learns.own, [metric], metric.name, direction, labels, validation,
            lambda x, picks, y: labels[picks] if y is None else learns.labels(y), notes,
        )  # fmt: skip
    allowed = np.ones(len(labels), bool) if labelled is None else labelled
    alpha = {"labels": 1.0, "original": 0.0, "both": params.label_weight}[params.learn_from]
    guide = _Guide(model, context, data, teacher) if alpha < 1 else None
    columns = [labels, allowed.reshape(-1, 1)]
    packed = np.concatenate([*columns, guide.outputs()] if guide else columns, axis=1).astype(np.float32)

    def targets_of(x: np.ndarray, picks: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        rows: np.ndarray = packed[picks]
        if y is not None:
            rows[:, : labels.shape[1]] = learns.labels(y)
        if guide:
            rows[:, labels.shape[1] + 1 :] = guide.answers(x)
        return rows

    soft = learns.soft(guide.learns, params.temperature) if guide else None
    loss = _mixed_loss(learns, labels.shape[1], soft, alpha)
    figures = {"learned_from": params.learn_from, "teacher": guide.name} if guide else {}
    return Objective(
        Packed(loss), [on_labels(metric, labels.shape[1])], metric.name, direction, packed, validation, targets_of,
        notes, figures,
    )  # fmt: skip


Soft = Callable[[Any, Any, Any], Any]
"""From a teacher's answers, answers and labels, all flat, to the distance of the answers, shape (n,)."""


@dataclass(frozen=True)
class _Learns:
    """What a model learns from labels.

    Attributes:
        own: The loss on labels, flat, shape (n, labels) as ``labels`` gives them.
        hard: The same while training, where classes may weigh differently.
        metric, direction: For people.
        labels: From a part's labels to flat ones.
        soft: From what a teacher learns, and a temperature, to the distance to its answers.
        told: A sentence on several outputs: from what they learned, and what the original's answers are called.
        notes: Further sentences.
    """

    own: Any
    hard: Any
    metric: Any
    direction: Literal["lower", "higher"]
    labels: Callable[[np.ndarray], np.ndarray]
    soft: Callable[[Any, float], Soft]
    told: Callable[[str, str], str]
    notes: tuple[str, ...] = ()
    kind: Any = "values"


def _learns(model: Any, data: TrainingData, *, balanced: bool = False) -> _Learns:
    if data.task == "several":
        return _learns_several(model, data, balanced=balanced)
    output, width, things = output_of(model, data), _width(model, data), things_of(data)
    own, metric, direction = own_loss(output, width, data.task, things)
    told = ""
    if len(model.outputs) > 1:
        each = outputs_of(model, data.train.x, data.train.y)
        own, metric = SideBySide(each), OutputChange(each)
        told = f"All {len(each)} outputs learned from {{}}; each counts by how much it varies."

    def soft(teacher: _Learns, temperature: float) -> Soft:
        if output == "values":
            to_answers = without_mean(own)
            return lambda answers, given, classes: to_answers(answers, given)
        kinds, each = (teacher.kind, output), (things, width // things)
        return lambda answers, given, classes: softened(answers, given, classes, kinds, each, temperature)

    return _Learns(
        own, own, metric, direction, lambda y: y.reshape(len(y), -1), soft,
        lambda by, answered: told.format(answered), (), output,
    )  # fmt: skip


def _learns_several(model: Any, data: TrainingData, *, balanced: bool) -> _Learns:
    each = heads(each_activation(model), data, lambda x: outputs(model, x), balanced=balanced)
    weighed = [head.name for head in each if head.class_weights]
    if balanced and not weighed:
        raise NotApplicable(NO_CLASSES)
    own = SumOfHeads(each)
    return _Learns(
        own,
        SumOfHeads(each, weighted=True) if weighed else own,
        MeanLoss(each),
        "lower",
        lambda y: flat(y, each),
        lambda teacher, temperature: to_teacher(each, teacher.kind, temperature),
        lambda by, answered: told(each, by),
        (f"Rare classes of {' and '.join(weighed)} counted as much as frequent ones.",) if weighed else (),
        each,
    )


def output_of(model: Any, data: TrainingData) -> Meaning:
    """What a model's output means for the task, read from its last layer or, where that says nothing, from outputs.

    Raises:
        NotApplicable: A width that does not suit the task.
    """
    if data.task == "several":
        heads(each_activation(model), data, lambda x: outputs(model, x))
        return "values"
    return meaning(output_activation(model), _width(model, data), data, lambda x: outputs(model, x))


def _width(model: Any, data: TrainingData) -> int:
    """Numbers for an example in all outputs together."""
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    if any(None in shape for shape in shapes):
        return int(outputs(model, data.train.x[:1]).shape[1])
    return sum(prod(shape) for shape in shapes)


class _Guide:
    """The teacher: its outputs on the training examples, computed once, and on varied ones."""

    def __init__(self, model: Any, context: StageContext, data: TrainingData, teacher: Any) -> None:
        from optimizers.tf.build import load_working

        self._context, self._data = context, data
        self._source: Path = context.original or context.source
        self._own = teacher is None
        self._model = teacher if teacher is not None else load_working(self._source)
        self.name = "original" if self._own else self._model.name
        self.learns = _learns(self._model, data)
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


def _mixed_loss(learns: _Learns, labels: int, soft: Soft | None, alpha: float) -> Any:
    """(targets of shape (n, labels + 1 + outputs), predictions) to one loss per example.

    The distance to the teacher is that of `optimizers.tf.losses.softened`; for numbers it is the loss of the labels
    with the teacher's in their place.
    """
    own, hard = without_mean(learns.own), without_mean(learns.hard)

    def loss(targets: Any, predicted: Any) -> Any:
        predicted = tf.reshape(predicted, (tf.shape(targets)[0], -1))
        if targets.shape[1] == labels:  # validation comes with labels alone, and is measured by them
            return own(targets, predicted)
        on_own = hard(targets[:, :labels], predicted) * targets[:, labels] if alpha > 0 else 0.0
        if alpha >= 1 or soft is None:
            return on_own
        return alpha * on_own + (1 - alpha) * soft(targets[:, labels + 1 :], predicted, targets[:, :labels])

    return loss
