"""Models that only Keras 3 can hold, in the clothes of a tf_keras model: converted and measured like all others.

The Keras 3 model is one layer of a tf_keras model. That is enough to trace, convert and check it; nothing inside can be
trained or rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
import tf_keras

from optimizers.errors import ModelRefused
from optimizers.records import InputRange
from optimizers.tf.dialects import flat_tensors

REASONS = frozenset({"unsupported-layer", "unsupported-option", "unsupported-op"})
"""Codes with which building in tf_keras refuses what it has no counterpart for."""


class Keras3Layer(tf_keras.layers.Layer):  # type: ignore[misc]
    """A Keras 3 model as a layer, at inference.

    Args:
        model: A built ``keras.Model``.
        ranges: For each input what the model tells of its numbers.

    Call arguments:
        inputs: One tensor, or a list with one for each input of the model.
    """

    def __init__(self, model: Any, ranges: Sequence[InputRange | None], **options: Any) -> None:
        super().__init__(autocast=False, trainable=False, **options)
        self.ranges = tuple(ranges)
        self._model = lambda: model  # as a plain attribute tf_keras would take it for one of its own

    @property
    def inner(self) -> Any:
        """The ``keras.Model``."""
        return self._model()  # type: ignore[no-untyped-call]

    @property
    def output_activation(self) -> str:
        """As `optimizers.tf.outputs.output_activation` tells it."""
        return last_activation(self.inner, keras)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def call(self, inputs: Any, training: bool | None = None) -> Any:
        model = self.inner
        structure = getattr(model, "_inputs_struct", None)
        if isinstance(structure, dict):
            inputs = dict(zip(sorted(structure), flat_tensors(inputs), strict=True))
        found = flat_tensors(model(inputs, training=False))
        return found[0] if len(found) == 1 else found


def clothed(model: Any, ranges: Sequence[InputRange | None], shapes: Sequence[tuple[int, ...]] = ()) -> Any:
    """A tf_keras model that computes what a Keras 3 model does.

    Args:
        model: A built ``keras.Model``.
        ranges: For each input what the model tells of its numbers.
        shapes: Of one example, for each input, where the model leaves dimensions open.

    Raises:
        ModelRefused: ``bad-graph`` where TensorFlow cannot trace it.
    """
    shapes = shapes or [tuple(tensor.shape[1:]) for tensor in model.inputs]
    inputs = [tf_keras.Input(shape, dtype=t.dtype) for shape, t in zip(shapes, model.inputs, strict=True)]
    layer = Keras3Layer(model, ranges, name="keras3")
    try:
        return tf_keras.Model(inputs, layer(inputs[0] if len(inputs) == 1 else inputs))
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ModelRefused(
            "This model exists only in Keras 3, and TensorFlow cannot trace it for examples of its shape; build it "
            "again with other sizes.",
            code="bad-graph",
            detail=str(error)[:2000],
        ) from error


def last_activation(model: Any, library: Any) -> str:
    """Name of the last layer's activation; ``library`` is ``keras`` or ``tf_keras``, whichever the model is of."""
    last = model.layers[-1]
    while isinstance(last, library.Model):
        last = last.layers[-1]
    return activation_of(last, library)


def activation_of(layer: Any, library: Any) -> str:
    """Name of a layer's activation, wrappers looked into; empty where there is none."""
    layer = getattr(layer, "layer", layer)
    if isinstance(layer, library.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    activation = getattr(activation, "activation", activation)  # the toolkit clothes those that it quantizes
    return str(getattr(activation, "__name__", ""))


def inside(model: Any) -> Keras3Layer | None:
    """The layer that holds the Keras 3 model, where a tf_keras model is nothing but its clothes."""
    last = next(reversed(model.layers), None)
    return last if isinstance(last, Keras3Layer) else None


def parts(model: Any) -> Iterator[Any]:
    """All layers of the Keras 3 model inside, those within others included; none for other models."""
    layer = inside(model)
    if layer is not None:
        yield from layer.inner._flatten_layers(include_self=False)


def loops(model: Any) -> list[str]:
    """Kinds of the layers inside that step through time."""
    return sorted({type(p).__name__ for p in parts(model) if isinstance(p, keras.layers.RNN) and not p.unroll})
