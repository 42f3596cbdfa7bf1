"""Where labels go so that they cover neither markers nor each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from math import hypot
from typing import NamedTuple

import pandas as pd

PLOT = (320.0, 290.0)
"""Width and height in pixels that the plotting area is taken to have: little more than a phone's."""
_CHARACTER, _LINE, _GAP = 6.6, 15.0, 5.0
_PLACES = (
    "middle right", "top center", "bottom center", "middle left",
    "top right", "bottom right", "top left", "bottom left",
)  # fmt: skip


_TRIES = 4
"""Orders in which labels are placed before one stays away."""
_LONG = 20
"""Characters of a line above which a label is broken."""


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
    """Text position for each row, in plotly's words; None where every place is taken, which the first one always has.

    Args:
        data: Columns ``x``, ``y``, ``label`` (what has none is only in the way), ``size`` (marker diameter in pixels)
            and ``front`` (on the drawn line); ``y_minus`` and ``y_plus`` where bars are drawn, which labels cross only
            if they must.
        x_range, y_range: What the axes show.
    """
    middles = [
        (_pixels(x, x_range, PLOT[0]), _pixels(y, y_range, PLOT[1])) for x, y in zip(data["x"], data["y"], strict=True)
    ]
    radii = [size / 2 for size in data["size"]]
    markers = [_around(middle, radius) for middle, radius in zip(middles, radii, strict=True)]
    bars = _upright(data, middles, y_range)
    line = _along(sorted(middle for middle, front in zip(middles, data["front"], strict=True) if front))
    labels = list(data["label"])

    def placed(order: Sequence[int]) -> dict[int, str]:
        taken, places = list(line), {}
        for number in order:
            middle, radius = middles[number], radii[number]
            others = [*taken, *markers[:number], *markers[number + 1 :]]
            near = [other for place, other in enumerate(middles) if place != number]
            found = [
                (place, box) for place in _PLACES
                if _free(box := _box(place, labels[number], middle, radius), others) and _belongs(box, middle, near)
            ]  # fmt: skip
            clear = [(place, box) for place, box in found if _free(box, bars)]
            if not found and number == first:
                found = _least_covering(labels[number], middle, radius, others)
            if best := next(iter([*clear, *found]), None):
                places[number] = best[0]
                taken.append(best[1])
        return places

    order, most = [number for number, label in enumerate(labels) if label], dict[int, str]()
    first = next(iter(order), None)
    for _ in range(_TRIES):
        found = placed(order)
        most = max(most, found, key=len)
        if len(found) == len(order):
            break
        order.sort(key=lambda number: number in found)  # what found no place comes first
    return [most.get(number) for number in range(len(labels))]


def in_lines(label: str) -> str:
    """A recipe broken before a ``+`` where it is long, as plotly has it."""
    lines = [""]
    for step in re.split(r"(?=\+)", label):
        if lines[-1] and len(lines[-1] + step) > _LONG:
            lines.append("")
        lines[-1] += step
    return "<br>".join(lines)


def _least_covering(
    label: str, middle: tuple[float, float], radius: float, others: Sequence[Box]
) -> list[tuple[str, Box]]:
    """The place within the plot where a label covers the fewest others."""
    places = [(place, _box(place, label, middle, radius)) for place in _PLACES]
    inside = [(place, box) for place, box in places if _free(box, ())]
    return sorted(inside, key=lambda one: sum(one[1].meets(other) for other in others))[:1]


def _free(box: Box, others: Sequence[Box]) -> bool:
    """Whether a label can be there: inside the plot and clear of everything else."""
    inside = box.left >= -10 and box.right <= PLOT[0] + 10 and box.bottom >= -10 and box.top <= PLOT[1] + 10
    return inside and not any(box.meets(other) for other in others)


def _belongs(box: Box, middle: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether no other point is nearer to a label than its own."""
    own = _away(box, middle)
    return all(own <= _away(box, other) for other in others)


def _away(box: Box, point: tuple[float, float]) -> float:
    across = max(box.left - point[0], 0.0, point[0] - box.right)
    return hypot(across, max(box.bottom - point[1], 0.0, point[1] - box.top))


def _upright(data: pd.DataFrame, middles: list[tuple[float, float]], shown: Sequence[float]) -> list[Box]:
    """The vertical bars of the points."""
    if "y_minus" not in data:
        return []
    ends = zip(data["y"] - data["y_minus"], data["y"] + data["y_plus"], strict=True)
    upright = [(_pixels(low, shown, PLOT[1]), _pixels(high, shown, PLOT[1])) for low, high in ends]
    return [Box(x - 2, low, x + 2, high) for (x, _), (low, high) in zip(middles, upright, strict=True) if high > low]


def _around(middle: tuple[float, float], radius: float) -> Box:
    x, y = middle
    return Box(x - radius, y - radius, x + radius, y + radius)


def _along(corners: list[tuple[float, float]], steps: int = 16) -> list[Box]:
    """Small boxes along the line through the corners, which labels keep clear of."""
    boxes = []
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        parts = [step / steps for step in range(1, steps)]
        boxes += [_around((x0 + (x1 - x0) * part, y0 + (y1 - y0) * part), 1.0) for part in parts]
    return boxes


def _box(place: str, label: str, middle: tuple[float, float], radius: float) -> Box:
    vertical, _, horizontal = place.partition(" ")
    x, y = middle
    lines = re.sub(r"</?b>", "", label).split("<br>")
    width, height = max(map(len, lines)) * _CHARACTER, len(lines) * _LINE
    beside = 0.0 if vertical != "middle" and horizontal != "center" else radius
    left = {"right": x + beside + _GAP, "left": x - beside - _GAP - width, "center": x - width / 2}[horizontal]
    away = radius + _GAP
    bottom = {"top": y + away, "bottom": y - away - height, "middle": y - height / 2}[vertical]
    return Box(left, bottom, left + width, bottom + height)


def _pixels(value: float, shown: Sequence[float], extent: float) -> float:
    width = shown[1] - shown[0]
    return (value - shown[0]) / width * extent if width else extent / 2
