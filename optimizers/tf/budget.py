"""Stops a model from being built when what it declares is too large, before memory for it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import tensorflow as tf

from optimizers.errors import ModelRefused
from optimizers.models.reader.limits import LIMITS


class Budget:
    """Counts the numbers in weights and activations of one model, and its calls of layers.

    Attributes:
        refusal: What was raised, because Keras wraps exceptions that pass through it into others.
    """

    def __init__(self) -> None:
        self.refusal: ModelRefused | None = None
        self._parameters = 0
        self._bytes = 0
        self._activations = 0
        self._calls = 0

    def add_variable(self, shape: Sequence[int], width: int) -> None:
        """Counts one weight of ``width`` bytes per number. Raises `ModelRefused` (``too-large``)."""
        count = math.prod(int(size) for size in shape)
        self._parameters += count
        self._bytes += count * width
        if self._parameters > LIMITS.parameters or self._bytes > LIMITS.weight_bytes:
            self._refuse(f"The model declares more than {LIMITS.parameters:,} weights; use a smaller model.")

    def add_activation(self, shape: Sequence[int | None], where: str) -> None:
        """Counts one activation for one example, or for the batch where its size is fixed.

        Raises `ModelRefused` (``too-large``).
        """
        count = math.prod(int(size) for size in shape if size is not None)
        self._activations += count
        if count > LIMITS.tensor_values or self._activations > LIMITS.graph_values:
            self._refuse(
                f"{where[0].upper()}{where[1:]} produces {count:,} values for one example; at most "
                f"{LIMITS.tensor_values:,} are allowed: use a smaller input or model."
            )

    def add_calls(self, count: int, where: str) -> None:
        """Counts calls of layers, as often as they are carried out. Raises `ModelRefused` (``too-large``)."""
        self._calls += count
        if self._calls > LIMITS.calls:
            self._refuse(
                f"With {where} the model calls more than {LIMITS.calls:,} layers, counting every step of a recurrent "
                "layer and every call of a nested model; use shorter inputs or a smaller model."
            )

    def check_work(self, count: int, where: str) -> None:
        """Refuses more multiply-accumulates for one example than are tried. Raises `ModelRefused` (``too-large``)."""
        if count > LIMITS.macs:
            self._refuse(
                f"With {where} one answer of the model takes more than {LIMITS.macs:,} multiplications; use smaller "
                "inputs or a smaller model."
            )

    def _refuse(self, message: str) -> NoReturn:
        self.refusal = ModelRefused(message, code="too-large")
        raise self.refusal

    @contextmanager
    def variables(self) -> Iterator[None]:
        """While active, every new variable is counted before it is allocated, and floats start at zero.

        Weights come from a file anyway, so computing random ones (an orthogonal matrix for each recurrent layer) would
        be time lost.
        """
        scratch = tf.Graph()

        def create(next_creator: Any, **options: Any) -> Any:
            start = options.get("initial_value")
            shape, dtype = options.get("shape"), options.get("dtype")
            if callable(start) and (shape is None or dtype is None):
                with scratch.as_default():
                    declared = start()
                shape, dtype = declared.shape, dtype or declared.dtype
            shape, dtype = tf.TensorShape(shape), tf.as_dtype(dtype or tf.float32)
            if shape.is_fully_defined():
                self.add_variable(shape.as_list(), dtype.size)
                if callable(start) and dtype.is_floating:
                    options["initial_value"] = lambda: tf.zeros(shape, dtype)
            return next_creator(**options)

        with tf.variable_creator_scope(create):
            yield
