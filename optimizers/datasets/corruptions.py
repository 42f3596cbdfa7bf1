"""Simple ways in which examples get worse between training and use, each in three severities and repeatable.

Strengths are relative to what the train part holds: its range for images, the standard deviation of each feature for
tables and sequences.

Source: in the manner of Hendrycks and Dietterich (2019), "Benchmarking neural network robustness to common corruptions
    and perturbations".
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizers.datasets.pictures import Form, form_of

if TYPE_CHECKING:
    import numpy as np

    from optimizers.declarations import Dataset

SEVERITIES = (1, 2, 3)


@dataclass(frozen=True)
class World:
    """What corruptions are relative to: the train part, and which of its features belong together.

    Attributes:
        x: Training examples, shape (n, *example).
        groups: For tables, numbers of features that one column became, such as those of a one-hot column.
        words: Numbers of features that stand for categories, which noise leaves alone.
    """

    x: np.ndarray
    groups: tuple[tuple[int, ...], ...]
    categories: frozenset[int]


@dataclass(frozen=True)
class Corruption:
    """One way. ``apply`` takes examples, a strength, the world and a generator; it leaves what it is given alone."""

    name: str
    strengths: tuple[float, float, float]
    unit: str
    apply: Callable[[np.ndarray, float, World, np.random.Generator], np.ndarray]

    def told(self, severity: int) -> str:
        """How strong a severity is, in words."""
        strength = self.strengths[severity - 1]
        return f"{strength:g} {self.unit}" if self.unit.startswith("pixels") else f"{strength:.0%} {self.unit}"


def corruptions(x: np.ndarray) -> tuple[Corruption, ...]:
    """Those that suit examples of that shape and type; none for other forms."""
    return _BY_FORM.get(form_of(x), ())


def world(data: Dataset) -> World:
    """The world of a data set."""
    encoding: Sequence[Mapping[str, Any]] = data.summary.preview.get("encoding", ())
    width = data.train.x.shape[-1]
    if len(encoding) != width:
        return World(data.train.x, tuple((i,) for i in range(width)), frozenset())
    columns: dict[str, list[int]] = {}
    for number, feature in enumerate(encoding):
        columns.setdefault(str(feature["column"]), []).append(number)
    categories = frozenset(i for i, feature in enumerate(encoding) if "category" in feature)
    return World(data.train.x, tuple(tuple(group) for group in columns.values()), categories)


def corrupted(x: np.ndarray, corruption: Corruption, severity: int, around: World, seed: int) -> np.ndarray:
    """Examples made worse, in their own type and shape.

    Args:
        x: Shape (n, *example).
        severity: 0 gives them back as they are; else one of `SEVERITIES`.
        seed: The same seed gives the same examples.
    """
    import numpy as np

    if not severity:
        return x
    rng = np.random.default_rng([seed, severity, zlib.crc32(corruption.name.encode())])
    found = corruption.apply(x, corruption.strengths[severity - 1], around, rng)
    return _typed(found, x.dtype)


def without(x: np.ndarray, group: Sequence[int], around: World) -> np.ndarray:
    """Examples with some features at their mean over the train part, as when a sensor is dead and filled in."""
    found = x.astype("float64")
    for number in group:
        found[..., number] = around.x[..., number].mean()
    return _typed(found, x.dtype)


def _typed(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    import numpy as np

    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return np.asarray(np.clip(np.rint(values), bounds.min, bounds.max), dtype)
    return np.asarray(values, dtype)


def _span(around: World) -> tuple[float, float]:
    return float(around.x.min()), float(around.x.max())


def _image_noise(x: np.ndarray, strength: float, around: World, rng: np.random.Generator) -> np.ndarray:
    import numpy as np

    low, high = _span(around)
    return np.clip(x + rng.standard_normal(x.shape) * strength * (high - low), low, high)


def _blur(x: np.ndarray, strength: float, around: World, rng: np.random.Generator) -> np.ndarray:
    import numpy as np
    from scipy.ndimage import gaussian_filter

    sigma = strength * max(1.0, min(x.shape[1:3]) / 40)
    return np.asarray(gaussian_filter(x.astype(np.float64), (0, sigma, sigma) + (0,) * (x.ndim - 3), mode="nearest"))


def _contrast(x: np.ndarray, strength: float, around: World, rng: np.random.Generator) -> np.ndarray:
    import numpy as np

    middle = x.mean(axis=tuple(range(1, x.ndim)), keepdims=True)
    return np.asarray(middle + (x - middle) * (1 - strength))


def _brightness(x: np.ndarray, strength: float, around: World, rng: np.random.Generator) -> np.ndarray:
    import numpy as np

    low, high = _span(around)
    return np.clip(x + strength * (high - low), low, high)


def _feature_noise(x: np.ndarray, strength: float, around: World, rng: np.random.Generator) -> np.ndarray:
    import numpy as np

    spread = around.x.std(axis=tuple(range(around.x.ndim - 1)))
    spread = np.where([i in around.categories for i in range(len(spread))], 0.0, spread)
    return np.asarray(x + rng.standard_normal(x.shape) * strength * spread)


def _dropout(x: np.ndarray, strength: float, around: World, rng: np.random.Generator) -> np.ndarray:
    import numpy as np

    means = around.x.mean(axis=tuple(range(around.x.ndim - 1)))
    found = x.astype(np.float64)
    for group in around.groups:
        lost = np.flatnonzero(rng.random(len(x)) < strength)
        for number in group:
            found[lost, ..., number] = means[number]
    return found


def _lost_steps(x: np.ndarray, strength: float, around: World, rng: np.random.Generator) -> np.ndarray:
    """Steps that are missing repeat the one before."""
    found = x.copy()
    lost = rng.random(x.shape[:2]) < strength
    for step in range(1, x.shape[1]):
        found[lost[:, step], step] = found[lost[:, step], step - 1]
    return found


def _other_words(x: np.ndarray, strength: float, around: World, rng: np.random.Generator) -> np.ndarray:
    """Words are replaced by others, as often as those occur in the train part; 0, which fills up, stays."""
    import numpy as np

    pool = around.x[around.x != 0]
    if not pool.size:
        return x
    changed = (rng.random(x.shape) < strength) & (x != 0)
    return np.where(changed, rng.choice(pool, x.shape), x)


_BY_FORM: dict[Form, tuple[Corruption, ...]] = {
    "image": (
        Corruption("Noise", (0.05, 0.1, 0.2), "of the range of values", _image_noise),
        Corruption("Blur", (0.4, 0.8, 1.2), "pixels wide, wider on images of more than 40", _blur),
        Corruption("Less contrast", (0.25, 0.5, 0.75), "less", _contrast),
        Corruption("Brighter", (0.1, 0.2, 0.3), "of the range of values", _brightness),
    ),
    "table": (
        Corruption("Noise", (0.1, 0.3, 0.6), "of each feature's standard deviation", _feature_noise),
        Corruption("Missing values", (0.1, 0.25, 0.5), "of the columns of each row set to their mean", _dropout),
    ),
    "sequence": (
        Corruption("Noise", (0.1, 0.3, 0.6), "of each feature's standard deviation", _feature_noise),
        Corruption("Missing steps", (0.1, 0.25, 0.5), "of the steps repeat the one before", _lost_steps),
        Corruption("Missing sensors", (0.1, 0.25, 0.5), "of the columns of each example set to their mean", _dropout),
    ),
    "words": (Corruption("Other words", (0.05, 0.15, 0.3), "of the words replaced", _other_words),),
}
