"""What a model's last layer gives: probabilities, logits or plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras

from optimizers.tf.keras3_only import Keras3Layer

_BATCH = 512


def output_activation(model: Any) -> str:
    """Name of the last layer's activation, e.g. ``softmax`` or ``linear``; empty where the last layer has none.

    Args:
        model: A tf_keras model; wrappers and nested models are looked into.
    """
    last = model.layers[-1]
    if isinstance(last, Keras3Layer):
        return last.output_activation
    while isinstance(last, tf_keras.Model):
        last = last.layers[-1]
    last = getattr(last, "layer", last)
    if isinstance(last, tf_keras.layers.Softmax):
        return "softmax"
    return str(getattr(getattr(last, "activation", None), "__name__", ""))


def outputs(model: Any, x: np.ndarray) -> np.ndarray:
    """What a tf_keras model with one output answers to examples of shape (n, *input): float32, shape (n, outputs)."""
    parts = [np.asarray(model(x[i : i + _BATCH], training=False)) for i in range(0, len(x), _BATCH)]
    return np.concatenate(parts).reshape(len(x), -1).astype(np.float32)
