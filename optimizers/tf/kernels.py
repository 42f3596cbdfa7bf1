"""The weights that optimization is about: kernels, by the layer that owns them; no biases, scales and statistics."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import keras
import numpy as np
import tf_keras

from optimizers.tf.keras3_only import Keras3Layer

_NAMES = frozenset({"kernel", "pointwise_kernel", "depthwise_kernel", "recurrent_kernel", "embeddings"})
_TRANSPOSED = (
    tf_keras.layers.Conv1DTranspose,
    tf_keras.layers.Conv2DTranspose,
    tf_keras.layers.Conv3DTranspose,
)
_DEPTHWISE = (tf_keras.layers.DepthwiseConv2D, tf_keras.layers.DepthwiseConv1D)


def layers(model: Any) -> Iterator[Any]:
    """Layers of a model in its order, each once; those of nested models instead of the models."""
    seen: set[int] = set()
    for layer in model.layers:
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, Keras3Layer):
            yield from layers(layer.inner)
        elif isinstance(layer, tf_keras.Model | keras.Model):
            yield from layers(layer)
        else:
            yield layer


def kernels(layer: Any) -> list[Any]:
    """Kernel variables of a layer, those of layers inside it (attention, wrappers, cells) included.

    Each remembers how it multiplies, see `form`: that is known by its layer, which others do not have at hand.
    """
    found = [weight for weight in layer.weights if kernel_name(weight) in _NAMES]
    for weight in found:
        weight._matrix_form = _matrix_form(layer, weight)
    return found


def kernel_name(variable: Any) -> str:
    """What a weight is within its layer: ``kernel``, ``depthwise_kernel``, ``bias`` …

    tf_keras calls the kernel of a depthwise convolution ``depthwise_kernel``, also where a file calls it ``kernel``.
    """
    return str(variable.name).split("/")[-1].split(":")[0]


def is_depthwise(variable: Any) -> bool:
    """Whether each of a kernel's values serves a whole channel of its own."""
    return kernel_name(variable) == "depthwise_kernel"


def _matrix_form(layer: Any, variable: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What `form` gives. Transposed convolutions have their outputs first, an einsum several axes of either."""
    shape = tuple(int(size) for size in variable.shape)
    plain = tuple(range(len(shape)))
    for part in layer._flatten_layers():
        if getattr(part, "kernel", None) is not variable:
            continue
        if isinstance(part, _TRANSPOSED):
            order = (*plain[:-2], plain[-1], plain[-2])
            return order, tuple(shape[axis] for axis in order)
        if isinstance(part, tf_keras.layers.EinsumDense):
            given, names, returned = part.equation.replace(" ", "").replace("->", ",").split(",")
            shared = [axis for axis, name in enumerate(names) if name in given and name in returned]
            inputs = [axis for axis, name in enumerate(names) if name not in returned]
            outputs = [axis for axis, name in enumerate(names) if name not in given]
            sizes = (prod(shape[axis] for axis in axes) for axes in (inputs, outputs))
            return (*shared, *inputs, *outputs), (*(shape[axis] for axis in shared), *sizes)
    return plain, shape


def form(variable: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Order of the axes of a kernel out of `kernels`, and in that order its shape (…, inputs, outputs) as matrices."""
    found: tuple[tuple[int, ...], tuple[int, ...]] = variable._matrix_form
    return found


def channels(variable: Any) -> int:
    """Output channels of a kernel out of `kernels`, each of which has a scale in a quantized file."""
    shape = form(variable)[1]
    return prod(shape[-2:]) if is_depthwise(variable) else shape[-1]


def by_layer(model: Any) -> dict[str, list[Any]]:
    """Kernel variables of every layer that has some, by the layer's name."""
    return {layer.name: found for layer in layers(model) if (found := kernels(layer))}


def sparsity(weights: list[Any]) -> tuple[int, int]:
    """Zeros among, and number of, the values of some weights."""
    values = [np.asarray(w) for w in weights]
    return sum(int((v == 0).sum()) for v in values), sum(v.size for v in values)
