"""Small tf_keras networks, one for each way in which channels go through a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tf_keras

from optimizers.tf.layers import LayerScale, Operation

L = tf_keras.layers
Model = Any


def sequential() -> Model:
    return tf_keras.Sequential(
        [
            tf_keras.Input((8, 8, 3)),
            L.Conv2D(8, 3, activation="sigmoid", name="first"),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling2D(2),
            L.Conv2D(12, 3, padding="same", use_bias=False, name="second"),
            L.BatchNormalization(scale=False),
            L.LeakyReLU(),
            L.Flatten(),
            L.Dense(10, activation="softplus", name="hidden"),
            L.Dropout(0.5),
            L.Dense(3, activation="softmax", name="classes"),
        ]
    )


def residual() -> Model:
    x = inputs = tf_keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, padding="same", name="stem")(x)
    for number, (filters, stride) in enumerate(((8, 1), (12, 2), (12, 1))):
        y = L.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"a{number}")(x)
        y = L.ReLU()(L.BatchNormalization()(y))
        y = L.Conv2D(filters, 3, padding="same", name=f"b{number}")(y)
        y = L.BatchNormalization()(y)
        if stride > 1:
            x = L.Conv2D(filters, 1, strides=stride, name=f"skip{number}")(x)
        x = L.Activation("elu")(L.Add()([x, y]))
    return tf_keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def mobile() -> Model:
    x = inputs = tf_keras.Input((9, 9, 3))
    x = L.Conv2D(8, 3, strides=2, padding="same", name="stem")(x)
    for number in range(2):
        y = L.Conv2D(16, 1, use_bias=False, name=f"expand{number}")(x)
        y = L.ReLU(max_value=6.0)(L.BatchNormalization()(y))
        y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=1 + number, name=f"depth{number}")(y)
        y = L.ReLU(max_value=6.0)(L.BatchNormalization()(y))
        s = L.GlobalAveragePooling2D(keepdims=True)(y)
        s = L.Conv2D(4, 1, activation="relu", name=f"squeeze{number}")(s)
        s = L.Conv2D(16 * (1 + number), 1, activation="sigmoid", name=f"excite{number}")(s)
        y = L.Multiply()([y, s])
        x = L.Add()([x, L.Conv2D(8, 1, name=f"project{number}")(y)])
    return tf_keras.Model(inputs, L.Dense(4)(L.GlobalMaxPooling2D()(x)))


def inception() -> Model:
    x = inputs = tf_keras.Input((8, 8, 3))
    branches = [L.Conv2D(6, size, padding="same", activation="tanh", name=f"branch{size}")(x) for size in (1, 3)]
    branches.append(L.AveragePooling2D(3, strides=1, padding="same")(branches[0]))
    x = L.BatchNormalization()(L.Concatenate()(branches))
    y = L.Conv2D(18, 3, padding="same", name="wide")(x)
    x = L.Maximum()([x, y])
    x = L.Concatenate(axis=1)([x, L.Conv2D(18, 1, name="below")(x)])
    return tf_keras.Model(inputs, L.Dense(4)(L.Flatten()(x)))


def unet() -> Model:
    x = inputs = tf_keras.Input((8, 8, 2))
    first = L.Conv2D(6, 3, padding="same", activation="relu", name="down1")(x)
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="down2")(L.MaxPooling2D(2)(first))
    x = L.Conv2D(8, 3, padding="same", name="bottom")(L.AveragePooling2D(2)(x))
    x = L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu", name="up")(x)
    x = L.UpSampling2D(2, interpolation="bilinear")(x)
    x = L.Concatenate()([first, x])
    x = L.Cropping2D(1)(L.ZeroPadding2D(2)(x))
    x = L.SeparableConv2D(8, 3, depth_multiplier=2, activation="relu", name="apart")(x)
    x = L.PReLU(shared_axes=[1, 2])(x)
    return tf_keras.Model(inputs, L.Conv2D(1, 1, activation="sigmoid", name="mask")(x))


def text() -> Model:
    x = inputs = tf_keras.Input((12,), dtype="int32")
    x = L.Embedding(50, 8, name="words")(x)
    x = L.Conv1D(12, 3, padding="causal", activation="gelu", name="conv")(x)
    x = L.SeparableConv1D(8, 3, name="apart")(L.SpatialDropout1D(0.2)(x))
    x = L.DepthwiseConv1D(3, name="depth")(x)
    x = L.Conv1DTranspose(6, 2, strides=2, name="wider")(x)
    x = L.PReLU()(x)
    return tf_keras.Model(inputs, L.Dense(2, activation="softmax")(L.GlobalMaxPooling1D()(x)))


def recurrent() -> Model:
    x = inputs = tf_keras.Input((6, 5))
    x = L.TimeDistributed(L.Dense(8, activation="relu"), name="each")(x)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True), name="both")(x)
    x = L.GRU(8, return_sequences=True, name="gru")(x)
    x = L.GRU(8, return_sequences=True, reset_after=False, use_bias=False, name="old_gru")(x)
    sequence, h, c = L.LSTM(8, return_sequences=True, return_state=True, name="encoder")(x)
    x = L.LSTM(8, return_sequences=True, name="decoder")(sequence, initial_state=[h, c])
    x = L.Bidirectional(L.SimpleRNN(6), merge_mode="sum", name="last")(x)
    return tf_keras.Model(inputs, L.Dense(3)(x))


def transformer() -> Model:
    x = inputs = tf_keras.Input((6, 5))
    x = L.EinsumDense("abc,cd->abd", output_shape=(6, 12), bias_axes="bd", name="embed")(x)
    y = L.LayerNormalization(name="norm")(x)
    x = L.Add()([x, L.MultiHeadAttention(4, 3, name="self")(y, y)])
    y = L.Dense(16, activation="gelu", name="up")(x)
    x = L.Add()([x, LayerScale(12, 0.5)(L.EinsumDense("...x,xy->...y", output_shape=12, name="down")(y))])
    memory = L.Dense(8, name="memory")(inputs)
    query = L.Dense(10, name="query")(x)
    x = L.MultiHeadAttention(3, 4, value_dim=2, output_shape=6, use_bias=False, name="cross")(query, value=memory)
    x = L.MultiHeadAttention(2, 4, name="again")(x, x)
    return tf_keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def shared() -> Model:
    one, other = tf_keras.Input((8, 4), name="one"), tf_keras.Input((8, 4), name="other")
    conv, norm, wide = L.Conv1D(8, 3, name="conv"), L.BatchNormalization(), L.Dense(6, name="wide")
    reshape = L.Reshape((3, -1))
    pair = [reshape(wide(L.ReLU()(norm(conv(x))))) for x in (one, other)]
    x = L.Subtract()(pair)
    x = L.Concatenate()([x, L.Average()(pair), L.RepeatVector(3)(L.Dense(4, name="extra")(L.Flatten()(other)))])
    return tf_keras.Model([one, other], [L.Dense(2, name="left")(x), L.Dense(1, name="right")(L.Flatten()(x))])


def nested() -> Model:
    inside = tf_keras.Input((8, 8, 6))
    x = L.ReLU()(L.Conv2D(6, 3, padding="same", name="inner")(inside))
    block = tf_keras.Model(inside, L.Add()([x, inside]), name="block")
    head = tf_keras.Sequential([tf_keras.Input((8, 8, 6)), L.Conv2D(8, 3, name="deep"), L.Flatten()], name="head")
    inputs = tf_keras.Input((8, 8, 2))
    x = L.Conv2D(6, 1, name="outer")(inputs)
    return tf_keras.Model(inputs, L.Dense(3, name="out")(head(block(block(x)))))


def volume() -> Model:
    x = inputs = tf_keras.Input((5, 5, 5, 2))
    x = L.Conv3D(6, 3, activation="relu", name="first")(x)
    x = L.Conv3DTranspose(6, 2, name="second")(x)
    x = L.Reshape((4, 16, 6))(x)
    x = L.Permute((2, 1, 3))(x)
    x = Operation("Multiply", '{"args": [{"$tensor": 0}, 0.5], "options": {}}')(x)
    x = Operation("Silu", '{"args": [{"$tensor": 0}], "options": {}}')(x)
    return tf_keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(x)))


TOPOLOGIES: dict[str, Callable[[], Model]] = {
    function.__name__: function
    for function in (
        sequential, residual, mobile, inception, unet, text, recurrent, transformer, shared, nested, volume,
    )
}  # fmt: skip


def randomized(model: Model, seed: int = 0) -> Model:
    """Random weights everywhere, so that no bias, scale or statistic is 0 or 1; variances are positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = 0.5 * rng.standard_normal(weight.shape)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.name else values)
    return model
