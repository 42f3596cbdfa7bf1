"""What a model answers, and what its last layers give: probabilities, logits or plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tf_keras

from optimizers.datasets.several import arrays_of
from optimizers.tf.dialects import flat_tensors
from optimizers.tf.keras3_only import Keras3Layer, activation_of, last_activation

_BATCH = 512


def output_activation(model: Any) -> str:
    """Name of the last layer's activation, e.g. ``softmax`` or ``linear``; empty where the last layer has none.

    Args:
        model: A tf_keras model; wrappers and nested models are looked into.
    """
    last = model.layers[-1]
    if isinstance(last, Keras3Layer):
        return last.output_activation
    return last_activation(model, tf_keras)


def each_activation(model: Any) -> list[str]:
    """For each output of a model of either Keras the name of the activation behind it; empty where there is none."""
    if model.layers and isinstance(model.layers[-1], Keras3Layer):
        model = model.layers[-1].inner
    library = tf_keras if isinstance(model, tf_keras.Model) else keras
    found = []
    for tensor in model.outputs:
        layer, index = _made_by(tensor)
        while isinstance(layer, library.Model):
            layer, index = _made_by(layer.outputs[index])
        found.append(activation_of(layer, library))
    return found


def _made_by(tensor: Any) -> tuple[Any, int]:
    """The layer behind a tensor, and which of its outputs it is."""
    history = tensor._keras_history
    return history[0], history.tensor_index


def given(inputs: Sequence[Any]) -> Any:
    """One array or tensor per input as a model is called with them: a list, or the only one."""
    return inputs[0] if len(inputs) == 1 else list(inputs)


def answers(model: Any, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of a tf_keras model at inference, in its order, to one array or tensor per input, in its order."""
    return flat_tensors(model(given(inputs), training=False))


def side_by_side(model: Any) -> Any:
    """A tf_keras model with one output: the model itself, or one of the same layers that gives all as `outputs` does.

    Training either trains the other.
    """
    if len(model.outputs) == 1:
        return model
    layers = tf_keras.layers
    float32 = [t if t.dtype == "float32" else tf_keras.backend.cast(t, "float32") for t in model.outputs]
    flat = [layers.Flatten(name=f"side_by_side_{number}")(tensor) for number, tensor in enumerate(float32)]
    return tf_keras.Model(model.inputs, layers.Concatenate(name="side_by_side")(flat))


def outputs(model: Any, x: np.ndarray) -> np.ndarray:
    """What a tf_keras model answers: float32, shape (n, outputs); several outputs are flattened and put side by side.

    Args:
        model: With any number of inputs and outputs.
        x: Examples, shape (n, *input), or with one field per input.
    """
    arrays, parts = arrays_of(x), []
    for start in range(0, len(x), _BATCH):
        found = answers(model, [array[start : start + _BATCH] for array in arrays])
        parts.append(np.concatenate([np.asarray(part, np.float32).reshape(len(part), -1) for part in found], axis=1))
    return np.concatenate(parts)
