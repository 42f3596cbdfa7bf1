"""The lists of the reader against what the two Kerases really have: names of weights, operations and their options."""

from __future__ import annotations

import inspect
import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers.models.reader import catalogue, operations, values
from optimizers.tf import activations
from optimizers.tf.dialects import Keras2, Keras3, _operation_class
from optimizers.tf.ops import OPERATIONS
from optimizers.tf.weights import inner_layers, own_variables

_RENAMED = {"depthwise_kernel": "kernel", "variable": "gamma"}
_SAMPLES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "Dense": ({"units": 2}, (None, 3)),
    "EinsumDense": ({"equation": "ab,bc->ac", "output_shape": (4,), "bias_axes": "c"}, (None, 3)),
    "Embedding": ({"input_dim": 5, "output_dim": 2}, (None, 3)),
    **{f"Conv{n}D": ({"filters": 2, "kernel_size": 3}, (None, *[5] * n, 2)) for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": ({"filters": 2, "kernel_size": 3}, (None, *[5] * n, 2)) for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": ({"kernel_size": 3}, (None, *[5] * n, 2)) for n in (1, 2)},
    **{f"SeparableConv{n}D": ({"filters": 2, "kernel_size": 3}, (None, *[5] * n, 2)) for n in (1, 2)},
    "PReLU": ({}, (None, 3)),
    "BatchNormalization": ({}, (None, 3)),
    "LayerNormalization": ({}, (None, 3)),
    "GroupNormalization": ({"groups": 1}, (None, 3)),
    "RMSNormalization": ({}, (None, 3)),
    "Normalization": ({}, (None, 3)),
    "LSTM": ({"units": 2}, (None, 4, 3)),
    "GRU": ({"units": 2}, (None, 4, 3)),
    "SimpleRNN": ({"units": 2}, (None, 4, 3)),
    "ConvLSTM1D": ({"filters": 2, "kernel_size": 3}, (None, 4, 5, 2)),
    "ConvLSTM2D": ({"filters": 2, "kernel_size": 3}, (None, 4, 5, 5, 2)),
    "LayerScale": ({"init_values": 0.1, "projection_dim": 3}, (None, 3)),
}


def _weight_names(layer: Any) -> list[str]:
    names = [re.sub(r"(:0|_\d+)$", "", variable.name.split("/")[-1]) for variable in own_variables(layer)]
    return [_RENAMED.get(name, name) for name in names] + [
        name for _, inner, _ in inner_layers(layer, None) for name in _weight_names(inner)
    ]


@pytest.mark.parametrize("kind", _SAMPLES)
def test_weights_come_in_the_same_order_in_both_kerases(kind: str) -> None:
    options, shape = _SAMPLES[kind]
    found = []
    for dialect in (Keras2(), Keras3()):
        layer = dialect.layer_class(kind)(**options)
        layer.build(shape)
        found.append(_weight_names(layer))
    assert found[0] == found[1]
    assert found[0]


@pytest.mark.parametrize("kind", sorted(catalogue.LAYERS))
def test_every_listed_layer_exists_in_both_kerases(kind: str) -> None:
    assert inspect.isclass(Keras3().layer_class(kind))
    assert inspect.isclass(Keras2().layer_class(kind)) != (kind in catalogue.ONLY_IN_KERAS3)


@pytest.mark.parametrize("kind", sorted(catalogue.LAYERS))
def test_every_option_of_keras_3_is_known_or_ignored(kind: str) -> None:
    known = {*catalogue.LAYERS[kind], *catalogue.PARTS.get(kind, ())}
    parameters = inspect.signature(Keras3().layer_class(kind).__init__).parameters.values()
    options = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {"self"}
    strange = {
        option
        for option in options - known - {"activity_regularizer"}
        if not catalogue.is_ignored(kind, option)
        and not any(catalogue.is_switched_off(option, off) for off in (None, False, 1))
    }
    assert not strange


def test_every_operation_can_be_computed() -> None:
    assert set(OPERATIONS) == set(operations.OPERATIONS) - set(operations.ONLY_IN_KERAS3)


@pytest.mark.parametrize("name", sorted(operations.OPERATIONS))
def test_options_of_operations_are_those_of_keras(name: str) -> None:
    listed = operations.OPERATIONS[name] - {"constant_values"}
    theirs = set(inspect.signature(_operation_class(name).__init__).parameters) - {"self", "name"}
    assert listed <= theirs
    if name in operations.ONLY_IN_KERAS3:
        return
    ours = {p.name for p in inspect.signature(OPERATIONS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY}
    assert listed <= ours | {"dtype"}


_UNARY = [
    *("Abs", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Expm1", "Floor", "HardSigmoid", "HardSilu", "HardTanh", "Isfinite"),
    *("LogSigmoid", "Negative", "Ravel", "Reciprocal", "Relu6", "Round", "Selu", "Sign", "Sin", "Sinh", "Softplus"),
    *("Softsign", "Square", "Tan", "Tanh", "Arctan", "Silu", "Sigmoid"),
]
_BINARY = [
    *("Add", "Divide", "DivideNoNan", "Dot", "Equal", "FloorDivide", "Greater", "GreaterEqual", "Less", "LessEqual"),
    *("Matmul", "Maximum", "Minimum", "Mod", "Multiply", "NotEqual", "Subtract", "TrueDivide"),
]
_WITH_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *[(name, {"axis": [0, 1]}) for name in ("Sum", "Mean", "Max", "Min", "Prod", "Var", "Std", "Logsumexp")],
    *[(name, {"axis": 1, "keepdims": True}) for name in ("Argmax", "Argmin", "Any", "All", "Amax", "Amin")],
    *[(name, {"axis": 0}) for name in ("Softmax", "LogSoftmax", "ExpandDims", "Flip", "Cumsum")],
    ("Flip", {"axis": None}),
    ("Cumsum", {"axis": None}),
    ("Gelu", {"approximate": True}),
    ("Elu", {"alpha": 0.3}),
    ("Clip", {"x_min": -0.2, "x_max": 0.4}),
    ("Reshape", {"newshape": [2, -1]}),
    ("Pad", {"pad_width": [[1, 0], [0, 2]], "mode": "constant"}),
    ("Split", {"indices_or_sections": [1, 3], "axis": 1}),
    ("Split", {"indices_or_sections": 2, "axis": 0}),
    ("Tile", {"repeats": [2, 1]}),
    ("Repeat", {"repeats": 3, "axis": 1}),
    ("Roll", {"shift": 1, "axis": 0}),
    ("Moveaxis", {"source": [0, 1], "destination": [1, 0]}),
    ("Swapaxes", {"axis1": 0, "axis2": -1}),
    ("Transpose", {"axes": None}),
    ("Normalize", {"axis": -1}),
    *[("Norm", {"ord": ord, "axis": 1, "keepdims": True}) for ord in (None, 1, 2, float("inf"))],
    *[("Norm", {"ord": ord, "axis": [0, 1]}) for ord in (None, "fro")],
    ("Norm", {}),
    ("TopK", {"k": 2}),
    ("Tril", {"k": 1}),
    ("BroadcastTo", {"shape": [3, 4, 4]}),
    ("Cast", {"dtype": "int32"}),
    ("OnesLike", {"dtype": "int32"}),
]


def _both(name: str, options: dict[str, Any], *arrays: np.ndarray) -> None:
    theirs = _operation_class(name)(**options)(*[keras.ops.convert_to_tensor(array) for array in arrays])
    ours = OPERATIONS[name](*[tf.constant(array) for array in arrays], **options)
    many = isinstance(theirs, list | tuple)
    for a, b in zip(theirs if many else [theirs], ours if many else [ours], strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)


def test_operations_equal_those_of_keras() -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((4, 4)).astype("float32")
    y = generator.standard_normal((4, 4)).astype("float32")
    for name in _UNARY:
        _both(name, {}, x)
    for name in _BINARY:
        _both(name, {}, x, y)
    for name, options in _WITH_OPTIONS:
        array = x > 0 if name in ("Any", "All") else x
        _both(name, options, array)
    for name in ("Log", "Log1p", "Sqrt", "Rsqrt"):
        _both(name, {}, np.abs(x) + 0.1)
    _both("Power", {}, np.abs(x), y)
    _both("Where", {}, x > 0, x, y)
    _both("OneHot", {"num_classes": 3}, np.array([0, 2, 1]))
    _both("Take", {"axis": 0}, x, np.array([2, 0]))
    for axis, shape in ((0, (2, 4)), (1, (4, 3)), (-1, (4, 4)), (None, (5,))):
        _both("TakeAlongAxis", {"axis": axis}, x, generator.integers(-4, 4, shape))
    _both("Divide", {}, np.array([1, 2], "int32"), np.array([3, 4], "int32"))
    _both("Multiply", {}, np.array([1, 2], "int32"), x[0, :2])
    image = generator.standard_normal((1, 4, 4, 4)).astype("float32")
    _both("MaxPool", {"pool_size": 2, "padding": "same"}, image)
    _both("AveragePool", {"pool_size": [2, 2], "strides": 1}, image)
    _both("DepthToSpace", {"block_size": 2}, image)
    _both("SpaceToDepth", {"block_size": 2}, image)
    _both("Resize", {"size": [6, 6], "interpolation": "bilinear"}, image)


@pytest.mark.parametrize("name", sorted(values.ACTIVATIONS - {"keras2_hard_sigmoid"}))
def test_activations_equal_those_of_keras(name: str) -> None:
    x = np.linspace(-4, 4, 24).astype("float32").reshape(4, 6)
    ours = tf_keras.activations.get(activations.keras2_activation(name))(tf.constant(x))
    np.testing.assert_allclose(np.asarray(ours), np.asarray(keras.activations.get(name)(x)), rtol=1e-5, atol=1e-6)


def test_the_old_hard_sigmoid_in_keras_3() -> None:
    x = np.linspace(-4, 4, 9).astype("float32")
    ours = activations.keras3_activation("keras2_hard_sigmoid")
    assert callable(ours)
    np.testing.assert_allclose(
        np.asarray(ours(x)), np.asarray(tf_keras.activations.hard_sigmoid(tf.constant(x))), atol=1e-6
    )
