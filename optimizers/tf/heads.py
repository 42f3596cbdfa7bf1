"""What each of several outputs learns from its labels, and all of them together.

The losses are added up. So that none drowns the others by its unit or its number of classes, each is divided by the
loss of whoever always gives the same best answer: the entropy of the labels, or the variance of the numbers. Each then
is about 1 for an output that knows nothing and 0 for one that is always right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.datasets.by_output import constant_loss
from optimizers.declarations import TrainingData
from optimizers.errors import NotApplicable
from optimizers.kinds import KINDS
from optimizers.metrics._outputs import columns
from optimizers.tf.losses import Meaning, Output, SideBySide, kind_of, softened
from optimizers.tf.meanings import meaning, own_loss, things_of


@dataclass(frozen=True)
class Head:
    """One output.

    Attributes:
        name: As the model calls it.
        labels, width: Numbers that a label of it has, and that it gives.
        kind: What its numbers are.
        things: Of how many things of an example it tells a class.
        loss: From labels and answers, shape (n, labels) and (n, width), to shape (n,).
        constant: The loss of the best answer that is always the same; 1 where there are no labels.
        class_weights: How much an example of each class counts, where classes weigh differently.
    """

    name: str
    labels: int
    width: int
    kind: Meaning
    things: int
    loss: Any
    constant: float
    class_weights: tuple[float, ...] = ()


def heads(
    activations: Sequence[str],
    data: TrainingData,
    answers: Callable[[np.ndarray], np.ndarray],
    *,
    balanced: bool = False,
) -> tuple[Head, ...]:
    """The outputs of a model, in its order.

    Args:
        activations: Behind each of its outputs.
        data: With labels of several outputs; those that have none of their own have the original's answers.
        answers: From examples to all outputs side by side, shape (n, numbers).
        balanced: Rare classes are to count as much as frequent ones, where an output tells one class of each example.

    Raises:
        NotApplicable: An output does not suit its labels.
    """
    cuts = columns(data.targets)
    given = answers(data.train.x[:1]).shape[1]
    if given != cuts[-1].stop or len(activations) != len(cuts):
        raise NotApplicable(
            f"The data have labels for {len(cuts)} outputs of {cuts[-1].stop} numbers together; the model has "
            f"{len(activations)} of {given}."
        )
    found = []
    for target, cut, activation in zip(data.targets, cuts, activations, strict=True):
        own, width = data.of(target), cut.stop - cut.start
        if target.task == "fidelity":
            spread = float(own.train.y.std()) or 1.0
            one = Output(width, target.output[-1] if target.output else 1, kind_of(activation, own.train.y), spread)
            loss = SideBySide([one], reduction="none")
            found.append(Head(target.name, width, width, "values", 1, loss, 1.0))
            continue
        try:
            kind = meaning(activation, width, own, lambda x, cut=cut: answers(x)[:, cut])  # type: ignore[misc]
        except NotApplicable as reason:
            raise NotApplicable(f"{target.name}: {reason.message}") from None
        loss = without_mean(own_loss(kind, width, target.task, things_of(own))[0])
        labels = int(np.prod(own.train.y.shape[1:]))
        weights = _class_weights(own) if balanced and KINDS[target.task].one_class else ()
        found.append(
            Head(
                target.name, labels, width, kind, things_of(own), loss, constant_loss(own.train.y, target.task), weights
            )
        )
    return tuple(found)


def without_mean(loss: Any) -> Any:
    """The same loss for each example by itself, shape (n,)."""
    return type(loss).from_config({**loss.get_config(), "reduction": "none"})


def _class_weights(data: TrainingData) -> tuple[float, ...]:
    counts = np.bincount(data.train.y, minlength=max(len(data.classes), 2))
    present = int((counts > 0).sum())
    return tuple(float(len(data.train) / (present * max(1, count))) for count in counts)


def flat(y: np.ndarray, heads: Sequence[Head]) -> np.ndarray:
    """Labels of all outputs side by side, float32, shape (n, numbers)."""
    return np.concatenate([y[head.name].reshape(len(y), -1) for head in heads], axis=1).astype(np.float32)


def told(heads: Sequence[Head], by: str) -> str:
    """A sentence on what the outputs learned from, and how they were weighed."""
    labelled = ", ".join(f"{head.name} {head.constant:.3g}" for head in heads)
    return (
        f"All {len(heads)} outputs learned together from {by}, each loss divided by that of the best constant answer: "
        f"{labelled}."
    )


def _pieces(heads: Sequence[Head], y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
    y_pred = tf.reshape(y_pred, (-1, sum(head.width for head in heads)))
    labels, widths = [head.labels for head in heads], [head.width for head in heads]
    return zip(heads, tf.split(y_true, labels, 1), tf.split(y_pred, widths, 1), strict=True)


class SumOfHeads(tf_keras.losses.Loss):  # type: ignore[misc]
    """The sum of the outputs' losses, each over that of the best constant answer.

    Args:
        heads: What lies side by side in labels and answers.
        weighted: Whether classes weigh as the outputs' ``class_weights`` say.
    """

    def __init__(self, heads: Sequence[Head], *, weighted: bool = False, **options: Any) -> None:
        super().__init__(**{"name": "sum_of_outputs", **options})
        self._heads, self._weighted = heads, weighted

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self._heads, "weighted": self._weighted}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return tf.add_n([self._one(*piece) for piece in _pieces(self._heads, y_true, y_pred)])

    def _one(self, head: Head, labels: Any, answers: Any) -> Any:
        each = head.loss(labels, answers) / head.constant
        if self._weighted and head.class_weights:
            each *= tf.gather(tf.constant(head.class_weights, tf.float32), tf.cast(labels[:, 0], tf.int32))
        return each


class MeanLoss(tf_keras.metrics.Mean):  # type: ignore[misc]
    """The mean over outputs of the same losses: 1 knows nothing, 0 is always right."""

    def __init__(self, heads: Sequence[Head], **options: Any) -> None:
        super().__init__(**{"name": "relative_loss", **options})
        self._heads, self._loss = heads, SumOfHeads(heads, reduction="none")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self._heads}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(self._loss(y_true, y_pred) / len(self._heads), sample_weight)


def to_teacher(heads: Sequence[Head], teachers: Sequence[Head], temperature: float) -> Callable[[Any, Any, Any], Any]:
    """How far all outputs are from a teacher's: its answers, answers (both (n, numbers)) and flat labels to shape (n,).

    Classes by their softened divergence, numbers by their loss with the teacher's in place of the labels, each divided
    as from labels.
    """

    def apart(answers: Any, predicted: Any, labels: Any) -> Any:
        widths = [head.width for head in heads]
        theirs = tf.split(tf.reshape(answers, (-1, sum(widths))), widths, 1)
        parts = zip(_pieces(heads, labels, predicted), teachers, theirs, strict=True)
        return tf.add_n([one(head, of, own, teacher.kind, wanted) for (head, of, own), teacher, wanted in parts])

    def one(head: Head, classes: Any, given: Any, kind: Meaning, wanted: Any) -> Any:
        if head.kind == "values":
            return head.loss(wanted, given) / head.constant
        told = head.things, head.width // head.things
        return softened(wanted, given, classes, (kind, head.kind), told, temperature) / head.constant

    return apart
