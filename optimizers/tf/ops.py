"""Operations of ``keras.ops``, computed with TensorFlow functions: what a tf_keras model runs in their place.

Each takes its inputs by position and its options by name, as ``optimizers.models.reader.operations`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf
from typing import Any

import tensorflow as tf

from optimizers.errors import ModelRefused

Tensor = Any
Operation = Callable[..., Any]


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _is_float(value: Any) -> bool:
    return bool(tf.as_dtype(value.dtype).is_floating)


def _alike(*values: Any) -> list[Any]:
    """Tensors brought to one dtype the way Keras does: floats win, then the wider integer."""
    names = {tf.as_dtype(value.dtype).name for value in values if hasattr(value, "dtype")}
    if not names:
        return list(values)
    if len(names) == 1:
        common = next(iter(names))
        if not tf.as_dtype(common).is_floating and any(isinstance(value, float) for value in values):
            common = "float32"
    else:
        from keras import backend

        common = backend.result_type(*sorted(names))
    return [tf.cast(value, common) if hasattr(value, "dtype") or type(value) is int else value for value in values]


def _unary(function: Callable[[Tensor], Tensor], *, floats: bool = False) -> Operation:
    def operation(x: Tensor) -> Tensor:
        return function(tf.cast(x, "float32") if floats and not _is_float(x) else x)

    return operation


def _binary(function: Callable[[Tensor, Tensor], Tensor], *, floats: bool = False) -> Operation:
    def operation(x1: Tensor, x2: Tensor) -> Tensor:
        a, b = _alike(x1, x2)
        if floats and not any(
            isinstance(value, float) or (hasattr(value, "dtype") and _is_float(value)) for value in (a, b)
        ):
            a, b = (tf.cast(value, "float32") for value in (a, b))
        return function(a, b)

    return operation


def _reduction(function: Callable[..., Tensor], *, floats: bool = False) -> Operation:
    def operation(x: Tensor, *, axis: Any = None, keepdims: bool = False) -> Tensor:
        return function(
            tf.cast(x, "float32") if floats and not _is_float(x) else x, axis=_axis(axis), keepdims=keepdims
        )

    return operation


def _position(function: Callable[..., Tensor]) -> Operation:
    def operation(x: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
        if axis is None:
            raise _unsupported("the position of an extreme value needs an axis")
        found = function(x, axis=axis, output_type=tf.int32)
        return tf.expand_dims(found, axis) if keepdims else found

    return operation


def _unsupported(what: str) -> ModelRefused:
    return ModelRefused(f"In the graph {what}; replace that operation by a built-in layer.", code="unsupported-op")


def _pool(kind: str) -> Operation:
    def operation(
        x: Tensor, *, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
    ) -> Tensor:
        spatial = len(x.shape) - 2
        window = [pool_size] * spatial if isinstance(pool_size, int) else list(pool_size)
        steps = window if strides is None else [strides] * spatial if isinstance(strides, int) else list(strides)
        return tf.nn.pool(x, window, kind, strides=steps, padding=padding.upper())

    return operation


def _einsum(*operands: Tensor, subscripts: str) -> Tensor:
    return tf.einsum(subscripts, *_alike(*operands))


def _dot(x1: Tensor, x2: Tensor) -> Tensor:
    a, b = _alike(x1, x2)
    if not hasattr(b, "shape") or not len(b.shape) or not len(a.shape):
        return a * b
    if len(b.shape) == 1:
        return tf.tensordot(a, b, axes=1)
    return tf.tensordot(a, b, axes=[[len(a.shape) - 1], [len(b.shape) - 2]])


def _tensordot(x1: Tensor, x2: Tensor, *, axes: Any = 2) -> Tensor:
    return tf.tensordot(*_alike(x1, x2), axes=axes)


def _matmul(x1: Tensor, x2: Tensor) -> Tensor:
    a, b = _alike(x1, x2)
    if len(b.shape) == 1:
        return tf.linalg.matvec(a, b)
    if len(a.shape) == 1:
        return tf.linalg.matvec(b, a, transpose_a=True)
    return tf.matmul(a, b)


def _get_item(x: Tensor, key: Any) -> Tensor:
    return x[tuple(key) if isinstance(key, list) else key]


def _reshape(x: Tensor, *, newshape: list[int | None]) -> Tensor:
    return tf.reshape(x, [-1 if size is None else size for size in newshape])


def _pad(x: Tensor, *, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    rank = len(x.shape)
    if isinstance(pad_width, int):
        pad_width = [[pad_width, pad_width]] * rank
    pairs = [[pair, pair] if isinstance(pair, int) else list(pair) for pair in pad_width]
    if len(pairs) == 1:
        pairs *= rank
    return tf.pad(x, pairs, mode=mode.upper(), constant_values=constant_values or 0)


def _split(x: Tensor, *, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    if isinstance(indices_or_sections, int):
        return list(tf.split(x, indices_or_sections, axis=axis))
    edges = [0, *indices_or_sections, x.shape[axis]]
    return list(tf.split(x, [high - low for low, high in pairwise(edges)], axis=axis))


def _swap_axes(x: Tensor, *, axis1: int, axis2: int) -> Tensor:
    order = list(range(len(x.shape)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return tf.transpose(x, order)


def _move_axis(x: Tensor, *, source: Any, destination: Any) -> Tensor:
    rank = len(x.shape)
    sources, destinations = (
        [axis % rank for axis in (axes if isinstance(axes, list) else [axes])] for axes in (source, destination)
    )
    order = [axis for axis in range(rank) if axis not in sources]
    for target, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(target, axis)
    return tf.transpose(x, order)


def _norm(x: Tensor, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    x = x if _is_float(x) else tf.cast(x, "float32")
    axes = axis if isinstance(axis, list) else [axis]
    of_vectors = len(axes) == 1 and (axes[0] is not None or len(x.shape) == 1)
    where: dict[str, Any] = {"axis": None if axes == [None] else axes, "keepdims": keepdims}
    if ord in (None, "fro", "euclidean") or (ord == 2 and of_vectors):
        return tf.sqrt(tf.reduce_sum(tf.square(x), **where))
    if of_vectors and ord in (1, inf, "inf"):
        return (tf.reduce_sum if ord == 1 else tf.reduce_max)(tf.abs(x), **where)
    raise _unsupported(f"a norm of order {ord!r} is computed")


def _normalize(x: Tensor, *, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    if order != 2:
        raise _unsupported("vectors are normalized by a norm other than the Euclidean one")
    return tf.math.l2_normalize(x, axis=_axis(axis), epsilon=epsilon or 1e-12)


def _resize(
    x: Tensor,
    *,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    data_format: str | None = None,
) -> Tensor:
    return tf.cast(tf.image.resize(x, size, method=interpolation, antialias=antialias), x.dtype)


def _elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return tf.nn.elu(x) if alpha == 1.0 else tf.where(x > 0, x, alpha * tf.math.expm1(x))


def _one_hot(x: Tensor, *, num_classes: int, axis: int = -1, dtype: str | None = None) -> Tensor:
    return tf.one_hot(tf.cast(x, tf.int32), num_classes, axis=axis, dtype=dtype or "float32")


def _where(condition: Tensor, x1: Tensor = None, x2: Tensor = None) -> Tensor:
    if x1 is None or x2 is None:
        raise _unsupported("positions of true values are looked up")
    return tf.where(tf.cast(condition, tf.bool), *_alike(x1, x2))


def _flip(x: Tensor, *, axis: Any = None) -> Tensor:
    axes = list(range(len(x.shape))) if axis is None else [axis] if isinstance(axis, int) else axis
    return tf.reverse(x, axes)


def _take(x: Tensor, indices: Tensor, *, axis: int | None = None) -> Tensor:
    return tf.gather(tf.reshape(x, [-1]) if axis is None else x, tf.cast(indices, tf.int32), axis=axis or 0)


def _take_along_axis(x: Tensor, indices: Tensor, *, axis: int | None = None) -> Tensor:
    if axis is None:
        x, axis = tf.reshape(x, [-1]), 0
    rank, place = len(x.shape), axis % len(x.shape)
    sides = [[size for at, size in enumerate(one.shape) if at != place] for one in (x, indices)]
    if len(indices.shape) != rank or sides[0] != sides[1]:
        raise _unsupported("values are taken along an axis by indices of another shape")
    order = [*(at for at in range(rank) if at != place), place]
    numbers = tf.transpose(tf.cast(indices, tf.int32), order)
    numbers = tf.where(numbers < 0, numbers + tf.shape(x)[place], numbers)
    taken = tf.gather(tf.transpose(x, order), numbers, batch_dims=rank - 1)
    return tf.transpose(taken, [order.index(at) for at in range(rank)])


def _hard_sigmoid(x: Tensor) -> Tensor:
    return tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "LogicalNot": tf.math.logical_not,
    "Negative": tf.math.negative,
    "Absolute": tf.math.abs,
    "Abs": tf.math.abs,
    "Square": tf.math.square,
    "Floor": tf.math.floor,
    "Ceil": tf.math.ceil,
    "Sign": tf.math.sign,
    "Round": tf.math.round,
    "Isnan": tf.math.is_nan,
    "Isinf": tf.math.is_inf,
    "Isfinite": tf.math.is_finite,
    "Relu": tf.nn.relu,
    "Relu6": tf.nn.relu6,
    "Ravel": lambda x: tf.reshape(x, [-1]),
    "StopGradient": tf.stop_gradient,
    "Copy": tf.identity,
    "HardTanh": lambda x: tf.clip_by_value(x, -1.0, 1.0),
}
_UNARY_FLOAT: dict[str, Callable[[Tensor], Tensor]] = {
    "Exp": tf.math.exp,
    "Expm1": tf.math.expm1,
    "Log": tf.math.log,
    "Log1p": tf.math.log1p,
    "Sqrt": tf.math.sqrt,
    "Rsqrt": tf.math.rsqrt,
    "Sin": tf.math.sin,
    "Cos": tf.math.cos,
    "Tan": tf.math.tan,
    "Tanh": tf.math.tanh,
    "Sigmoid": tf.math.sigmoid,
    "Sinh": tf.math.sinh,
    "Cosh": tf.math.cosh,
    "Arctan": tf.math.atan,
    "Reciprocal": tf.math.reciprocal,
    "Erf": tf.math.erf,
    "Selu": tf.nn.selu,
    "Silu": tf.nn.silu,
    "Softplus": tf.math.softplus,
    "Softsign": tf.nn.softsign,
    "LogSigmoid": tf.math.log_sigmoid,
    "HardSigmoid": _hard_sigmoid,
    "HardSilu": lambda x: x * _hard_sigmoid(x),
}
_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": tf.math.add,
    "Subtract": tf.math.subtract,
    "Multiply": tf.math.multiply,
    "FloorDivide": tf.math.floordiv,
    "Mod": tf.math.floormod,
    "Power": tf.math.pow,
    "Maximum": tf.math.maximum,
    "Minimum": tf.math.minimum,
    "Equal": tf.math.equal,
    "NotEqual": tf.math.not_equal,
    "Greater": tf.math.greater,
    "GreaterEqual": tf.math.greater_equal,
    "Less": tf.math.less,
    "LessEqual": tf.math.less_equal,
    "LogicalAnd": tf.math.logical_and,
    "LogicalOr": tf.math.logical_or,
    "LogicalXor": tf.math.logical_xor,
}
_REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "Sum": tf.reduce_sum,
    "Max": tf.reduce_max,
    "Min": tf.reduce_min,
    "Amax": tf.reduce_max,
    "Amin": tf.reduce_min,
    "Prod": tf.reduce_prod,
    "Any": tf.reduce_any,
    "All": tf.reduce_all,
}
_REDUCTIONS_FLOAT: dict[str, Callable[..., Tensor]] = {
    "Mean": tf.reduce_mean,
    "Var": tf.math.reduce_variance,
    "Std": tf.math.reduce_std,
    "Logsumexp": tf.reduce_logsumexp,
}

OPERATIONS: dict[str, Operation] = {
    **{name: _unary(function) for name, function in _UNARY.items()},
    **{name: _unary(function, floats=True) for name, function in _UNARY_FLOAT.items()},
    **{name: _binary(function) for name, function in _BINARY.items()},
    "Divide": _binary(tf.math.truediv, floats=True),
    "TrueDivide": _binary(tf.math.truediv, floats=True),
    "DivideNoNan": _binary(tf.math.divide_no_nan, floats=True),
    **{name: _reduction(function) for name, function in _REDUCTIONS.items()},
    **{name: _reduction(function, floats=True) for name, function in _REDUCTIONS_FLOAT.items()},
    "Argmax": _position(tf.argmax),
    "Argmin": _position(tf.argmin),
    "Matmul": _matmul,
    "Dot": _dot,
    "Einsum": _einsum,
    "Tensordot": _tensordot,
    "Gelu": lambda x, *, approximate=True: tf.nn.gelu(x, approximate=approximate),
    "LeakyRelu": lambda x, *, negative_slope=0.2: tf.nn.leaky_relu(x, alpha=negative_slope),
    "Elu": _elu,
    "Softmax": lambda x, *, axis=-1: tf.nn.softmax(x, axis=axis),
    "LogSoftmax": lambda x, *, axis=-1: tf.nn.log_softmax(x, axis=axis),
    "Clip": lambda x, *, x_min=None, x_max=None: tf.clip_by_value(x, x_min, x_max),
    "Reshape": _reshape,
    "Transpose": lambda x, *, axes=None: tf.transpose(x, axes),
    "GetItem": _get_item,
    "Cast": lambda x, *, dtype: tf.cast(x, dtype),
    "Pad": _pad,
    "Split": _split,
    "Squeeze": lambda x, *, axis=None: tf.squeeze(x, axis),
    "ExpandDims": lambda x, *, axis: tf.expand_dims(x, axis),
    "Concatenate": lambda xs, *, axis=0: tf.concat(_alike(*xs), axis),
    "Stack": lambda xs, *, axis=0: tf.stack(_alike(*xs), axis),
    "Unstack": lambda x, *, num=None, axis=0: list(tf.unstack(x, num, axis)),
    "Tile": lambda x, *, repeats: tf.tile(x, [repeats] if isinstance(repeats, int) else repeats),
    "Repeat": lambda x, *, repeats, axis=None: tf.repeat(x, repeats, axis),
    "Flip": _flip,
    "Roll": lambda x, *, shift, axis=None: tf.roll(x, shift, axis),
    "Take": _take,
    "TakeAlongAxis": _take_along_axis,
    "Where": _where,
    "OnesLike": lambda x, *, dtype=None: tf.ones_like(x, dtype),
    "ZerosLike": lambda x, *, dtype=None: tf.zeros_like(x, dtype),
    "BroadcastTo": lambda x, *, shape: tf.broadcast_to(x, shape),
    "Cumsum": lambda x, *, axis=None: tf.cumsum(tf.reshape(x, [-1]) if axis is None else x, axis or 0),
    "Swapaxes": _swap_axes,
    "Moveaxis": _move_axis,
    "Norm": _norm,
    "Normalize": _normalize,
    "OneHot": _one_hot,
    "MaxPool": _pool("MAX"),
    "AveragePool": _pool("AVG"),
    "Resize": _resize,
    "TopK": lambda x, *, k, sorted=True: list(tf.math.top_k(x, k, sorted)),
    "Tril": lambda x, *, k=0: tf.linalg.band_part(x, -1, k),
    "DepthToSpace": lambda x, *, block_size, data_format=None: tf.nn.depth_to_space(x, block_size),
    "SpaceToDepth": lambda x, *, block_size, data_format=None: tf.nn.space_to_depth(x, block_size),
}
