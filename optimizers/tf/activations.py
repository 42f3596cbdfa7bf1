"""Activations that one Keras has and the other lacks or defines differently, registered under ``paretoscope>``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tf_keras

PACKAGE = "paretoscope"
Activation = Callable[[Any], Any]

_NATIVE = {
    name: name
    for name in ("linear", "relu", "sigmoid", "tanh", "softmax", "elu", "selu", "softplus", "softsign", "exponential")
} | {"gelu": "gelu", "mish": "mish", "silu": "swish", "keras2_hard_sigmoid": "hard_sigmoid"}
"""Activations that tf_keras has under the second name, with the same meaning."""


def _hard_sigmoid(x: Any) -> Any:
    return tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


def _soft_shrink(x: Any) -> Any:
    return tf.where(x > 0.5, x - 0.5, tf.where(x < -0.5, x + 0.5, tf.zeros_like(x)))


def _sparse_plus(x: Any) -> Any:
    return tf.where(x <= -1.0, tf.zeros_like(x), tf.where(x < 1.0, 0.25 * (x + 1.0) ** 2, x))


def _glu(x: Any) -> Any:
    value, gate = tf.split(x, 2, axis=-1)
    return value * tf.sigmoid(gate)


_FOR_KERAS2: dict[str, Activation] = {
    "relu6": tf.nn.relu6,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.2),
    "log_softmax": lambda x: tf.nn.log_softmax(x),
    "celu": lambda x: tf.maximum(x, 0.0) + tf.minimum(tf.math.expm1(x), 0.0),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "hard_tanh": lambda x: tf.clip_by_value(x, -1.0, 1.0),
    "hard_shrink": lambda x: tf.where(tf.abs(x) > 0.5, x, tf.zeros_like(x)),
    "soft_shrink": _soft_shrink,
    "tanh_shrink": lambda x: x - tf.tanh(x),
    "log_sigmoid": tf.math.log_sigmoid,
    "squareplus": lambda x: (x + tf.sqrt(x * x + 4.0)) / 2.0,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda x: tf.clip_by_value(0.5 * (x + 1.0), 0.0, 1.0),
    "glu": _glu,
}


def _register(
    register: Callable[[str, str], Callable[[Activation], Activation]], name: str, body: Activation
) -> Activation:
    def activation(x: Any) -> Any:
        return body(x)

    activation.__name__ = activation.__qualname__ = name
    return register(PACKAGE, name)(activation)


_KERAS2 = {
    name: _register(tf_keras.utils.register_keras_serializable, name, body) for name, body in _FOR_KERAS2.items()
}
_KERAS3 = {
    "keras2_hard_sigmoid": _register(
        keras.saving.register_keras_serializable,
        "keras2_hard_sigmoid",
        lambda x: keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0),
    )
}


def keras2_activation(name: str) -> str | Activation:
    """What tf_keras takes for an activation with a Keras 3 name."""
    return _NATIVE.get(name) or _KERAS2[name]


def keras3_activation(name: str) -> str | Activation:
    """What Keras 3 takes for it."""
    return _KERAS3.get(name, name)
