"""Small Keras 3 models, one for each thing that a graph can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import Input, layers, ops

Builder = Callable[[], Any]


def randomized(model: Any, seed: int = 7) -> Any:
    """The model with random float weights; variances stay positive. Other weights (counters, seeds) are left alone."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            values = generator.uniform(0.5, 1.5, variable.shape) if "var" in variable.name else None
            variable.assign(0.4 * generator.standard_normal(variable.shape) if values is None else values)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    return model


def image_functional() -> Any:
    x = inputs = Input((12, 12, 3), name="image")
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(6, 3, strides=2, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(max_value=6.0)(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    y = layers.SeparableConv2D(6, 3, padding="same", activation="relu")(x)
    x = layers.Add()([x, y])
    x = layers.Concatenate()([x, layers.MaxPooling2D(3, strides=1, padding="same")(x)])
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="elu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Cropping2D(1)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="class")(x))


def sequential() -> Any:
    return keras.Sequential(
        [
            Input((16,)),
            layers.Normalization(),
            layers.Dense(
                8, activation="gelu", kernel_regularizer="l2", kernel_constraint=keras.constraints.MaxNorm(2.0)
            ),
            layers.Dense(8, activation="hard_sigmoid"),
            layers.PReLU(),
            layers.Dense(1),
        ],
        name="tabular",
    )


def signal() -> Any:
    x = inputs = Input((20, 2))
    x = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="swish")(x)
    x = layers.SeparableConv1D(6, 3, padding="same")(x)
    x = layers.DepthwiseConv1D(3, padding="same", depth_multiplier=2)(x)
    x = layers.GroupNormalization(groups=3)(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.Conv1DTranspose(3, 2, strides=2)(x)
    x = layers.Permute((2, 1))(x)
    x = layers.GlobalMaxPooling1D(keepdims=True)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Reshape((5, -1))(layers.RepeatVector(1)(layers.Dense(10, activation="tanh")(x))))


def volume() -> Any:
    x = inputs = Input((6, 6, 6, 1))
    x = layers.Conv3D(2, 2, activation="selu")(x)
    x = layers.MaxPooling3D(2)(x)
    x = layers.UpSampling3D(2)(x)
    x = layers.Conv3DTranspose(2, 2)(x)
    return keras.Model(inputs, layers.GlobalAveragePooling3D()(x))


def shared_layers() -> Any:
    a, b = Input((6,), name="a"), Input((6,), name="b")
    tower = layers.Dense(5, activation="relu", name="tower")
    norm = layers.LayerNormalization(name="norm")
    x, y = norm(tower(a)), norm(tower(b))
    merged = layers.Dot(axes=1, normalize=True)([x, y])
    return keras.Model([a, b], [merged, layers.Subtract()([x, y]), layers.Multiply()([x, tower(a)])])


def nested_models() -> Any:
    inner_in = Input((4,), name="inner_input")
    inner = keras.Model(inner_in, layers.Dense(4, activation="tanh", name="dense")(inner_in), name="inner")
    stack = keras.Sequential([Input((4,)), inner, layers.Dense(4, name="dense")], name="stack")
    inputs = Input((4,), name="outer_input")
    first = stack(inputs)
    second = inner(first)
    return keras.Model(inputs, [inner(second), layers.Dense(2, name="dense")(stack(second)), second])


def nested_as_output() -> Any:
    inner_in = Input((3,))
    inner = keras.Model(inner_in, layers.Dense(3, name="d")(inner_in), name="inner")
    block = keras.Sequential([Input((3,)), layers.Dense(3)], name="block")
    inputs = Input((3,))
    first, second = inner(inputs), inner(layers.ReLU()(inputs))
    return keras.Model(inputs, {"one": second, "two": first, "three": block(second), "four": block(block(first))})


def one_layer_in_two_models() -> Any:
    shared = layers.Dense(4, name="shared")
    left_in, right_in = Input((4,)), Input((4,))
    left = keras.Model(left_in, shared(left_in), name="left")
    right = keras.Model(right_in, layers.Activation("sigmoid")(shared(right_in)), name="right")
    inputs = Input((4,))
    return keras.Model(inputs, layers.Add()([left(inputs), right(inputs), shared(inputs)]))


def multiple_inputs() -> Any:
    tokens, numbers = Input((7,), dtype="int32", name="tokens"), Input((3,), name="numbers")
    x = layers.Embedding(11, 5)(tokens)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Concatenate()([x, layers.Rescaling(0.1, offset=1.0)(numbers)])
    return keras.Model({"tokens": tokens, "numbers": numbers}, layers.Dense(2, name="out me")(x))


def masked_recurrent() -> Any:
    tokens = Input((9,), dtype="int32", name="tokens")
    x = layers.Embedding(8, 4, mask_zero=True)(tokens)
    x = layers.LSTM(5, return_sequences=True)(x)
    x = layers.Bidirectional(layers.GRU(3))(x)
    return keras.Model(tokens, layers.Dense(2, activation="softmax")(x))


def recurrent() -> Any:
    inputs = Input((6, 3))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid"))(inputs)
    x, state = layers.GRU(3, return_sequences=True, return_state=True, reset_after=False)(x)
    x = layers.SimpleRNN(3, return_sequences=True, activation="relu")(x, initial_state=state)
    x = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)(x)
    x = layers.TimeDistributed(layers.Dense(4, activation="mish"))(x)
    y = layers.Bidirectional(layers.SimpleRNN(2), merge_mode="sum")(x)
    return keras.Model(inputs, [layers.LSTM(3, go_backwards=True, unroll=True, use_bias=False)(x), y])


def transformer() -> Any:
    tokens = Input((8,), dtype="int32")
    x = layers.Embedding(20, 6)(tokens)
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(x + attended)
        x = layers.LayerNormalization()(layers.Dense(6)(layers.Dense(9, activation="gelu")(x)) + x)
    attended = layers.Attention(use_scale=True)([x, x])
    x = layers.AdditiveAttention()([attended, x])
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d", activation="relu")(x)
    return keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def convolutional_recurrent() -> Any:
    inputs = Input((3, 6, 6, 1))
    x = layers.ConvLSTM2D(2, 3, padding="same")(inputs)
    return keras.Model(inputs, layers.Resizing(4, 4)(x))


def normalizations() -> Any:
    inputs = Input((6, 4))
    x = layers.RMSNormalization()(inputs)
    x = layers.BatchNormalization(axis=1, center=False)(x)
    x = layers.UnitNormalization()(x)
    x = layers.SpectralNormalization(layers.Conv1D(3, 2))(x)
    x = layers.SpatialDropout1D(0.1)(layers.GaussianNoise(0.1)(layers.AlphaDropout(0.1)(x)))
    x = layers.ActivityRegularization(0.1)(layers.GaussianDropout(0.1)(x))
    x = layers.Average()([layers.Softmax()(x), layers.ELU(0.5)(x)])
    return keras.Model(inputs, layers.LSTM(2)(layers.Masking(0.0)(layers.ReLU(threshold=0.2)(x))))


def operations() -> Any:
    inputs = Input((4, 6), name="x")
    x = 2.0 * inputs + 1.0
    x = ops.concatenate([x, ops.square(inputs) - inputs], axis=-1)
    x = ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))) / 3.0, axis=-1)
    x = ops.reshape(x[:, 1:, ::2], (-1, 6))
    a, b = ops.split(x, 2, axis=1)
    x = ops.stack([ops.maximum(a, b), ops.sigmoid(a) * ops.relu(b)], axis=1)
    x = ops.where(x > 0.3, ops.exp(-x), ops.sqrt(ops.abs(x) + 0.1))
    x = ops.expand_dims(ops.sum(x, axis=1), -1) - ops.mean(x, keepdims=True)
    return keras.Model(inputs, [ops.squeeze(ops.max(x, axis=1)[..., None], axis=-1), ops.einsum("abc,adc->abd", x, x)])


def more_operations() -> Any:
    inputs = Input((4, 4, 8))
    x = ops.nn.depth_to_space(inputs, 2) if hasattr(ops.nn, "depth_to_space") else inputs
    x = ops.max_pool(ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2, padding="same")
    x = ops.clip(ops.swapaxes(x, 1, 2), -0.5, 2.0) ** 2
    x = ops.leaky_relu(ops.moveaxis(x, 3, 1), 0.3) + ops.gelu(ops.moveaxis(x, 3, 1), approximate=False)
    x = ops.normalize(ops.flip(ops.roll(x, 1, axis=2), axis=3), axis=1)
    x = ops.mean(ops.cast(x > 0.1, "float32") * x, axis=(2, 3))
    parts = ops.unstack(x, axis=1)
    return keras.Model(inputs, [ops.log_softmax(x), ops.tile(parts[0][:, None], (1, 2)), ops.cumsum(x, axis=1)])


def activations() -> Any:
    inputs = Input((6,))
    names = [
        "relu6",
        "leaky_relu",
        "log_softmax",
        "celu",
        "hard_silu",
        "hard_tanh",
        "hard_shrink",
        "soft_shrink",
        "tanh_shrink",
        "log_sigmoid",
        "squareplus",
        "sparse_plus",
        "sparse_sigmoid",
        "glu",
        "hard_sigmoid",
        "exponential",
        "softplus",
        "softsign",
        "mish",
        "silu",
    ]
    return keras.Model(inputs, [layers.Dense(4, activation=name, name=f"a_{name}")(inputs) for name in names])


def from_applications() -> Any:
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    inputs = Input((4, 4, 3))
    x = StochasticDepth(0.2)(LayerScale(0.5, 3)(inputs))
    return keras.Model(inputs, layers.Conv2D(2, 2)(CustomScaleLayer(0.3)([x, inputs])))


def pixels() -> Any:
    inputs = Input((8, 8, 3), dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.CenterCrop(6, 6)(layers.RandomFlip()(x))
    return keras.Model(inputs, layers.Conv2D(2, 3, activation=layers.LeakyReLU(0.2))(x))


def frozen() -> Any:
    model = keras.Sequential(
        [Input((4,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(4), layers.Dense(2)]
    )
    model.layers[2].trainable = False
    model.layers[0].trainable = False
    return model


def half_precision() -> Any:
    inputs = Input((5,))
    x = layers.Dense(4, dtype="mixed_bfloat16")(inputs)
    return keras.Model(inputs, layers.Dense(2, dtype="float32")(x))


ZOO: dict[str, Builder] = {
    builder.__name__: builder
    for builder in (
        image_functional,
        sequential,
        signal,
        volume,
        shared_layers,
        nested_models,
        nested_as_output,
        one_layer_in_two_models,
        multiple_inputs,
        masked_recurrent,
        recurrent,
        transformer,
        convolutional_recurrent,
        normalizations,
        operations,
        more_operations,
        activations,
        from_applications,
        pixels,
        frozen,
    )
}
