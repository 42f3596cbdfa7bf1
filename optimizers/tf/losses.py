"""Losses and metrics that tf_keras lacks: numbers of any shape, several outputs side by side, packed targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.datasets.several import arrays_of
from optimizers.tf.outputs import answers, each_activation

SMALLEST = 1e-7
Meaning = Literal["probabilities", "logits", "values"]
"""What the numbers of an output are."""
_DISTRIBUTIONS = ("softmax", "sigmoid")


class FlatSquaredError(tf_keras.losses.MeanSquaredError):  # type: ignore[misc]
    """Mean squared error over all numbers of an example, whatever shape the model gives them in."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return super().call(y_true, tf.reshape(y_pred, tf.shape(y_true)))


class FlatAbsoluteError(tf_keras.metrics.MeanAbsoluteError):  # type: ignore[misc]
    """Mean absolute error, likewise."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_true, tf.reshape(y_pred, tf.shape(y_true)), sample_weight)


def _beside(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Class numbers (n, things), and scores of each, flat or in any shape, brought together without moving scores.

    Scores keep their shape where they can: Keras takes a softmax or sigmoid back to logits only if nothing is between.
    """
    if len(y_pred.shape) == 2:
        y_pred = tf.reshape(y_pred, tf.concat([tf.shape(y_true), [-1]], axis=0))
    return tf.reshape(y_true, tf.shape(y_pred)[:-1]), y_pred


def over_things(each: Any, classes: Any) -> Any:
    """What each example adds to the mean over all things that count, shape (n,).

    Args:
        each: A loss for each thing (label or position), shape (n, ...).
        classes: Their classes, as many, below 0 where a thing does not count.
    """
    each = tf.reshape(each, (tf.shape(each)[0], -1))
    counts = tf.cast(tf.reshape(classes, tf.shape(each)) >= 0, each.dtype)
    usual = tf.reduce_mean(tf.reduce_sum(counts, axis=1))
    return tf.math.divide_no_nan(tf.reduce_sum(each * counts, axis=1), usual)


class PositionsCrossentropy(tf_keras.losses.SparseCategoricalCrossentropy):  # type: ignore[misc]
    """Cross-entropy of a class at every position, the mean over positions; targets have shape (n, positions).

    Positions with a class below 0 do not count.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = _beside(y_true, y_pred)
        return over_things(super().call(tf.maximum(y_true, tf.zeros_like(y_true)), y_pred), y_true)


class FlatBinaryCrossentropy(tf_keras.losses.BinaryCrossentropy):  # type: ignore[misc]
    """Cross-entropy of a truth value at every position, likewise."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true = tf.cast(tf.reshape(y_true, tf.shape(y_pred)), y_pred.dtype)
        each = tf_keras.backend.binary_crossentropy(tf.maximum(y_true, 0.0), y_pred, from_logits=self.from_logits)
        return over_things(each, y_true)


class PositionsAccuracy(tf_keras.metrics.SparseCategoricalAccuracy):  # type: ignore[misc]
    """Share of positions with the right class, likewise."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true, y_pred = _beside(y_true, y_pred)
        return super().update_state(tf.maximum(y_true, tf.zeros_like(y_true)), y_pred, y_true >= 0)


class FlatBinaryAccuracy(tf_keras.metrics.BinaryAccuracy):  # type: ignore[misc]
    """Share of right truth values, likewise."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true, y_pred = (tf.reshape(y, (-1, 1)) for y in (y_true, y_pred))
        return super().update_state(y_true, y_pred, tf.reshape(y_true, (-1,)) >= 0)


@dataclass(frozen=True)
class Output:
    """One of several outputs that lie side by side, flattened.

    Attributes:
        width: Numbers for an example.
        last: Length of its last dimension, over which a softmax adds up to 1.
        kind: What its numbers are: ``softmax`` or ``sigmoid`` probabilities, or plain values.
        spread: Standard deviation of all its numbers in the targets; 1 where they do not vary.
    """

    width: int
    last: int
    kind: Literal["softmax", "sigmoid", "values"]
    spread: float


def outputs_of(model: Any, x: np.ndarray, y: np.ndarray) -> tuple[Output, ...]:
    """What the outputs of a tf_keras model are.

    Args:
        model: With several outputs.
        x: At least one example, in a field per input where there are several.
        y: Targets, shape (n, numbers of all outputs).
    """
    shapes = [part.shape[1:] for part in answers(model, [array[:1] for array in arrays_of(x)])]
    widths = [int(np.prod(shape)) for shape in shapes]
    targets = np.split(y, np.cumsum(widths)[:-1], axis=1)
    return tuple(
        Output(width, shape[-1] if len(shape) else 1, kind_of(activation, target), float(target.std()) or 1.0)
        for width, shape, activation, target in zip(widths, shapes, each_activation(model), targets, strict=True)
    )


def kind_of(activation: str, targets: np.ndarray) -> Any:
    """The ``kind`` of an output with that activation whose targets are those."""
    inside = targets.size > 0 and targets.min() >= 0 and targets.max() <= 1
    return activation if activation in _DISTRIBUTIONS and inside else "values"


class SideBySide(tf_keras.losses.Loss):  # type: ignore[misc]
    """The sum over outputs of how far each is from what it should be.

    For probabilities that is the Kullback-Leibler divergence (mean over what is predicted apart from one another), for
    values the squared difference over their variance, so that no output outweighs another by its unit.

    Args:
        outputs: What lies side by side in targets and answers, both of shape (n, numbers).
    """

    def __init__(self, outputs: Sequence[Output | dict[str, Any]], **options: Any) -> None:
        super().__init__(**{"name": "side_by_side", **options})
        self._outputs = [Output(**each) if isinstance(each, dict) else each for each in outputs]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "outputs": [asdict(each) for each in self._outputs]}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        widths = [each.width for each in self._outputs]
        pairs = zip(tf.split(tf.cast(y_true, tf.float32), widths, 1), tf.split(y_pred, widths, 1), strict=True)
        return tf.add_n([_distance(each, *pair) for each, pair in zip(self._outputs, pairs, strict=True)])


def _distance(output: Output, wanted: Any, given: Any) -> Any:
    """Shape (n,)."""
    if output.kind == "values":
        return tf.reduce_mean(tf.square(wanted - given), axis=1) / output.spread**2
    apart = -tf.math.log(tf.maximum(given, SMALLEST)) + tf.math.log(tf.maximum(wanted, SMALLEST))
    each = wanted * apart
    if output.kind == "softmax":
        return tf.reduce_sum(each, axis=1) * (output.last / output.width)
    other = -tf.math.log(tf.maximum(1 - given, SMALLEST)) + tf.math.log(tf.maximum(1 - wanted, SMALLEST))
    return tf.reduce_mean(each + (1 - wanted) * other, axis=1)


class OutputChange(tf_keras.metrics.Mean):  # type: ignore[misc]
    """Mean absolute difference of each output over its spread, and of these the mean over outputs.

    Args:
        outputs: As for `SideBySide`.
    """

    def __init__(self, outputs: Sequence[Output | dict[str, Any]], **options: Any) -> None:
        super().__init__(**{"name": "output_change", **options})
        self._outputs = [Output(**each) if isinstance(each, dict) else each for each in outputs]
        shares = [np.full(e.width, 1 / (e.width * e.spread * len(outputs))) for e in self._outputs]
        self._shares = tf.constant(np.concatenate(shares), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "outputs": [asdict(each) for each in self._outputs]}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        change = tf.abs(tf.cast(y_true, tf.float32) - y_pred) * self._shares
        return super().update_state(tf.reduce_sum(change, axis=1), sample_weight)


def softened(
    answers: Any,
    predicted: Any,
    classes: Any,
    kinds: tuple[Meaning, Meaning],
    told: tuple[int, int],
    temperature: float,
) -> Any:
    """How far classes told are from a teacher's: the divergence of the softened answers, times the squared temperature.

    Args:
        answers, predicted: Of the teacher and of who learns, shape (n, numbers).
        classes: The labels, shape (n, things), below 0 where a thing does not count.
        kinds: What the teacher's and what the other's numbers are, probabilities or logits.
        told: Of how many things a class is told, and how many numbers each has; it is their mean. The numbers are not
            taken from the shapes, which need not be known when this is traced: one number that tells two classes apart
            would then be taken for one class.
        temperature: 1 leaves answers as they are.

    Returns:
        Shape (n,).

    Source: Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network", section 2.
    """
    things, each = told
    answers, predicted = (tf.reshape(part, (-1, each)) for part in (answers, predicted))  # a row for each thing
    wanted, given = (_logits(part, kind) for part, kind in zip((answers, predicted), kinds, strict=True))
    wanted = tf.nn.log_softmax(wanted / temperature)
    given = tf.nn.log_softmax(given / temperature)
    apart = temperature**2 * tf.reduce_sum(tf.exp(wanted) * (wanted - given), axis=1)
    return apart if things == 1 else over_things(tf.reshape(apart, (-1, things)), classes)


def _logits(values: Any, kind: Meaning) -> Any:
    """Logits of shape (n, classes), two for a single value; from probabilities up to a constant per example."""
    if values.shape[1] == 1:
        if kind == "probabilities":
            p = tf.clip_by_value(values, SMALLEST, 1 - SMALLEST)
            values = tf.math.log(p) - tf.math.log1p(-p)
        return tf.concat([tf.zeros_like(values), values], axis=1)
    return tf.math.log(tf.maximum(values, SMALLEST)) if kind == "probabilities" else values


class Packed(tf_keras.losses.Loss):  # type: ignore[misc]
    """A loss for packed targets as ``compile`` takes it."""

    def __init__(self, loss: Callable[[Any, Any], Any]) -> None:
        super().__init__(name="packed")
        self._loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self._loss(tf.cast(y_true, tf.float32), y_pred)


def on_labels(metric: Any, labels: int) -> Any:
    """The metric on the first columns of packed targets, the labels."""

    class OnLabels(type(metric)):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(y_true[:, :labels], y_pred, sample_weight)

    return OnLabels.from_config(metric.get_config())
