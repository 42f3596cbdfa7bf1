"""Adaptive pooling of Keras 3 that is safe at every size.

For an output or an input of one place Keras makes a pool whose window is longer than its input, and TensorFlow's kernel
for it divides by zero: the process ends. Here such places are reduced or repeated, which is what Keras means.
"""

from __future__ import annotations

from math import prod
from typing import Any

import keras
from keras import ops


def adaptive_pool(inputs: Any, output_size: Any, data_format: str | None, kind: str) -> Any:
    """As ``keras.ops.adaptive_max_pool`` and ``keras.ops.adaptive_average_pool``, for every size.

    Args:
        inputs: Tensor of shape (batch, places …, channels), or (batch, channels, places …) if ``channels_first``.
        output_size: Places of the output, for each dimension or one number for all.
        data_format: ``channels_first``, or anything else for channels last.
        kind: ``max`` or ``average``.
    """
    places = len(inputs.shape) - 2
    sizes = (output_size,) * places if isinstance(output_size, int) else tuple(output_size)
    reduce, pool = (ops.max, ops.adaptive_max_pool) if kind == "max" else (ops.mean, ops.adaptive_average_pool)
    for axis, size in enumerate(sizes, 2 if data_format == "channels_first" else 1):
        if size == 1:
            inputs = reduce(inputs, axis=axis, keepdims=True)
        elif inputs.shape[axis] == 1:
            inputs = ops.repeat(inputs, size, axis=axis)
        else:
            line = ops.moveaxis(inputs, axis, 1)
            length, *others = line.shape[1:]
            line = pool(ops.reshape(line, (-1, length, prod(others))), size, "channels_last")
            inputs = ops.moveaxis(ops.reshape(line, (-1, size, *others)), 1, axis)
    return inputs


def _layer(kind: str, places: int) -> Any:
    base = getattr(keras.layers, f"Adaptive{kind}Pooling{places}D")

    def call(self: Any, inputs: Any) -> Any:
        return adaptive_pool(inputs, self.output_size, self.data_format, kind.lower())

    return type(base.__name__, (base,), {"call": call, "__doc__": base.__doc__})


def _operation(kind: str) -> Any:
    from keras.src.ops import nn

    base = getattr(nn, f"Adaptive{kind}Pool")

    def call(self: Any, inputs: Any) -> Any:
        return adaptive_pool(inputs, self.output_size, self.data_format, kind.lower())

    return type(base.__name__, (base,), {"call": call, "__doc__": base.__doc__})


_KINDS = ("Max", "Average")
LAYERS = {f"Adaptive{kind}Pooling{n}D": _layer(kind, n) for kind in _KINDS for n in (1, 2, 3)}
"""Classes of the layers, by the name that files give them."""
OPERATIONS = {f"Adaptive{kind}Pool": _operation(kind) for kind in _KINDS}
"""Classes of the operations of ``keras.ops``, by the name that files give them."""
