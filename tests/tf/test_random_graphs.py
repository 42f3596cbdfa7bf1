"""Models that nobody thought of: random graphs of built-in layers go there and back as the cases of the table do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.tf.test_cases import there_and_back

_STEPS = range(4, 10)
_SOME = 3
_VECTORS, _SIGNALS, _IMAGES = 2, 3, 4
_SIZES = {_VECTORS: (6,), _SIGNALS: (8, 4), _IMAGES: (8, 8, 4)}


class _Graph:
    """Draws a model. Layers, once made, are sometimes called again, and nested models as well."""

    def __init__(self, seed: int, depth: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._depth = depth
        self._made: list[tuple[Any, tuple[int, ...]]] = []

    def model(self) -> Any:
        """A model with one to three inputs and as many outputs as it comes to have loose ends, at most three."""
        shapes = [self._one_of(list(_SIZES.values())) for _ in range(self._rng.integers(1, 4))]
        inputs = [keras.Input(shape) for shape in shapes]
        pool = list(inputs)
        for _ in range(self._one_of(list(_STEPS))):
            pool.append(self._step(pool))
        used = {id(tensor) for tensor in pool[-3:]}
        outputs = [self._head(tensor) for tensor in pool if id(tensor) in used]
        for tensor in inputs:  # whatever became of an input, an output depends on it
            outputs[0] = layers.Add()([outputs[0], layers.Dense(outputs[0].shape[-1])(layers.Flatten()(tensor))])
        return keras.Model(inputs, outputs)

    def _one_of(self, choices: list[Any]) -> Any:
        return choices[self._rng.integers(len(choices))]

    def _step(self, pool: list[Any]) -> Any:
        x = self._one_of(pool)
        again = [layer for layer, shape in self._made if shape == x.shape[1:]]
        if again and self._rng.random() < 0.3:
            return self._called(self._one_of(again), x)
        alike = [tensor for tensor in pool if tensor.shape == x.shape and tensor is not x]
        if alike and self._rng.random() < 0.4:
            return self._joined(x, self._one_of(alike))
        layer = self._layer(len(x.shape), int(x.shape[-1]), x.shape[1:])
        self._made.append((layer, x.shape[1:]))
        return self._called(layer, x)

    @staticmethod
    def _called(layer: Any, x: Any) -> Any:
        if isinstance(layer, layers.MultiHeadAttention):
            return layer(x, x)
        return layer(x)

    def _joined(self, x: Any, y: Any) -> Any:
        ways = [
            layers.Add(), layers.Subtract(), layers.Multiply(), layers.Maximum(), layers.Minimum(), layers.Average(),
        ]  # fmt: skip
        operations = [lambda a, b: a + b, lambda a, b: a * 0.5 - b, ops.maximum, lambda a, b: ops.where(a > b, a, b)]
        return self._one_of([lambda a, b, way=way: way([a, b]) for way in ways] + operations)(x, y)

    def _layer(self, rank: int, width: int, shape: tuple[int, ...]) -> Any:
        """A layer whose output has few numbers, so that graphs stay small."""
        activation = self._one_of(["relu", "tanh", "gelu", "linear", "sigmoid"])
        choices = [
            layers.Dense(4, activation=activation), layers.LayerNormalization(), layers.BatchNormalization(),
            layers.Dropout(0.3), layers.Activation(activation), layers.PReLU(), layers.Rescaling(0.5, 1.0),
        ]  # fmt: skip
        if rank == _VECTORS:
            choices += [layers.RepeatVector(8), layers.Reshape((width, 1)), layers.UnitNormalization()]
        if rank == _SIGNALS:
            choices += [
                layers.Conv1D(4, 3, padding="same"), layers.SeparableConv1D(4, 3, padding="same"),
                layers.LSTM(4, return_sequences=True), layers.Bidirectional(layers.GRU(3)),
                layers.MultiHeadAttention(2, 3), layers.GlobalMaxPooling1D(), layers.AveragePooling1D(2),
                layers.Permute((2, 1)), layers.TimeDistributed(layers.Dense(4)), layers.Flatten(),
            ]  # fmt: skip
        if rank == _IMAGES:
            choices += [
                layers.Conv2D(4, 3, padding="same"), layers.DepthwiseConv2D(2, padding="same"),
                layers.MaxPooling2D(2, padding="same"), layers.GlobalAveragePooling2D(), layers.UpSampling2D(1),
                layers.Conv2DTranspose(4, 2, strides=1, padding="same"), layers.GroupNormalization(1),
                layers.ZeroPadding2D(1), layers.Flatten(),
                layers.TimeDistributed(layers.Conv1D(4, 2)),
            ]  # fmt: skip
        if self._depth == 0:
            choices += [self._nested(shape)] * 2
        return self._one_of(choices)

    def _nested(self, shape: tuple[int, ...]) -> Any:
        """A model of its own, Sequential or functional."""
        inner = _Graph(int(self._rng.integers(1 << 30)), depth=1)
        start = keras.Input(shape)
        if self._rng.random() < 0.5:
            parts = [layers.Dense(4, "relu"), layers.LayerNormalization(), layers.Dense(3)]
            return keras.Sequential([start, *parts])
        pool = [start]
        for _ in range(3):
            pool.append(inner._step(pool))
        return keras.Model(start, pool[-1])

    def _head(self, x: Any) -> Any:
        flat = layers.Flatten()(x) if len(x.shape) > _VECTORS else x
        return layers.Dense(self._one_of([1, 2, 5]), activation=self._one_of([None, "softmax", "sigmoid"]))(flat)


@pytest.mark.parametrize("seed", [*range(_SOME), *(pytest.param(n, marks=pytest.mark.slow) for n in range(_SOME, 60))])
def test_random_graphs(seed: int, tmp_path: Path) -> None:
    there_and_back(f"graph {seed}", lambda: _Graph(seed).model(), tmp_path)
