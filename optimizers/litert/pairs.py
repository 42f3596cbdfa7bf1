"""The weights of two LiteRT files of one model side by side: which of them are the same weight, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.litert.file import LiteRtFile
from optimizers.litert.layer_names import layer_of
from optimizers.litert.weights import StoredWeight


@dataclass(frozen=True)
class LayerPair:
    """One layer in two files.

    ``own`` and ``reference`` are its weights in either file, biases included; ``matched`` are those (reference, own)
    that have the same shape and so can be compared number by number.
    """

    layer: str
    own: tuple[StoredWeight, ...]
    reference: tuple[StoredWeight, ...]
    matched: tuple[tuple[StoredWeight, StoredWeight], ...]

    @property
    def complete(self) -> bool:
        """Whether every kernel has its counterpart."""
        one, other = ({id(w) for w in side if w.kernel} for side in (self.reference, self.own))
        return {id(a) for a, _ in self.matched if a.kernel} == one and {
            id(b) for _, b in self.matched if b.kernel
        } == other


def paired(
    own: Path, reference: Path, own_survey: Sequence[Mapping[str, Any]] = (), survey: Sequence[Mapping[str, Any]] = ()
) -> tuple[LayerPair, ...]:
    """Layers with kernels in the order of the reference; then those that only the file itself has.

    Args:
        own, reference: Two ``.tflite`` files.
        own_survey, survey: For either what its stage told of its kernels (``layer`` and ``weight``, the tensor's name),
            which is found by comparing numbers with the Keras model; without it names of tensors tell the layers.
    """
    mine, theirs = _by_layer(own, own_survey), _by_layer(reference, survey)
    return tuple(
        LayerPair(
            layer,
            tuple(mine.get(layer, ())),
            tuple(theirs.get(layer, ())),
            tuple(_matched(theirs.get(layer, []), mine.get(layer, []))),
        )
        for layer in dict.fromkeys([*theirs, *mine])
    )


def sqnr(reference: np.ndarray, own: np.ndarray) -> float | None:
    """Signal to quantization noise in dB: energy of the reference over that of the difference, both of one shape.

    20 dB are an error of 10% of the values' own size, 40 dB of 1%. None where nothing differs or nothing is there.
    """
    signal = float(np.square(reference, dtype=np.float64).sum())
    noise = float(np.square(np.asarray(reference, np.float64) - own).sum())
    return 10 * log10(signal / noise) if signal > 0 and noise > 0 else None


def flat(found: Sequence[StoredWeight]) -> np.ndarray:
    """The real values of several weights one after the other, float32."""
    return np.concatenate([w.dequantized.reshape(-1) for w in found]) if found else np.empty(0, np.float32)


def _by_layer(file: Path, survey: Sequence[Mapping[str, Any]]) -> dict[str, list[StoredWeight]]:
    """Kernels by layer in the order of computation, each once, and beside them what the same operators add."""
    told = {str(row["weight"]): str(row["layer"]) for row in survey}
    found: dict[str, list[StoredWeight]] = {}
    at: dict[tuple[int, tuple[str, ...]], str] = {}
    read = LiteRtFile(file.read_bytes())
    stored, order = read.weights, {names: place for place, names in enumerate(read.written())}
    for weight in sorted(stored, key=lambda w: min((order.get(c.outputs, 0) for c in w.consumers), default=0)):
        if weight.kernel:
            layer = told.get(weight.name) or layer_of(weight)
            _add(found.setdefault(layer, []), weight)
            at |= {(weight.subgraph, consumer.outputs): layer for consumer in weight.consumers}
    for weight in stored:
        layers = {at[key] for c in weight.consumers if (key := (weight.subgraph, c.outputs)) in at}
        if not weight.kernel and len(layers) == 1:
            _add(found[layers.pop()], weight)
    return found


def _add(layer: list[StoredWeight], weight: StoredWeight) -> None:
    """Tensors that share their bytes count once in a layer."""
    if all(weight.buffer != known.buffer for known in layer):
        layer.append(weight)


def _matched(reference: list[StoredWeight], own: list[StoredWeight]) -> list[tuple[StoredWeight, StoredWeight]]:
    """Weights of one shape that are most alike, the most alike first; at most one partner each."""
    scored = sorted(
        (
            (-_alike(a, b), i, j)
            for i, a in enumerate(reference)
            for j, b in enumerate(own)
            if a.shape == b.shape and a.kernel == b.kernel
        ),
    )
    left, right = set(range(len(reference))), set(range(len(own)))
    found = []
    for _, i, j in scored:
        if i in left and j in right:
            left.remove(i)
            right.remove(j)
            found.append((i, j))
    return [(reference[i], own[j]) for i, j in sorted(found)]


def _alike(one: StoredWeight, other: StoredWeight) -> float:
    a, b = one.dequantized.reshape(-1).astype(np.float64), other.dequantized.reshape(-1).astype(np.float64)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return round(float(a @ b) / norm, 12) if norm else 0.0
