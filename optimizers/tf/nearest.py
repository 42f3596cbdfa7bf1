"""Every weight at the nearest of a few values, in a way that both the values and the weights can be trained."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def nearest_values(weights: Any, values: Any) -> Any:
    """The weights with each of them replaced by the nearest value; same shape and dtype.

    Gradients reach a value from all weights that have it, and every weight as if it had not been replaced, so that a
    weight may come to have another value.

    Args:
        weights: Any shape; with values for each channel, shape (…, channels).
        values: Shape (values,), or (channels, values). Order does not matter, and values may be equal.

    Source: Bengio, Léonard and Courville (2013), "Estimating or Propagating Gradients Through Stochastic Neurons", for
    the straight-through estimate; Han, Mao and Dally (2016), "Deep Compression", section 3.3, for that of the values.
    """
    values = tf.sort(values, axis=-1)
    between = (values[..., 1:] + values[..., :-1]) / 2
    if len(values.shape) == 1:
        found = tf.gather(values, tf.searchsorted(between, tf.reshape(weights, [-1])))
        found = tf.reshape(found, weights.shape)
    else:
        rows = tf.transpose(tf.reshape(weights, [-1, weights.shape[-1]]))
        found = tf.gather(values, tf.searchsorted(between, rows), batch_dims=1)
        found = tf.reshape(tf.transpose(found), weights.shape)
    return found + (weights - tf.stop_gradient(weights))
