"""Small cases for the bridge as a table: a built-in layer or operation, its options, and the inputs it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import Input, layers, ops

from optimizers.models.reader.values import words
from tests.tf.zoo import ZOO

Shape = tuple[int, ...]
Options = dict[str, Any]

_VECTOR, _SIGNAL, _IMAGE, _VOLUME = (6,), (8, 4), (8, 8, 4), (5, 5, 5, 2)
_SHAPES = {1: _SIGNAL, 2: _IMAGE, 3: _VOLUME}
_ACTIVATIONS = words(
    "relu relu6 leaky_relu sigmoid tanh softmax log_softmax elu selu celu softplus softsign exponential gelu silu mish "
    "hard_sigmoid hard_silu hard_tanh hard_shrink soft_shrink tanh_shrink log_sigmoid squareplus sparse_plus "
    "sparse_sigmoid glu"
)

_FIRST: Options = {"data_format": "channels_first"}

LAYERS: list[tuple[str, Options, Shape]] = [
    ("Dense", {"units": 3}, _VECTOR),
    ("Dense", {"units": 3, "use_bias": False}, _IMAGE),
    *[("Dense", {"units": 4, "activation": name}, _VECTOR) for name in _ACTIVATIONS],
    *[("Activation", {"activation": name}, _SIGNAL) for name in _ACTIVATIONS],
    ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 4, "bias_axes": "c"}, _VECTOR),
    ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 2, 3)}, _SIGNAL),
    # convolutions
    *[(f"Conv{n}D", {"filters": 4, "kernel_size": 3}, _SHAPES[n]) for n in (1, 2, 3)],
    *[(f"Conv{n}D", {"filters": 4, "kernel_size": 2, "padding": "same"}, _SHAPES[n]) for n in (1, 2, 3)],
    *[(f"Conv{n}D", {"filters": 4, "kernel_size": 2, "strides": 2, "use_bias": False}, _SHAPES[n]) for n in (1, 2, 3)],
    *[(f"Conv{n}D", {"filters": 2, "kernel_size": 2, "dilation_rate": 2}, _SHAPES[n]) for n in (1, 2, 3)],
    *[(f"Conv{n}D", {"filters": 4, "kernel_size": 3, "groups": 2}, _SHAPES[n]) for n in (1, 2)],
    ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, _SIGNAL),
    ("Conv2D", {"filters": 3, "kernel_size": (1, 3), "strides": (2, 1), "activation": "relu"}, _IMAGE),
    *[(f"Conv{n}DTranspose", {"filters": 3, "kernel_size": 3}, _SHAPES[n]) for n in (1, 2, 3)],
    *[(f"Conv{n}DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}, _SHAPES[n])
      for n in (1, 2, 3)],
    *[(f"Conv{n}DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1}, _SHAPES[n])
      for n in (1, 2, 3)],
    *[(f"DepthwiseConv{n}D", {"kernel_size": 3}, _SHAPES[n]) for n in (1, 2)],
    *[(f"DepthwiseConv{n}D", {"kernel_size": 3, "depth_multiplier": 2, "padding": "same", "strides": 2}, _SHAPES[n])
      for n in (1, 2)],
    *[(f"SeparableConv{n}D", {"filters": 3, "kernel_size": 3}, _SHAPES[n]) for n in (1, 2)],
    *[(f"SeparableConv{n}D", {"filters": 3, "kernel_size": 2, "depth_multiplier": 2, "use_bias": False}, _SHAPES[n])
      for n in (1, 2)],
    # pooling and shapes
    *[(f"{kind}Pooling{n}D", {"pool_size": 2}, _SHAPES[n]) for kind in ("Max", "Average") for n in (1, 2, 3)],
    *[(f"{kind}Pooling{n}D", {"pool_size": 3, "strides": 1, "padding": "same"}, _SHAPES[n])
      for kind in ("Max", "Average") for n in (1, 2, 3)],
    *[(f"Global{kind}Pooling{n}D", {"keepdims": keep}, _SHAPES[n])
      for kind in ("Max", "Average") for n in (1, 2, 3) for keep in (False, True)],
    ("Flatten", {}, _IMAGE),
    ("Reshape", {"target_shape": (-1, 2)}, _IMAGE),
    ("Reshape", {"target_shape": (2, 3)}, _VECTOR),
    ("Permute", {"dims": (3, 1, 2)}, _IMAGE),
    ("RepeatVector", {"n": 3}, _VECTOR),
    *[(f"UpSampling{n}D", {"size": 2}, _SHAPES[n]) for n in (1, 2, 3)],
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, _IMAGE),
    *[(f"ZeroPadding{n}D", {"padding": 1}, _SHAPES[n]) for n in (1, 2, 3)],
    ("ZeroPadding1D", {"padding": (0, 2)}, _SIGNAL),
    ("ZeroPadding2D", {"padding": ((0, 1), (2, 0))}, _IMAGE),
    *[(f"Cropping{n}D", {"cropping": 1}, _SHAPES[n]) for n in (1, 2, 3)],
    ("Cropping2D", {"cropping": ((0, 1), (2, 1))}, _IMAGE),
    # activations that are layers
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, _IMAGE),
    ("ReLU", {}, _IMAGE),
    ("LeakyReLU", {}, _VECTOR),
    ("LeakyReLU", {"negative_slope": 0.05}, _VECTOR),
    ("PReLU", {}, _VECTOR),
    ("PReLU", {"shared_axes": [1, 2]}, _IMAGE),
    ("ELU", {"alpha": 0.5}, _VECTOR),
    ("Softmax", {}, _VECTOR),
    ("Softmax", {"axis": 1}, _SIGNAL),
    ("Identity", {}, _VECTOR),
    # only while training
    *[(kind, {"rate": 0.2}, _SIGNAL) for kind in ("Dropout", "AlphaDropout", "GaussianDropout")],
    *[(f"SpatialDropout{n}D", {"rate": 0.2}, _SHAPES[n]) for n in (1, 2, 3)],
    ("GaussianNoise", {"stddev": 0.1}, _SIGNAL),
    ("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, _VECTOR),
    *[(kind, {}, _IMAGE) for kind in ("RandomGrayscale", "RandomInvert")],
    ("RandomFlip", {"mode": "horizontal"}, _IMAGE),
    ("RandomRotation", {"factor": 0.1}, _IMAGE),
    ("RandomZoom", {"height_factor": 0.1}, _IMAGE),
    ("RandomTranslation", {"height_factor": 0.1, "width_factor": 0.1}, _IMAGE),
    ("RandomContrast", {"factor": 0.1}, _IMAGE),
    ("RandomBrightness", {"factor": 0.1}, _IMAGE),
    # normalization and preprocessing
    ("BatchNormalization", {}, _IMAGE),
    ("BatchNormalization", {"axis": 1, "scale": False, "center": False, "epsilon": 0.01}, _SIGNAL),
    ("LayerNormalization", {}, _SIGNAL),
    ("LayerNormalization", {"axis": [1, 2], "scale": False}, _SIGNAL),
    ("LayerNormalization", {"axis": 1, "center": False}, _SIGNAL),
    ("GroupNormalization", {"groups": 2}, _IMAGE),
    ("GroupNormalization", {"groups": -1, "scale": False}, _IMAGE),
    ("RMSNormalization", {}, _SIGNAL),
    ("RMSNormalization", {"axis": [2, 1], "epsilon": 0.1}, _SIGNAL),
    ("RMSNormalization", {"axis": 1}, (4, 4)),
    ("UnitNormalization", {}, _SIGNAL),
    ("UnitNormalization", {"axis": [1, 2]}, _SIGNAL),
    ("Normalization", {}, _SIGNAL),
    ("Normalization", {"mean": 0.5, "variance": 2.0}, _VECTOR),
    ("Normalization", {"axis": None, "mean": 0.5, "variance": 2.0, "invert": True}, _VECTOR),
    ("Normalization", {"axis": 1}, _SIGNAL),
    ("Rescaling", {"scale": 0.5, "offset": -1.0}, _IMAGE),
    ("Rescaling", {"scale": [0.1, 0.2, 0.3, 0.4], "offset": [1.0, 2.0, 3.0, 4.0]}, _IMAGE),
    ("Resizing", {"height": 5, "width": 6}, _IMAGE),
    ("Resizing", {"height": 5, "width": 6, "interpolation": "nearest"}, _IMAGE),
    ("Resizing", {"height": 5, "width": 6, "crop_to_aspect_ratio": True}, _IMAGE),
    ("CenterCrop", {"height": 5, "width": 6}, _IMAGE),
    ("Discretization", {"bin_boundaries": [-0.5, 0.0, 0.7]}, _VECTOR),
    ("Masking", {}, _SIGNAL),
    # recurrent
    *[(kind, {"units": 3, **options}, _SIGNAL)
      for kind in ("LSTM", "GRU", "SimpleRNN")
      for options in (
          {}, {"return_sequences": True}, {"return_sequences": True, "return_state": True}, {"go_backwards": True},
          {"unroll": True, "use_bias": False}, {"activation": "relu", "dropout": 0.1, "recurrent_dropout": 0.1},
      )],
    *[(kind, {"units": 3, "recurrent_activation": "hard_sigmoid"}, _SIGNAL) for kind in ("LSTM", "GRU")],
    ("GRU", {"units": 3, "reset_after": False}, _SIGNAL),
    ("GRU", {"units": 3, "reset_after": False, "return_sequences": True, "use_bias": False}, _SIGNAL),
    ("LSTM", {"units": 3, "unit_forget_bias": False}, _SIGNAL),
    ("ConvLSTM1D", {"filters": 2, "kernel_size": 3}, (3, 6, 2)),
    ("ConvLSTM2D", {"filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True}, (3, 5, 5, 2)),
    ("ConvLSTM2D", {"filters": 2, "kernel_size": 2, "strides": 2, "return_state": True}, (3, 6, 6, 1)),
    ("ConvLSTM3D", {"filters": 2, "kernel_size": 2}, (2, 4, 4, 4, 1)),
    # channels first
    *[(f"Conv{n}D", {"filters": 4, "kernel_size": 3, **_FIRST}, (3, *_SHAPES[n][:-1])) for n in (1, 2, 3)],
    *[(f"Conv{n}DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, **_FIRST}, (3, *_SHAPES[n][:-1]))
      for n in (1, 2, 3)],
    *[(f"DepthwiseConv{n}D", {"kernel_size": 3, **_FIRST}, (3, *_SHAPES[n][:-1])) for n in (1, 2)],
    *[(f"SeparableConv{n}D", {"filters": 4, "kernel_size": 3, **_FIRST}, (3, *_SHAPES[n][:-1])) for n in (1, 2)],
    *[(f"{kind}Pooling{n}D", {"pool_size": 2, **_FIRST}, (3, *_SHAPES[n][:-1]))
      for kind in ("Max", "Average") for n in (1, 2, 3)],
    *[(f"Global{kind}Pooling{n}D", _FIRST, (3, *_SHAPES[n][:-1])) for kind in ("Max", "Average") for n in (1, 2, 3)],
    *[(kind, options | _FIRST, (3, *_SHAPES[2][:-1]))
      for kind, options in (("UpSampling2D", {"size": 2}), ("ZeroPadding2D", {"padding": 1}),
                            ("Cropping2D", {"cropping": 1}), ("SpatialDropout2D", {"rate": 0.2}), ("Flatten", {}))],
    ("ConvLSTM2D", {"filters": 2, "kernel_size": 2, **_FIRST}, (2, 3, 5, 5)),
]  # fmt: skip
"""(layer class, its options, shape of its one float input)"""

WRAPPED: dict[str, Callable[[], Any]] = {
    **{
        f"Bidirectional-{kind}-{merge}": lambda kind=kind, merge=merge: layers.Bidirectional(
            getattr(layers, kind)(3, return_sequences=True), merge_mode=merge
        )
        for kind in ("LSTM", "GRU", "SimpleRNN")
        for merge in ("concat", "sum", "mul", "ave", None)
    },
    "Bidirectional-backward": lambda: layers.Bidirectional(
        layers.LSTM(3), backward_layer=layers.LSTM(3, activation="relu", go_backwards=True)
    ),
    "Bidirectional-state": lambda: layers.Bidirectional(layers.GRU(2, return_state=True)),
    "TimeDistributed-Dense": lambda: layers.TimeDistributed(layers.Dense(3)),
    "SpectralNormalization-Dense": lambda: layers.SpectralNormalization(layers.Dense(3)),
    "RNN-LSTMCell": lambda: layers.RNN(layers.LSTMCell(3)),
    "RNN-GRUCell": lambda: layers.RNN(layers.GRUCell(3, reset_after=False), return_sequences=True),
    "RNN-stack": lambda: layers.RNN([layers.SimpleRNNCell(3), layers.LSTMCell(2)], return_state=True),
}
"""Layers around layers; each gets a sequence of vectors."""

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    **{
        name: getattr(ops, name)
        for name in words(
            "abs exp expm1 sin cos tan tanh sigmoid sinh cosh arctan erf floor ceil sign round relu relu6 selu silu "
            "softplus softsign log_sigmoid hard_sigmoid hard_silu square negative"
        )
    },
    **{
        f"{name}-{axis}": lambda x, name=name, axis=axis: getattr(ops, name)(x, axis=axis, keepdims=True)
        for name in ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp")
        for axis in (1, (1, 2))
    },
    **{
        name: lambda x, name=name: getattr(ops, name)(x, x * 0.5 + 0.1)
        for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum")
    },
    "log": lambda x: ops.log(ops.abs(x) + 0.1),
    "rsqrt": lambda x: ops.rsqrt(ops.square(x) + 0.1),
    "power": lambda x: ops.power(x, 2),
    "matmul": lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))),
    "einsum": lambda x: ops.einsum("abc,adc->abd", x, x),
    "where": lambda x: ops.where(x > 0.1, x, -x),
    "logical": lambda x: ops.cast(ops.logical_and(x > 0.0, ops.logical_not(x > 1.0)), "float32"),
    "argmax": lambda x: ops.argmax(x, axis=1),
    "one_hot": lambda x: ops.one_hot(ops.argmax(x, axis=1), 9),
    "slice": lambda x: x[:, 1:-1, ::2],
    "index": lambda x: x[:, -1],
    "ellipsis": lambda x: x[..., 0],
    "new axis": lambda x: x[:, None],
    "concatenate": lambda x: ops.concatenate([x, x * 2.0], axis=1),
    "stack": lambda x: ops.stack([x, x * 2.0], axis=-1),
    "split": lambda x: ops.split(x, 2, axis=1),
    "split at": lambda x: ops.split(x, [1, 5], axis=1),
    "unstack": lambda x: ops.unstack(x, axis=2),
    "take": lambda x: ops.take(x, [2, 0], axis=1),
    "tile": lambda x: ops.tile(x, (1, 2, 1)),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "roll": lambda x: ops.roll(x, 1, axis=1),
    "flip": lambda x: ops.flip(x, axis=1),
    "pad": lambda x: ops.pad(x, [[0, 0], [1, 2], [0, 0]]),
    "clip": lambda x: ops.clip(x, -0.3, 0.4),
    "cumsum": lambda x: ops.cumsum(x, axis=1),
    "normalize": lambda x: ops.normalize(x, axis=-1),
    "softmax": lambda x: ops.softmax(x, axis=1),
    "top_k": lambda x: ops.top_k(x, 2),
    "reshape": lambda x: ops.reshape(x, (-1, 16, 2)),
    "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "constant first": lambda x: 2 * x - (1 - x),
    "constant": lambda x: x * ops.array([1.0, 2.0, 3.0, 4.0]),
    "gelu": lambda x: ops.gelu(x, approximate=False),
}
"""Operations of ``keras.ops`` in a graph; each gets a sequence of vectors."""


def _merged(kind: str, **options: Any) -> Any:
    inputs = [Input(_SIGNAL, name="a"), Input(_SIGNAL, name="b")]
    return keras.Model(inputs, getattr(layers, kind)(**options)(inputs))


def _attention(layer: Any, *, same: bool = False, **call: Any) -> Any:
    inputs = [Input((5, 4), name="query"), Input((7, 4), name="value")]
    if isinstance(layer, layers.MultiHeadAttention):
        return keras.Model(inputs, layer(inputs[0], inputs[0] if same else inputs[1], **call))
    return keras.Model(inputs, layer(inputs, **call))


def _masked(layer: Any, **embedding: Any) -> Any:
    tokens = Input((7,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True, **embedding)(tokens)
    return keras.Model(tokens, layer(x))


def _with_dtype(policy: str) -> Any:
    x = inputs = Input(_VECTOR)
    x = layers.LayerNormalization(dtype=policy)(layers.Dense(4, activation="tanh", dtype=policy)(x))
    return keras.Model(inputs, layers.Dense(2, dtype="float32")(x))


def _stateful(kind: str) -> Any:
    inputs = Input(batch_shape=(2, *_SIGNAL))
    return keras.Model(inputs, getattr(layers, kind)(3, stateful=True, return_sequences=True)(inputs))


def _passed_state() -> Any:
    inputs = Input(_SIGNAL)
    _, *states = layers.LSTM(3, return_state=True)(inputs)
    return keras.Model(inputs, layers.LSTM(3, return_sequences=True)(inputs, initial_state=states))


GRAPHS: dict[str, Callable[[], Any]] = {
    **{
        kind: lambda kind=kind: _merged(kind)
        for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    },
    "Concatenate-1": lambda: _merged("Concatenate", axis=1),
    "Dot": lambda: _merged("Dot", axes=2),
    "Dot-normalized": lambda: _merged("Dot", axes=(1, 1), normalize=True),
    "Attention": lambda: _attention(layers.Attention()),
    "Attention-scaled": lambda: _attention(layers.Attention(use_scale=True)),
    "Attention-concat": lambda: _attention(layers.Attention(score_mode="concat")),
    "Attention-scores": lambda: _attention(layers.Attention(), return_attention_scores=True),
    "AdditiveAttention": lambda: _attention(layers.AdditiveAttention()),
    "AdditiveAttention-plain": lambda: _attention(layers.AdditiveAttention(use_scale=False)),
    "MultiHeadAttention": lambda: _attention(layers.MultiHeadAttention(2, 3)),
    "MultiHeadAttention-self": lambda: _attention(layers.MultiHeadAttention(2, 3, value_dim=2), same=True),
    "MultiHeadAttention-bare": lambda: _attention(layers.MultiHeadAttention(2, 3, use_bias=False, output_shape=5)),
    "MultiHeadAttention-causal": lambda: _attention(layers.MultiHeadAttention(2, 3), same=True, use_causal_mask=True),
    "MultiHeadAttention-scores": lambda: _attention(layers.MultiHeadAttention(2, 3), return_attention_scores=True),
    "Embedding": lambda: _masked(layers.Flatten()),
    "masked-LSTM": lambda: _masked(layers.LSTM(3)),
    "masked-GRU": lambda: _masked(layers.GRU(3, return_sequences=True)),
    "masked-SimpleRNN": lambda: _masked(layers.SimpleRNN(3)),
    "masked-Bidirectional": lambda: _masked(layers.Bidirectional(layers.LSTM(3))),
    "masked-pooling": lambda: _masked(layers.GlobalAveragePooling1D()),
    "masked-TimeDistributed": lambda: _masked(layers.TimeDistributed(layers.Dense(2))),
    "stateful-LSTM": lambda: _stateful("LSTM"),
    "stateful-GRU": lambda: _stateful("GRU"),
    "passed state": _passed_state,
    **{dtype: lambda dtype=dtype: _with_dtype(dtype) for dtype in ("mixed_float16", "mixed_bfloat16", "bfloat16")},
    **{
        f"CategoryEncoding-{mode}": lambda mode=mode: _tokens(layers.CategoryEncoding(10, output_mode=mode))
        for mode in ("multi_hot", "count", "one_hot")
    },
}
"""Models with several inputs, masks, states and precisions."""


def _tokens(layer: Any) -> Any:
    tokens = Input((5,) if layer.output_mode != "one_hot" else (1,), dtype="int32")
    return keras.Model(tokens, layer(tokens))


def _around(layer: Callable[[Any], Any], shape: Shape) -> Any:
    inputs = Input(shape)
    return keras.Model(inputs, layer(inputs))


def cases() -> Iterator[tuple[str, Callable[[], Any]]]:
    """(name, what builds the Keras 3 model) of every case; names are unique."""
    for number, (kind, options, shape) in enumerate(LAYERS):
        yield (
            f"{number}-{kind}",
            lambda kind=kind, options=options, shape=shape: _around(getattr(layers, kind)(**options), shape),
        )
    for name, make in WRAPPED.items():
        yield name, lambda make=make: _around(make(), _SIGNAL)
    for name, operation in OPERATIONS.items():
        yield f"ops.{name}", lambda operation=operation: _around(operation, _SIGNAL)
    yield from GRAPHS.items()
    yield from ZOO.items()
