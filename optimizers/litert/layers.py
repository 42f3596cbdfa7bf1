"""Which Keras layer a weight of a LiteRT file belongs to: by names, then by values, then by what is left over.

The converter names a tensor after the graph node that it came from (``model/conv1/Conv2D``), after several nodes that
it merged (``model/relu1/Relu;model/bn1/FusedBatchNormV3;model/conv1/Conv2D``), or after nothing (``arith.constant3``,
``tfl.pseudo_qconst12``, ``while/MatMul_1``). The operator that uses the weight often has a better name; fused recurrent
cells and loops have none at all, and there only the numbers tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from optimizers.litert.weights import StoredWeight

_ALIKE = 0.6
"""Smallest cosine between a weight and the kernel that it came from. Two bits leave 0.8 or more; of two unrelated
kernels with a hundred values or more it exceeds 0.5 about once in a million."""
_FEWEST = 16
_LONG_ROW = 8
_MULTIPLIES = ("conv", "depthwise", "matmul", "einsum", "tensordot")


def layer_of(weight: StoredWeight, layers: Iterable[str]) -> str | None:
    """The layer that names speak of, or None where they speak of none or of several.

    Args:
        weight: From `optimizers.litert.weights.weights`.
        layers: Names of the layers that have kernels, so that an activation or a normalization, whose names are merged
            into the weight's, is not taken for its layer.
    """
    known = frozenset(layers)
    for names in ((weight.name,), *(consumer.outputs for consumer in weight.consumers)):
        found = {layer for name in names for layer in _named(name, known)}
        if len(found) == 1:
            return found.pop()
    return None


def named(names: Iterable[str], layers: Iterable[str]) -> tuple[str, ...]:
    """All layers that the names of tensors speak of, those that multiply first, each once.

    Args:
        names: Of what an operator gives.
        layers: Names of the layers that there are.
    """
    known = frozenset(layers)
    paths = [path for name in names for path in name.split(";")]
    paths.sort(key=lambda path: not any(word in path.rsplit("/", 1)[-1].lower() for word in _MULTIPLIES))
    return tuple(dict.fromkeys(layer for path in paths for layer in _named(path, known)))


def layers_of(weights: Sequence[StoredWeight], kernels: Mapping[str, Sequence[np.ndarray]]) -> dict[int, str]:
    """For each weight that can be told, its number among ``weights`` and its layer.

    Args:
        weights: All of a file, from `optimizers.litert.weights.weights`.
        kernels: By layer its weights of two or more dimensions as Keras has them; quantization, and the scaling of
            channels by a folded normalization, may lie between them and the file.
    """
    found: dict[int, str] = {}
    for number, weight in enumerate(weights):
        layer = layer_of(weight, kernels)
        if layer is not None:
            found[number] = layer
    for number, weight in enumerate(weights):
        if number not in found and weight.kernel and weight.values.size >= _FEWEST:
            layer = _most_alike(weight, kernels)
            if layer is not None:
                found[number] = layer
    _by_what_is_left(weights, kernels, found)
    _like_their_neighbours(weights, found)
    return found


def _named(name: str, layers: frozenset[str]) -> Iterator[str]:
    """Layers in a merged name. The first step of a path is the model, unless the path has no other.

    Example:
        ``net/relu/Relu;net/conv/Conv2D`` with the layer ``conv`` gives ``conv``.
    """
    for path in name.split(";"):
        steps = path.split("/")
        for step in steps[1:] or steps:
            if step in layers:
                yield step
                break


def _most_alike(weight: StoredWeight, kernels: Mapping[str, Sequence[np.ndarray]]) -> str | None:
    scores = {
        layer: max((_alike(weight.dequantized, kernel) for kernel in arrays), default=0.0)
        for layer, arrays in kernels.items()
    }
    best = max(scores, key=lambda layer: scores[layer], default=None)
    return best if best is not None and scores[best] >= _ALIKE else None


def _alike(stored: np.ndarray, kernel: np.ndarray) -> float:
    """Cosine of a weight and a kernel or the best of its parts (a gate), from 0 to 1; 0 where sizes do not fit."""
    if not stored.size or kernel.size % stored.size:
        return 0.0
    rows = stored.reshape(stored.shape[0], -1)
    parts = (part for laid in _layouts(kernel) for part in laid.reshape(-1, *rows.shape))
    return max((_cosine(rows, part) for part in parts), default=0.0)


def _layouts(kernel: np.ndarray) -> Iterator[np.ndarray]:
    """The orders in which LiteRT has the values of a Keras kernel, flattened: outputs come first there, as a rule."""
    yield kernel.reshape(-1)
    yield np.moveaxis(kernel, -1, 0).reshape(-1)
    if kernel.ndim > 2:
        yield kernel.reshape(kernel.shape[0], -1).T.reshape(-1)
        yield np.moveaxis(kernel, -2, 0).reshape(-1)


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Of all values, or the mean over rows that are long enough, since each row may have been scaled by itself."""
    whole = abs(float(np.vdot(one, other))) / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-30)
    if one.shape[1] < _LONG_ROW:
        return whole
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    by_row = np.abs(np.einsum("ij,ij->i", one, other)) / np.maximum(norms, 1e-30)
    return max(whole, float(by_row[norms > 0].mean()) if (norms > 0).any() else 0.0)


def _by_what_is_left(
    weights: Sequence[StoredWeight], kernels: Mapping[str, Sequence[np.ndarray]], found: dict[int, str]
) -> None:
    """Gives a kernel that nothing tells the only layer without a weight so far whose kernel has its size."""
    for number, weight in enumerate(weights):
        if number in found or not weight.kernel:
            continue
        size = weight.values.size
        empty = [layer for layer in kernels if layer not in found.values()]
        fitting = [layer for layer in empty if any(kernel.size == size for kernel in kernels[layer])]
        rivals = [w for n, w in enumerate(weights) if n not in found and w.kernel and w.values.size == size]
        if len(fitting) == 1 and len(rivals) == 1:
            found[number] = fitting[0]


def _like_their_neighbours(weights: Sequence[StoredWeight], found: dict[int, str]) -> None:
    """Gives biases and other small weights the layer of the kernel that the same operator uses."""
    kernel_at = {
        (weight.subgraph, consumer.outputs): found[number]
        for number, weight in enumerate(weights)
        if number in found and weight.kernel
        for consumer in weight.consumers
    }
    for number, weight in enumerate(weights):
        near = {kernel_at.get((weight.subgraph, consumer.outputs)) for consumer in weight.consumers} - {None}
        if number not in found and len(near) == 1:
            layer = near.pop()
            assert layer is not None, "None was taken out"
            found[number] = layer
