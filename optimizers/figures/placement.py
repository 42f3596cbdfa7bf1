"""Where labels go so that they cover neither markers nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

PLOT = (620.0, 330.0)
"""Width and height in pixels that the plotting area is taken to have."""
_CHARACTER, _LINE, _GAP = 6.6, 15.0, 5.0
_PLACES = (
    "middle right", "top center", "bottom center", "middle left",
    "top right", "bottom right", "top left", "bottom left",
)  # fmt: skip


class Box(NamedTuple):
    """A rectangle in pixels, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: Box) -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.top <= other.bottom or other.top <= self.bottom)


def place_labels(data: pd.DataFrame, x_range: Sequence[float], y_range: Sequence[float]) -> list[str | None]:
    """Text position for each row, in plotly's words; None where every place is taken.

    Args:
        data: Columns ``x``, ``y``, ``label``, and ``size`` (marker diameter in pixels).
        x_range, y_range: What the axes show.
    """
    middles = [
        (_pixels(x, x_range, PLOT[0]), _pixels(y, y_range, PLOT[1])) for x, y in zip(data["x"], data["y"], strict=True)
    ]
    radii = [size / 2 for size in data["size"]]
    markers = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(middles, radii, strict=True)]
    taken: list[Box] = []
    places: list[str | None] = []
    for number, (label, middle, radius) in enumerate(zip(data["label"], middles, radii, strict=True)):
        others = [*taken, *markers[:number], *markers[number + 1 :]]
        places.append(None)
        for place in _PLACES:
            box = _box(place, label, middle, radius)
            inside = box.left >= -10 and box.right <= PLOT[0] + 10 and box.bottom >= -10 and box.top <= PLOT[1] + 10
            if inside and not any(box.meets(other) for other in others):
                places[-1] = place
                taken.append(box)
                break
    return places


def _box(place: str, label: str, middle: tuple[float, float], radius: float) -> Box:
    vertical, _, horizontal = place.partition(" ")
    x, y = middle
    width = len(label) * _CHARACTER
    beside = 0.0 if vertical != "middle" and horizontal != "center" else radius
    left = {"right": x + beside + _GAP, "left": x - beside - _GAP - width, "center": x - width / 2}[horizontal]
    away = radius + _GAP
    bottom = {"top": y + away, "bottom": y - away - _LINE, "middle": y - _LINE / 2}[vertical]
    return Box(left, bottom, left + width, bottom + _LINE)


def _pixels(value: float, shown: Sequence[float], extent: float) -> float:
    width = shown[1] - shown[0]
    return (value - shown[0]) / width * extent if width else extent / 2
