"""What a model's last layer gives: probabilities, logits or plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tf_keras

from optimizers.datasets.several import arrays_of
from optimizers.tf.dialects import flat_tensors
from optimizers.tf.keras3_only import Keras3Layer, last_activation

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


def answers(model: Any, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of a tf_keras model at inference, in its order, to one array or tensor per input, in its order."""
    return flat_tensors(model(inputs[0] if len(inputs) == 1 else list(inputs), training=False))


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
