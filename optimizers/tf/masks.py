"""Which weights stay when a kernel is pruned, and the callback that prunes while a model trains.

The masks are our own and not the toolkit's wrappers: they work on every kernel of every layer, leave the model as it
is (nothing to strip), know N:M sparsity along the axis that hardware multiplies along, and train several times faster.
What they do is the same, and a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.tf import kernels

Pattern = Literal["unstructured", "block", "n_of_m"]
_NONE: Mapping[str, float] = {}


@dataclass(frozen=True)
class Shape:
    """What zeros look like.

    Attributes:
        pattern: Single weights; blocks of ``block`` weights over the last two axes (inputs, outputs); or in every
            ``group`` consecutive inputs of an output at most ``kept`` weights that are not zero.
        block: Inputs and outputs in one block.
        kept, group: N and M of N:M sparsity.
    """

    pattern: Pattern = "unstructured"
    block: tuple[int, int] = (1, 4)
    kept: int = 2
    group: int = 4


@dataclass(frozen=True)
class Schedule:
    """Sparsity over the steps of a training: the masks change every ``frequency`` steps from ``begin`` to ``end``."""

    kind: Literal["polynomial", "constant"]
    initial: float
    target: float
    begin: int
    end: int
    frequency: int
    total: int

    def sparsity(self, step: int) -> float:
        """Share of zeros that is due after a step.

        Source: Zhu and Gupta (2017), "To prune, or not to prune", equation (1).
        """
        if self.kind == "constant":
            return self.target
        done = min(1.0, max(0.0, (step - self.begin) / max(1, self.end - self.begin)))
        return self.target + (self.initial - self.target) * (1 - done) ** 3

    def towards(self, target: float) -> Schedule:
        """The same schedule with another share of zeros in the end."""
        return replace(self, target=target, initial=min(self.initial, target))

    def due(self, step: int) -> bool:
        """Whether the masks change after that step."""
        return self.begin <= step <= self.end and (step - self.begin) % self.frequency == 0

    def steps(self) -> dict[str, int]:
        """The schedule in training steps, for a report."""
        return {
            "begin_step": self.begin,
            "end_step": self.end,
            "frequency": self.frequency,
            "total_steps": self.total,
        }


def schedule(
    kind: Literal["polynomial", "constant"],
    *,
    target: float,
    initial: float,
    begin: float,
    end: float,
    frequency: int,
    total_steps: int,
) -> Schedule:
    """A schedule that ends inside the training with a last update.

    A frequency that would give fewer than eight updates is lowered, so that short trainings prune gradually as well.

    Args:
        kind: ``polynomial`` (cubic, fast first) or ``constant``.
        target, initial: Fractions of zeros at the end and at the beginning; a constant schedule has the target only.
        begin, end: Fractions of the training between which the masks change.
        frequency: Steps between two updates of the masks.
        total_steps: Of the whole training.
    """
    first = min(round(begin * total_steps), total_steps - 1)
    span = max(1, round(end * total_steps) - first)
    every = max(1, min(frequency, span // 8))
    last = first + every * max(1, span // every)
    return Schedule(kind, initial, target, first, last, every, total_steps)


def mask(kernel: np.ndarray, sparsity: float, shape: Shape) -> np.ndarray:
    """1.0 where a weight stays and 0.0 where it becomes zero; float32, in the shape of the kernel.

    Args:
        kernel: Shape (…, inputs, outputs). Where magnitudes are equal, weights further behind become zero.
        sparsity: Share of zeros; N:M sparsity has its own.
        shape: What the zeros look like.
    """
    size = np.abs(kernel)
    if shape.pattern == "n_of_m":
        return _n_of_m(size, shape.kept, shape.group)
    if shape.pattern == "block":
        return _blocks(size, sparsity, shape.block)
    return _largest(size.reshape(-1), sparsity).reshape(kernel.shape)


def _largest(score: np.ndarray, sparsity: float) -> np.ndarray:
    keep = np.ones(len(score), np.float32)
    keep[np.argsort(-score, kind="stable")[len(score) - round(sparsity * len(score)) :]] = 0.0
    return keep


def _n_of_m(size: np.ndarray, kept: int, group: int) -> np.ndarray:
    """The largest of each group along the inputs; a last group that is not full is filled up with nothing."""
    rows = np.moveaxis(size, -2, -1)
    full = -(-rows.shape[-1] // group) * group
    padded = np.full((*rows.shape[:-1], full), -1.0, np.float32)
    padded[..., : rows.shape[-1]] = rows
    groups = padded.reshape(-1, group)
    keep = np.zeros_like(groups)
    np.put_along_axis(keep, np.argsort(-groups, axis=1, kind="stable")[:, :kept], 1.0, axis=1)
    return np.moveaxis(keep.reshape(padded.shape)[..., : rows.shape[-1]], -1, -2)


def _blocks(size: np.ndarray, sparsity: float, block: tuple[int, int]) -> np.ndarray:
    """Whole blocks by their mean magnitude; those at the edges may be smaller."""
    inputs, outputs = size.shape[-2:]
    down, across = -(-inputs // block[0]), -(-outputs // block[1])
    rows, columns = np.arange(inputs) // block[0], np.arange(outputs) // block[1]
    matrices = size.reshape(-1, inputs, outputs)
    numbers = rows[:, None] * across + columns[None, :]
    numbers = np.arange(len(matrices))[:, None, None] * (down * across) + numbers
    flat = numbers.reshape(-1)
    score = np.bincount(flat, matrices.reshape(-1)) / np.bincount(flat)
    keep: np.ndarray = _largest(score, sparsity)[flat].reshape(size.shape)
    return keep


def pruned(variable: Any, sparsity: float, shape: Shape) -> np.ndarray:
    """The mask of a kernel variable, in its own shape."""
    order, matrix = kernels.form(variable)
    kernel = variable.numpy().transpose(order)
    keep = mask(kernel.reshape(matrix), sparsity, shape).reshape(kernel.shape)
    return keep.transpose(np.argsort(order))


def fits(kernel: Any, shape: Shape) -> str:
    """Why a kernel cannot have zeros of that shape; empty where it can."""
    inputs, outputs = kernels.form(kernel)[1][-2:]
    if shape.pattern == "n_of_m" and inputs < shape.group:
        return f"it has {inputs} inputs, fewer than a group of {shape.group}"
    if shape.pattern == "block" and (inputs < shape.block[0] or outputs < shape.block[1]):
        return f"it is smaller than a block of {shape.block[0]} x {shape.block[1]}"
    return ""


class Pruning(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Prunes kernels while a model trains, and keeps pruned weights at zero.

    Args:
        targets: Kernel variables by layer name.
        plan: When and how much.
        shape: What the zeros look like.
        amounts: Share of zeros of each layer in the end; the plan's target where it is not named.
    """

    def __init__(
        self, targets: Mapping[str, list[Any]], plan: Schedule, shape: Shape, amounts: Mapping[str, float] = _NONE
    ) -> None:
        super().__init__()
        self._variables = [variable for found in targets.values() for variable in found]
        self._plans = [plan.towards(amounts.get(name, plan.target)) for name, found in targets.items() for _ in found]
        self._plan, self._shape, self._step = plan, shape, 0
        self._held = _Held(self._variables)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self._plan.due(self._step):
            self._refresh()
            self._held.apply()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._step += 1
        if self._plan.due(self._step):
            self._refresh()
        self._held.apply()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._step = max(self._step, self._plan.end)
        self._refresh()
        self._held.apply()

    def _refresh(self) -> None:
        due = [plan.sparsity(self._step) for plan in self._plans]
        self._held.set([pruned(v, share, self._shape) for v, share in zip(self._variables, due, strict=True)])


class KeepZeros(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps every kernel weight at zero that is zero when training begins: what earlier pruning achieved."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        found = [variable for variables in kernels.by_layer(model).values() for variable in variables]
        self._variables = [variable for variable in found if (variable.numpy() == 0).any()]
        self._held = _Held(self._variables)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._held.set([(variable.numpy() != 0).astype(np.float32) for variable in self._variables])

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._held.apply()


class _Held:
    """Masks of some variables, multiplied in by one call."""

    def __init__(self, variables: list[Any]) -> None:
        self._variables = variables
        self._masks = [tf.Variable(tf.ones(v.shape, v.dtype), trainable=False) for v in variables]
        self._multiply: Callable[[], None] = tf.function(self._multiplied)

    def set(self, masks: list[np.ndarray]) -> None:
        for variable, values in zip(self._masks, masks, strict=True):
            variable.assign(values)

    def apply(self) -> None:
        if self._variables:
            self._multiply()

    def _multiplied(self) -> None:
        for variable, values in zip(self._variables, self._masks, strict=True):
            variable.assign(variable * values)
