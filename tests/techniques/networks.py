"""Small tf_keras networks on handwritten digits, for tests that need a real model and real data."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from optimizers.declarations import Part, TrainingData

Library = Any
Model = Any
CLASSES = tuple(str(digit) for digit in range(10))


def dense(k: Library) -> Model:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Flatten(name="flatten")(inputs)
    x = k.layers.Dense(64, activation="relu", name="hidden1")(x)
    x = k.layers.Dense(40, activation="relu", name="hidden2")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="dense")


def conv(k: Library) -> Model:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1")(inputs)
    x = k.layers.BatchNormalization(name="bn1")(x)
    x = k.layers.ReLU(name="relu1")(x)
    x = k.layers.Conv2D(24, 3, strides=2, padding="same", activation="relu", name="conv2")(x)
    x = k.layers.Flatten(name="flatten")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="conv")


def depthwise(k: Library) -> Model:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(inputs)
    x = k.layers.DepthwiseConv2D(3, padding="same", name="depth")(x)
    x = k.layers.ReLU(name="relu")(x)
    x = k.layers.Conv2D(24, 1, activation="relu", name="point")(x)
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="depthwise")


def lstm(k: Library) -> Model:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Reshape((8, 8), name="rows")(inputs)
    x = k.layers.LSTM(32, name="lstm")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="lstm_net")


def gru(k: Library) -> Model:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Reshape((8, 8), name="rows")(inputs)
    x = k.layers.GRU(24, name="gru")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="gru_net")


def attention(k: Library) -> Model:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Reshape((8, 8), name="rows")(inputs)
    y = k.layers.LayerNormalization(name="norm")(x)
    y = k.layers.MultiHeadAttention(2, 8, name="attention")(y, y)
    x = k.layers.Add(name="add")([x, y])
    x = k.layers.Flatten(name="flatten")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="attention_net")


NETWORKS: dict[str, Callable[[Library], Model]] = {
    network.__name__: network for network in (dense, conv, depthwise, lstm, gru)
}


@cache
def digits() -> TrainingData:
    """The 1,797 small digits that come with scikit-learn: 900 to train on, 300 to validate with."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    images = (x[order].reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    labels = y[order].astype(np.int64)
    return TrainingData(
        Part(images[:900], labels[:900]), Part(images[900:1200], labels[900:1200]), "classification", CLASSES
    )


@cache
def held_out() -> Part:
    """The last 597 digits, which `digits` does not contain."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[1200:]
    return Part((x[order].reshape(-1, 8, 8, 1) / 16).astype(np.float32), y[order].astype(np.int64))


@cache
def built(name: str) -> Model:
    """A network of `NETWORKS` with fixed weights: the convolutional one trained for three epochs, the others random."""
    import tf_keras

    tf_keras.utils.set_random_seed(5)
    model = ({"attention": attention} | NETWORKS)[name](tf_keras)
    if name == "conv":
        data = digits()
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
        model.fit(data.train.x, data.train.y, epochs=3, verbose=0)
    return model
