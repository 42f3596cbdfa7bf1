"""What ``fit`` is fed with: arrays, one per input, or batches whose examples are varied anew in every epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
import tf_keras

from optimizers.datasets.several import arrays_of, joined
from optimizers.declarations import TrainingData
from optimizers.errors import NotApplicable
from optimizers.kinds import KINDS
from optimizers.techniques._training import NO_CLASSES, TrainingParams, can_vary, check_augmentation
from optimizers.tf.objective import Objective
from optimizers.tf.outputs import given

_SHIFT = 1 / 8
_NOISE = 0.05


@dataclass(frozen=True)
class Feed:
    """Arguments of ``fit``: arrays, or a sequence of batches as ``x`` with ``y`` and ``weights`` None; and notes."""

    x: Any
    y: np.ndarray | None
    weights: np.ndarray | None
    notes: tuple[str, ...] = ()


def feed(data: TrainingData, params: TrainingParams, goal: Objective, seed: int) -> Feed:
    """The training part as the parameters ask for it.

    Raises:
        NotApplicable: Images are to be shifted where examples are no images, or classes weighted where there are none.

    Labels of every pixel move with their image.
    """
    weights = example_weights(data, params)
    notes = weights_told(data, weights)
    if params.augmentation == "none":
        return Feed(given(arrays_of(data.train.x)), goal.train_targets, weights, notes)
    vary = augmentation(params.augmentation, data)
    moved = [] if params.augmentation == "noise" else _with_places(data)
    return Feed(_Varied(data, params.batch_size, vary, goal, weights, seed, moved=moved), None, None, notes)


def example_weights(data: TrainingData, params: TrainingParams) -> np.ndarray | None:
    """Weight of every training example, shape (n,), mean 1; None where all weigh the same.

    Balanced weights are n / (classes present * examples of the class). Of several outputs classes weigh in the loss of
    each (`optimizers.tf.heads`), not examples.
    """
    if params.class_weights == "none" or data.targets:
        return None
    if not KINDS[data.task].one_class:
        raise NotApplicable(NO_CLASSES)
    counts = np.bincount(data.train.y)
    present = int((counts > 0).sum())
    return np.asarray(len(data.train) / (present * counts[data.train.y]), np.float32)


def weights_told(data: TrainingData, weights: np.ndarray | None) -> tuple[str, ...]:
    """A sentence on what `example_weights` gave, with the classes that weigh most and least; none without weights."""
    if weights is None:
        return ()
    most, least = int(weights.argmax()), int(weights.argmin())
    rare, frequent = (data.classes[int(data.train.y[place])] for place in (most, least))
    ratio = weights[most] / weights[least]
    return (f"An example of class {rare} counted {ratio:.3g} times as much as one of class {frequent}.",)


def _with_places(data: TrainingData) -> list[str]:
    """Outputs whose labels have to move with the images, a single one being called "". Raises as `_has_places`."""
    each = {one.name: data.of(one) for one in data.targets} or {"": data}
    return [name for name, own in each.items() if _has_places(own)]


def _has_places(data: TrainingData) -> bool:
    """Whether labels belong to places in the images, and so have to move with them.

    Raises:
        NotApplicable: They belong to places of another number.
    """
    y, inputs = data.train.y, arrays_of(data.train.x)
    sides = next((x.shape[1:3] for x in inputs if x.ndim == 4), ())
    if KINDS[data.task].decides == "position":
        if len(inputs) == 1 and y.shape[1:] == sides:
            return True
        raise NotApplicable(
            "The labels have other sides than the images, so they cannot be shifted alike; set augmentation to 'noise' "
            "or 'none'."
        )
    if not KINDS[data.task].decides and y.ndim == 2 and sides and y.shape[1] >= prod(sides):
        raise NotApplicable(
            "The model gives numbers for every place of an image, which would have to move with it; set augmentation "
            "to 'noise' or 'none'."
        )
    return False


def augmentation(kind: str, data: TrainingData) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """A function that varies a batch of shape (n, *example) and keeps its shape and dtype.

    Of several inputs those are varied that can be: decimal numbers, or images.
    """
    x = arrays_of(data.train.x)
    check_augmentation(kind, [(str(array.dtype), array.ndim - 1) for array in x])
    ways = [_way(kind, array) for array in x]

    def vary(batch: np.ndarray, random: np.random.Generator) -> np.ndarray:
        varied = [way(array, random) if way else array for way, array in zip(ways, arrays_of(batch), strict=True)]
        return joined(varied, batch.dtype.names or ())

    return vary


def _way(kind: str, x: np.ndarray) -> Callable[[np.ndarray, np.random.Generator], np.ndarray] | None:
    """How the examples of one input, of shape (n, ...), are varied; None where they cannot be."""
    if not can_vary(kind, str(x.dtype), x.ndim - 1):
        return None
    if kind != "noise":
        return lambda batch, random: _shifted(batch, random, flip=kind == "shift_flip")
    spread = _NOISE * x.std(axis=0, keepdims=True)
    return lambda batch, random: (batch + spread * random.standard_normal(batch.shape)).astype(batch.dtype)


def _shifted(images: np.ndarray, random: np.random.Generator, *, flip: bool) -> np.ndarray:
    """Every image moved by up to an eighth of its side, edges repeated, and every other one mirrored if asked for."""
    count, height, width = images.shape[:3]
    down, right = max(1, round(height * _SHIFT)), max(1, round(width * _SHIFT))
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
    tops, lefts = random.integers(0, 2 * down + 1, count), random.integers(0, 2 * right + 1, count)
    rows = tops[:, None] + np.arange(height)
    columns = lefts[:, None] + np.arange(width)
    moved: np.ndarray = padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    if flip:
        mirrored = random.random(count) < 0.5
        moved[mirrored] = moved[mirrored, :, ::-1]
    return moved


class _Varied(tf_keras.utils.Sequence):  # type: ignore[misc]
    """Shuffled batches with varied examples; a teacher sees the varied ones as well."""

    def __init__(
        self,
        data: TrainingData,
        batch: int,
        vary: Callable[[np.ndarray, np.random.Generator], np.ndarray],
        goal: Objective,
        weights: np.ndarray | None,
        seed: int,
        *,
        moved: list[str],
    ) -> None:
        super().__init__()
        self._x, self._batch, self._vary, self._goal, self._weights = data.train.x, batch, vary, goal, weights
        self._y, self._moved = data.train.y, moved
        self._random = np.random.default_rng(seed)
        self._order = self._random.permutation(len(self._x))

    def __len__(self) -> int:
        return ceil(len(self._x) / self._batch)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        picks = self._order[number * self._batch : (number + 1) * self._batch]
        before = self._random.bit_generator.state
        x, labels = self._vary(self._x[picks], self._random), self._y[picks]
        for name in self._moved:  # the same random numbers move labels as they moved the images
            self._random.bit_generator.state = before
            moved = self._vary((labels[name] if name else labels)[..., None], self._random)[..., 0]
            if name:
                labels[name] = moved
            else:
                labels = moved
        y = self._goal.targets_of(x, picks, labels if self._moved else None)
        arrays = given(arrays_of(x))
        return (arrays, y) if self._weights is None else (arrays, y, self._weights[picks])

    def on_epoch_end(self) -> None:
        self._order = self._random.permutation(len(self._x))
