"""The networks of the sample models, of built-in layers only.

Every function takes the layer library as its argument, ``keras`` (Keras 3) or ``tf_keras`` (Keras 2), and returns an
untrained functional model with one input and one output. The same network can so be saved in formats of both.
Shapes are given without the batch dimension.
"""

from __future__ import annotations

from typing import Any

Library = Any
Model = Any


def digits_cnn(k: Library) -> Model:
    """(8, 8, 1) -> (10,) softmax: three convolutions with batch normalization, one hidden layer."""
    x = inputs = k.Input((8, 8, 1), name="image")
    for number, filters in enumerate((32, 32, 64), start=1):
        x = _conv(k, x, filters, f"{number}")
        if number > 1:
            x = k.layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = k.layers.Flatten(name="flatten")(x)
    x = k.layers.Dense(64, activation="relu", name="hidden")(x)
    x = k.layers.Dropout(0.3, name="dropout")(x)
    return k.Model(inputs, _classes(k, x, 10), name="digits_cnn")


def digits_resnet(k: Library) -> Model:
    """(8, 8, 1) -> (10,) softmax: a stem and four residual blocks of two convolutions each."""
    inputs = k.Input((8, 8, 1), name="image")
    x = _conv(k, inputs, 32, "_stem")
    for number, (filters, stride) in enumerate(((32, 1), (64, 2), (64, 1), (128, 2)), start=1):
        x = _residual(k, x, filters, stride, f"{number}")
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    x = k.layers.Dropout(0.3, name="dropout")(x)
    return k.Model(inputs, _classes(k, x, 10), name="digits_resnet")


def digits_lstm(k: Library) -> Model:
    """(8, 8, 1) -> (10,) softmax: the eight rows read from top to bottom."""
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Reshape((8, 8), name="rows")(inputs)
    x = k.layers.LSTM(96, name="lstm")(x)
    x = k.layers.Dropout(0.3, name="dropout")(x)
    return k.Model(inputs, _classes(k, x, 10), name="digits_lstm")


def digits_transformer(k: Library) -> Model:
    """(8, 8, 1) -> (10,) softmax: two blocks of self-attention over the eight rows.

    ``embed`` projects every row with the same matrix and adds a bias of shape (8, 48), one vector per row: that bias is
    the learned positional embedding.
    """
    width, heads = 48, 4
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Reshape((8, 8), name="rows")(inputs)
    x = k.layers.EinsumDense("abc,cd->abd", output_shape=(8, width), bias_axes="bd", name="embed")(x)
    for number in ("1", "2"):
        y = k.layers.LayerNormalization(epsilon=1e-5, name=f"norm{number}a")(x)
        y = k.layers.MultiHeadAttention(heads, width // heads, name=f"attention{number}")(y, y)
        x = k.layers.Add(name=f"add{number}a")([x, y])
        y = k.layers.LayerNormalization(epsilon=1e-5, name=f"norm{number}b")(x)
        y = k.layers.Dense(2 * width, activation="relu", name=f"mlp{number}a")(y)
        y = k.layers.Dense(width, name=f"mlp{number}b")(y)
        y = k.layers.Dropout(0.1, name=f"dropout{number}")(y)
        x = k.layers.Add(name=f"add{number}b")([x, y])
    x = k.layers.LayerNormalization(epsilon=1e-5, name="norm")(x)
    x = k.layers.Flatten(name="flatten")(x)
    x = k.layers.Dropout(0.2, name="dropout")(x)
    return k.Model(inputs, _classes(k, x, 10), name="digits_transformer")


def fashion_cnn(k: Library) -> Model:
    """(28, 28, 1) -> (10,) softmax: four convolutions with batch normalization, one hidden layer."""
    x = inputs = k.Input((28, 28, 1), name="image")
    for number, filters in enumerate((32, 32, 64, 64), start=1):
        x = _conv(k, x, filters, f"{number}")
        if number != 3:
            x = k.layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = k.layers.Flatten(name="flatten")(x)
    x = k.layers.Dropout(0.4, name="dropout1")(x)
    x = k.layers.Dense(96, activation="relu", name="hidden")(x)
    x = k.layers.Dropout(0.4, name="dropout2")(x)
    return k.Model(inputs, _classes(k, x, 10), name="fashion_cnn")


def fashion_mobilenet(k: Library) -> Model:
    """(28, 28, 1) -> (10,) softmax: depthwise convolutions, each followed by a 1x1 convolution, after MobileNet.

    Source: A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    2017.
    """
    inputs = k.Input((28, 28, 1), name="image")
    x = _conv(k, inputs, 24, "_stem")
    for number, (filters, stride) in enumerate(((48, 2), (64, 1), (96, 2), (96, 1), (128, 2)), start=1):
        x = k.layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"depth{number}")(x)
        x = k.layers.BatchNormalization(momentum=0.9, name=f"depth{number}_bn")(x)
        x = k.layers.ReLU(name=f"depth{number}_relu")(x)
        x = _conv(k, x, filters, f"_point{number}", size=1)
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    x = k.layers.Dropout(0.3, name="dropout")(x)
    return k.Model(inputs, _classes(k, x, 10), name="fashion_mobilenet")


def occupancy_gru(k: Library) -> Model:
    """(16, 5) -> (1,) sigmoid: sixteen minutes of five sensors."""
    inputs = k.Input((16, 5), name="minutes")
    x = k.layers.GRU(32, name="gru")(inputs)
    x = k.layers.Dropout(0.3, name="dropout")(x)
    return k.Model(inputs, k.layers.Dense(1, activation="sigmoid", name="occupied")(x), name="occupancy_gru")


def penguins_mlp(k: Library) -> Model:
    """(9,) -> (3,) softmax."""
    inputs = k.Input((9,), name="features")
    x = k.layers.Dense(32, activation="relu", name="hidden1")(inputs)
    x = k.layers.Dropout(0.2, name="dropout")(x)
    x = k.layers.Dense(16, activation="relu", name="hidden2")(x)
    return k.Model(inputs, _classes(k, x, 3), name="penguins_mlp")


def mpg_mlp(k: Library) -> Model:
    """(9,) -> (1,) linear, in miles per gallon."""
    inputs = k.Input((9,), name="features")
    x = k.layers.Dense(64, activation="relu", name="hidden1")(inputs)
    x = k.layers.Dropout(0.1, name="dropout")(x)
    x = k.layers.Dense(32, activation="relu", name="hidden2")(x)
    return k.Model(inputs, k.layers.Dense(1, name="mpg")(x), name="mpg_mlp")


def _conv(k: Library, x: Any, filters: int, suffix: str, *, size: int = 3, stride: int = 1, relu: bool = True) -> Any:
    """Convolution without bias, batch normalization and, if asked for, ReLU."""
    name = f"conv{suffix}".replace("conv_", "")
    x = k.layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False, name=name)(x)
    x = k.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return k.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _residual(k: Library, x: Any, filters: int, stride: int, number: str) -> Any:
    y = _conv(k, x, filters, f"_block{number}a", stride=stride)
    y = _conv(k, y, filters, f"_block{number}b", relu=False)
    if stride != 1 or x.shape[-1] != filters:
        x = _conv(k, x, filters, f"_skip{number}", size=1, stride=stride, relu=False)
    x = k.layers.Add(name=f"add{number}")([x, y])
    return k.layers.ReLU(name=f"block{number}_relu")(x)


def _classes(k: Library, x: Any, classes: int) -> Any:
    return k.layers.Dense(classes, activation="softmax", name="classes")(x)
