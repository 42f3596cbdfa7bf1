"""Operations (nodes without weights, from ``keras.ops``) that a graph may use, and TensorFlow functions equal to them.

Keras 3 files name operations; Keras 2 files name TensorFlow functions, which are translated here and never looked up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optimizers.errors import ModelRefused
from optimizers.models.reader import values as v
from optimizers.models.reader.values import shown, words

_REDUCE = "axis keepdims"
_NO_OPTIONS = (
    "Add Subtract Multiply Divide TrueDivide FloorDivide Mod Power Maximum Minimum DivideNoNan Equal NotEqual Greater "
    "GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalNot LogicalXor Matmul Dot Negative Absolute Abs Exp Expm1 "
    "Log Log1p Sqrt Rsqrt Square Sin Cos Tan Tanh Sigmoid Sinh Cosh Arctan Reciprocal Erf Floor Ceil Sign Round Isnan "
    "Isinf Isfinite Relu Relu6 Selu Silu Softplus Softsign LogSigmoid HardSigmoid HardSilu HardTanh GetItem Ravel "
    "StopGradient Copy Where"
)
_WITH_OPTIONS = {
    **dict.fromkeys(words("Sum Mean Max Min Amax Amin Prod Any All Var Std Logsumexp Argmax Argmin"), _REDUCE),
    **dict.fromkeys(words("Softmax LogSoftmax ExpandDims Squeeze Concatenate Stack Take Flip Cumsum"), "axis"),
    "TakeAlongAxis": "axis",
    **dict.fromkeys(words("MaxPool AveragePool"), "pool_size strides padding data_format"),
    **dict.fromkeys(words("OnesLike ZerosLike Cast"), "dtype"),
    **dict.fromkeys(words("DepthToSpace SpaceToDepth"), "block_size data_format"),
    "Einsum": "subscripts",
    "Tensordot": "axes",
    "Transpose": "axes",
    "Gelu": "approximate",
    "LeakyRelu": "negative_slope",
    "Elu": "alpha",
    "Clip": "x_min x_max",
    "Reshape": "newshape",
    "Pad": "pad_width mode constant_values",
    "Split": "indices_or_sections axis",
    "Unstack": "num axis",
    "Tile": "repeats",
    "Repeat": "repeats axis",
    "Roll": "shift axis",
    "BroadcastTo": "shape",
    "Swapaxes": "axis1 axis2",
    "Moveaxis": "source destination",
    "Norm": "ord axis keepdims",
    "Normalize": "axis order epsilon",
    "OneHot": "num_classes axis dtype",
    "Resize": "size interpolation antialias data_format",
    "TopK": "k sorted",
    "Tril": "k",
}
ONLY_IN_KERAS3 = {
    **dict.fromkeys(words("Log2 Log10 Logaddexp Hypot Outer Exp2 Cbrt Arctan2 Trunc Sinc SparsePlus"), ""),
    **dict.fromkeys(words("TanhShrink SparseSigmoid"), ""),
    **dict.fromkeys(words("Glu Sparsemax Sort Argsort"), "axis"),
    **dict.fromkeys(words("HardShrink SoftShrink"), "threshold"),
    "Celu": "alpha",
    "Squareplus": "b",
    "Triu": "k",
    "AdaptiveAveragePool": "output_size data_format",
    "AdaptiveMaxPool": "output_size data_format",
    "Moments": "axes keepdims",
}
"""Operations without a counterpart here in Keras 2, but with one in LiteRT."""
OPERATIONS: dict[str, frozenset[str]] = {
    **{name: frozenset() for name in _NO_OPTIONS.split()},
    **{name: frozenset(options.split()) for name, options in {**_WITH_OPTIONS, **ONLY_IN_KERAS3}.items()},
}
"""Operation to the names of its options."""

_HARMLESS = {"fill_mode": ("constant",), "fill_value": (0, 0.0), "decimals": (0,)}


def check_options(operation: str, options: dict[str, Any], where: str) -> dict[str, Any]:
    """The options an operation knows; those it does not know must be switched off.

    Raises:
        ModelRefused: ``unsupported-option``.
    """
    known = OPERATIONS[operation]
    kept = {}
    for name, value in options.items():
        off = value is None or value is False or value in _HARMLESS.get(name, ())
        if name == "data_format" and value == "channels_first":
            raise ModelRefused(
                f"{where}: operations on channels_first data are not supported; build the model with channels_last.",
                code="unsupported-option",
            )
        if name in known:
            kept[name] = value
        elif name != "name" and not off:
            raise ModelRefused(
                f"{where}: the option {shown(name)!r} of {operation} is not supported; build the model without it.",
                code="unsupported-option",
            )
    return kept


# TensorFlow function -> (operation, its parameters in order). A name in _RENAMED is an option, any other an input.
_SAME, _BIAS = "x y", "value bias"
_FUNCTIONS: dict[str, tuple[str, str]] = {
    "math.add": ("Add", _SAME),
    "nn.bias_add": ("Add", _BIAS),
    "math.subtract": ("Subtract", _SAME),
    "math.multiply": ("Multiply", _SAME),
    "math.truediv": ("TrueDivide", _SAME),
    "math.divide": ("TrueDivide", _SAME),
    "math.floordiv": ("FloorDivide", _SAME),
    "math.floormod": ("Mod", _SAME),
    "math.pow": ("Power", _SAME),
    "math.maximum": ("Maximum", _SAME),
    "math.minimum": ("Minimum", _SAME),
    "math.divide_no_nan": ("DivideNoNan", _SAME),
    "math.equal": ("Equal", _SAME),
    "math.not_equal": ("NotEqual", _SAME),
    "math.greater": ("Greater", _SAME),
    "math.greater_equal": ("GreaterEqual", _SAME),
    "math.less": ("Less", _SAME),
    "math.less_equal": ("LessEqual", _SAME),
    "math.logical_and": ("LogicalAnd", _SAME),
    "math.logical_or": ("LogicalOr", _SAME),
    "__operators__.add": ("Add", _SAME),
    "__operators__.sub": ("Subtract", _SAME),
    "__operators__.mul": ("Multiply", _SAME),
    "__operators__.truediv": ("TrueDivide", _SAME),
    "__operators__.mod": ("Mod", _SAME),
    "__operators__.eq": ("Equal", _SAME),
    "__operators__.ne": ("NotEqual", _SAME),
    "__operators__.getitem": ("GetItem", "x slice_spec"),
    **{
        f"math.{symbol}": (operation, "x")
        for symbol, operation in {
            "logical_not": "LogicalNot",
            "negative": "Negative",
            "abs": "Absolute",
            "exp": "Exp",
            "expm1": "Expm1",
            "log": "Log",
            "log1p": "Log1p",
            "sqrt": "Sqrt",
            "rsqrt": "Rsqrt",
            "square": "Square",
            "tanh": "Tanh",
            "sigmoid": "Sigmoid",
            "log_sigmoid": "LogSigmoid",
            "sin": "Sin",
            "cos": "Cos",
            "erf": "Erf",
            "floor": "Floor",
            "ceil": "Ceil",
            "round": "Round",
            "sign": "Sign",
            "reciprocal": "Reciprocal",
        }.items()
    },
    "nn.sigmoid": ("Sigmoid", "x"),
    **{
        f"nn.{symbol}": (operation, "features")
        for symbol, operation in {
            "relu": "Relu",
            "relu6": "Relu6",
            "selu": "Selu",
            "elu": "Elu",
            "silu": "Silu",
            "swish": "Silu",
            "softsign": "Softsign",
        }.items()
    },
    "math.softplus": ("Softplus", "features"),
    "nn.gelu": ("Gelu", "features approximate"),
    "nn.leaky_relu": ("LeakyRelu", "features alpha"),
    "nn.softmax": ("Softmax", "logits axis"),
    "nn.log_softmax": ("LogSoftmax", "logits axis"),
    **{
        f"math.reduce_{symbol}": (operation, "input_tensor axis keepdims")
        for symbol, operation in {
            "mean": "Mean",
            "sum": "Sum",
            "max": "Max",
            "min": "Min",
            "prod": "Prod",
            "variance": "Var",
            "std": "Std",
            "logsumexp": "Logsumexp",
        }.items()
    },
    "math.argmax": ("Argmax", "input axis"),
    "math.cumsum": ("Cumsum", "x axis"),
    "math.l2_normalize": ("Normalize", "x axis epsilon"),
    "linalg.l2_normalize": ("Normalize", "x axis epsilon"),
    "norm": ("Norm", "tensor ord axis keepdims"),
    "linalg.norm": ("Norm", "tensor ord axis keepdims"),
    "linalg.matmul": ("Matmul", "a b"),
    "reshape": ("Reshape", "tensor shape"),
    "transpose": ("Transpose", "a perm"),
    "compat.v1.transpose": ("Transpose", "a perm"),
    "concat": ("Concatenate", "values axis"),
    "stack": ("Stack", "values axis"),
    "unstack": ("Unstack", "value num axis"),
    "split": ("Split", "value num_or_size_splits axis"),
    "expand_dims": ("ExpandDims", "input axis"),
    "compat.v1.expand_dims": ("ExpandDims", "input axis"),
    "squeeze": ("Squeeze", "input axis"),
    "compat.v1.squeeze": ("Squeeze", "input axis"),
    "tile": ("Tile", "input multiples"),
    "repeat": ("Repeat", "input repeats axis"),
    "reverse": ("Flip", "tensor axis"),
    "roll": ("Roll", "input shift axis"),
    "gather": ("Take", "params indices axis"),
    "compat.v1.gather": ("Take", "params indices validate_indices axis"),
    "where": ("Where", "condition x y"),
    "pad": ("Pad", "tensor paddings mode constant_values"),
    "compat.v1.pad": ("Pad", "tensor paddings mode constant_values"),
    "cast": ("Cast", "x dtype"),
    "clip_by_value": ("Clip", "t clip_value_min clip_value_max"),
    "one_hot": ("OneHot", "indices depth"),
    "einsum": ("Einsum", "equation"),
    "identity": ("Copy", "input"),
    "stop_gradient": ("StopGradient", "input"),
    "image.resize": ("Resize", "images size method"),
    "nn.depth_to_space": ("DepthToSpace", "input block_size"),
    "nn.space_to_depth": ("SpaceToDepth", "input block_size"),
}
_RENAMED = {
    "shape": "newshape",
    "perm": "axes",
    "num_or_size_splits": "indices_or_sections",
    "multiples": "repeats",
    "clip_value_min": "x_min",
    "clip_value_max": "x_max",
    "alpha": "negative_slope",
    "paddings": "pad_width",
    "depth": "num_classes",
    "method": "interpolation",
    **{
        same: same
        for same in words(
            "axis keepdims dtype approximate epsilon mode constant_values block_size shift repeats size num antialias "
            "ord"
        )
    },
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "OneHot": {"axis": -1},
    "Gelu": {"approximate": False},
    "Normalize": {"epsilon": 1e-12},
    "Take": {"axis": 0},
}


def operation_of(function: Any, where: str) -> str:
    """Name of the operation that a TensorFlow function stands for. Raises `ModelRefused` (``unsupported-op``)."""
    if not isinstance(function, str) or function not in _FUNCTIONS:
        raise ModelRefused(
            f"{where}: the graph calls the TensorFlow function {shown(function)!r}, which is not supported here; "
            "replace it by a built-in layer and save the model again.",
            code="unsupported-op",
        )
    return _FUNCTIONS[function][0]


def from_function(
    function: str, args: list[Any], kwargs: dict[str, Any], where: str
) -> tuple[list[Any], dict[str, Any]]:
    """Inputs and options of the operation that equals a call of a TensorFlow function.

    Args:
        function: A name that `operation_of` accepts.
        args, kwargs: As the Keras 2 graph node gives them.
        where: For messages.

    Raises:
        ModelRefused: ``unsupported-op`` when an option has no counterpart.
    """
    operation, parameters = _FUNCTIONS[function]
    if operation == "Einsum":
        return list(args[1:]), {"subscripts": args[0]} if args else {}
    names = parameters.split()
    if len(args) == 1 and isinstance(args[0], list) and operation not in ("Concatenate", "Stack"):
        args = args[0]
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if parameters == _BIAS and name == "data_format" and value in ("NHWC", "channels_last"):
            continue
        if name in names or (name in _RENAMED and _RENAMED[name] in OPERATIONS[operation]):
            given[name] = value
        elif name not in ("name", "y_name", "output_type", "validate_indices") and value not in (None, False, 0):
            raise ModelRefused(
                f"{where}: the option {shown(name)!r} of the TensorFlow function {function!r} is not supported; "
                "replace it by a built-in layer and save the model again.",
                code="unsupported-op",
            )
    given.pop("validate_indices", None)
    inputs = [given.pop(name) for name in names if name in given and name not in _RENAMED]
    if parameters in (_SAME, _BIAS):  # Keras 2 writes a constant as plain lists
        inputs = [np.asarray(v.numbers(i, where)) if isinstance(i, list) else i for i in inputs]
    options = dict(_DEFAULTS.get(operation, {})) | {_RENAMED[name]: value for name, value in given.items()}
    return inputs, _adjusted(operation, options)


def _adjusted(operation: str, options: dict[str, Any]) -> dict[str, Any]:
    """Values whose meaning, not only whose name, differs between TensorFlow and Keras."""
    if operation == "Pad":
        options["mode"] = str(options.get("mode") or "constant").lower()
        if options["mode"] != "constant":  # TensorFlow writes its 0 all the same, Keras 3 refuses it
            options.pop("constant_values", None)
    sections = options.get("indices_or_sections")
    if operation == "Split" and isinstance(sections, list) and all(type(size) is int for size in sections):
        options["indices_or_sections"] = [sum(sections[: i + 1]) for i in range(len(sections) - 1)]
    return options
