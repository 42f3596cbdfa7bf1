"""The weights that optimization is about: kernels, by the layer that owns them; no biases, scales and statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tf_keras

from optimizers.tf.keras3_only import Keras3Layer

_NAMES = frozenset({"kernel", "pointwise_kernel", "depthwise_kernel", "recurrent_kernel", "embeddings"})
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
    """Kernel variables of a layer, those of layers inside it (attention, wrappers, cells) included."""
    return [weight for weight in layer.weights if kernel_name(weight) in _NAMES]


def kernel_name(variable: Any) -> str:
    """What a weight is within its layer: ``kernel``, ``depthwise_kernel``, ``bias`` …

    tf_keras calls the kernel of a depthwise convolution ``depthwise_kernel``, also where a file calls it ``kernel``.
    """
    return str(variable.name).split("/")[-1].split(":")[0]


def is_depthwise(variable: Any) -> bool:
    """Whether each of a kernel's values serves a whole channel of its own."""
    return kernel_name(variable) == "depthwise_kernel"


def matrix_shape(variable: Any) -> tuple[int, ...]:
    """Shape (…, inputs, outputs) under which a kernel multiplies: attention keeps its heads on axes of their own."""
    shape = tuple(int(size) for size in variable.shape)
    owner = str(variable.name).split("/")[-2:-1]
    if len(shape) == 3 and owner in (["query"], ["key"], ["value"]):
        return shape[0], shape[1] * shape[2]
    if len(shape) == 3 and owner == ["attention_output"]:
        return shape[0] * shape[1], shape[2]
    return shape


def by_layer(model: Any) -> dict[str, list[Any]]:
    """Kernel variables of every layer that has some, by the layer's name."""
    return {layer.name: found for layer in layers(model) if (found := kernels(layer))}


def sparsity(weights: list[Any]) -> tuple[int, int]:
    """Zeros among, and number of, the values of some weights."""
    values = [np.asarray(w) for w in weights]
    return sum(int((v == 0).sum()) for v in values), sum(v.size for v in values)
