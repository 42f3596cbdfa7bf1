"""What a layer does with channels: which axes of its weights carry them, and which of its options count them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from optimizers.tf.channels.atoms import Labels

What = Literal["filters", "units", "heads", "channels"]
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Cut:
    """An axis of a weight whose places belong to channels."""

    weight: Any
    axis: int
    labels: Labels


@dataclass(frozen=True)
class Size:
    """An option that counts channels, by its path in the layer's config; of a tuple, its last entry does."""

    path: tuple[str, ...]
    labels: Labels


@dataclass(frozen=True)
class Made:
    """Channels that a layer makes, or, where it ``follows``, to each of which it applies a filter of its own.

    ``scored`` are the weights that tell how much each channel matters, with the axis along which its channels lie.
    """

    what: What
    labels: Labels
    scored: tuple[Cut, ...]
    follows: bool = False


@dataclass(frozen=True)
class Layout:
    """Of one layer. ``inputs`` and ``outputs`` are the labels of its tensors at its first call."""

    inputs: tuple[Labels, ...]
    outputs: tuple[Labels, ...]
    cuts: tuple[Cut, ...] = ()
    sizes: tuple[Size, ...] = ()
    made: tuple[Made, ...] = ()

    def inside(self, *path: str) -> Layout:
        """The same for a wrapper that has the layer's options under a path in its own."""
        return replace(self, sizes=tuple(Size((*path, *size.path), size.labels) for size in self.sizes))


@dataclass(frozen=True)
class Call:
    """One call of a layer: labels and shapes (without the batch dimension) of its tensors, and its named arguments."""

    inputs: tuple[Labels, ...]
    given: tuple[Shape, ...]
    returned: tuple[Shape, ...]
    node: Any = field(repr=False, default=None)

    @property
    def width(self) -> int:
        """Size of the first output's last axis, 1 where it has none or leaves it open."""
        return last(self.returned[0])


def last(shape: Shape) -> int:
    """Size of the last axis, 1 where there is none or it is open."""
    return (shape[-1] or 1) if shape else 1
