"""Shapes of examples and of what models take, put into each other and into words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from optimizers.records import TensorSpec


def fitted_shape(spec: TensorSpec, shape: Sequence[int]) -> tuple[int, ...] | None:
    """The shape that examples take for this input; None if they do not fit.

    Dimensions of length 1 may be added or dropped (an image's channel), and examples may be flattened into a vector.
    """
    given = tuple(shape)
    if _matches(spec.shape, given):
        return given
    if len(spec.shape) == 1 and len(given) > 1 and spec.shape[0] == math.prod(given):
        return (math.prod(given),)
    rest = [length for length in given if length != 1]
    fitted: list[int] = []
    for expected in spec.shape:
        if expected == 1:
            fitted.append(1)
        elif rest and expected in (None, rest[0]):
            fitted.append(rest.pop(0))
        elif expected is None:
            fitted.append(1)
        else:
            return None
    return None if rest else tuple(fitted)


def told(shape: Sequence[int | None]) -> str:
    """A shape as Python writes it, an open dimension as ``any``."""
    inner = ", ".join("any" if length is None else str(length) for length in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def counted(n: int, what: str) -> str:
    """A number of things, like ``2 inputs``."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def _matches(expected: Sequence[int | None], given: Sequence[int]) -> bool:
    return len(expected) == len(given) and all(e in (None, g) for e, g in zip(expected, given, strict=True))
