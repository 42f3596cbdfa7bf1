"""How many channels each group keeps, so that a model costs as little as was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from optimizers.techniques._allocation import Option, allocate
from optimizers.tf.channels.criteria import Scores
from optimizers.tf.channels.layout import Cut
from optimizers.tf.channels.trace import Group, Trace
from optimizers.tf.cost import Term, terms

Of = Literal["macs", "channels"]
Counts = np.ndarray
"""Channels kept by each group, shape (groups,)."""
Cost = Callable[[Counts], float]
Damages = Mapping[str, Mapping[int, float]]
"""By name of a group: how much the loss rises when it keeps so many channels."""
_STEPS_PER_GROUP = 4
_BISECTIONS = 40
_PARTS = (1, 2, 4)
# Whole steps are worth missing the target for: digits_cnn with multiples of 8, and 10% fewer products than asked for,
# runs 1.87 times as fast as the original, but with multiples of 2 that come within 3% of the target only 1.24 times.
_CLOSE = 0.15
# On five sample models, two amounts and two seeds the validation loss after training lies 6% below that of the uniform
# distribution with 0.5 and 4% with 0.75; without a limit single layers became bottlenecks (fashion_cnn: 37% above).
_LEAST = 0.5


def step(channels: int, round_to: int, heads: bool = False) -> int:
    """What the number of kept channels is a multiple of: ``round_to`` halved until a group has four steps or more."""
    if heads:
        return 1
    while round_to > 1 and channels < _STEPS_PER_GROUP * round_to:
        round_to //= 2
    return round_to


def choices(channels: int, multiple: int, heads: bool = False) -> list[int]:
    """The numbers of channels that a group may keep, the largest first: all, or multiples down to two (one head)."""
    least = 1 if heads else min(2, channels)
    first = max(multiple, -(-least // multiple) * multiple)
    return [channels, *sorted(range(first, channels, multiple), reverse=True)]


class Counter:
    """Tells what a model costs with fewer channels, without building it.

    Args:
        trace: Of the model.
        sized: The same model with known dimensions, where the traced one leaves some open.
    """

    def __init__(self, trace: Trace, sized: Any = None) -> None:
        self._trace = trace
        products = [
            (name, position, term)
            for name, layer, found in terms(trace.model if sized is None else sized)
            for term in found
            for position, weight in enumerate(layer.weights)
            if weight is term.weight
        ]
        self._times = np.array([float(term.times) for _, _, term in products])
        axes = max((len(term.weight.shape) for _, _, term in products), default=0)
        self._fixed = np.ones((len(products), axes))
        self._shares = np.zeros((len(products), axes, len(trace.groups)))
        for row, (name, position, term) in enumerate(products):
            self._describe(row, name, position, term)
        self._members = np.array([float(len(group.members)) for group in trace.groups])

    def _describe(self, row: int, name: str, position: int, term: Term) -> None:
        layout = self._trace.layouts.get(name)
        weight = self._trace.model.get_layer(name).weights[position] if layout else term.weight
        cuts = {cut.axis: cut for cut in layout.cuts if cut.weight is weight} if layout else {}
        for axis in range(len(weight.shape)) if term.axes is None else term.axes:
            self._fixed[row, axis] = int(weight.shape[axis])
            if axis in cuts:
                self._share(row, cuts[axis])

    def _share(self, row: int, cut: Cut) -> None:
        """How many places of an axis come and go with each channel of each group."""
        roots = self._trace.roots(cut.labels)
        for column, group in enumerate(self._trace.groups):
            places = float(np.isin(roots, group.roots).sum())
            self._fixed[row, cut.axis] -= places
            self._shares[row, cut.axis, column] = places / len(group.roots)

    def macs(self, kept: Counts) -> float:
        """Multiply-accumulates."""
        return float((self._times * (self._fixed + self._shares @ kept).prod(axis=1)).sum())

    def channels(self, kept: Counts) -> float:
        """Channels of all layers that may lose some."""
        return float(self._members @ kept)


@dataclass(frozen=True)
class Plan:
    """Channels that each group keeps, by name, and whether the model then costs as little as was asked for."""

    kept: dict[str, int]
    reached: bool

    def dead(self, groups: Sequence[Group], scores: Scores) -> set[int]:
        """The channels that go: of each group those with the lowest scores."""
        return {root for group in groups for root in weakest(group, scores, len(group.roots) - self.kept[group.name])}


def weakest(group: Group, scores: Scores, count: int) -> list[int]:
    """The channels of a group with the lowest scores."""
    return sorted(group.roots.tolist(), key=lambda root: (scores[root], root))[:count]


def plan(
    groups: Sequence[Group], cost: Cost, target: float, steps: Mapping[str, int], damages: Damages | None = None
) -> Plan:
    """How many channels to keep for a cost of at most the target, and as close to it as the steps allow.

    Where whole steps end up more than 15% below the target, halves and then quarters of them are tried.

    Args:
        groups: Of the model.
        cost: From kept channels to cost; `Counter` has some.
        target: Highest cost.
        steps: By name of a group, what the number of kept channels is a multiple of.
        damages: Measured for some counts of each group; those in between are interpolated. Without them all groups lose
            about the same share; with them none keeps less than half of what it then would, as the damage before
            training says little about bottlenecks that training cannot repair.
    """
    best: Counts | None = None
    for part in _PARTS:
        lists = [choices(len(g.roots), max(1, steps[g.name] // part), g.heads) for g in groups]
        places = _evenly(lists, cost, target)
        if damages is not None:
            lists = [[n for n in counts if n >= _LEAST * counts[at]] for counts, at in zip(lists, places, strict=True)]
            places = _sparingly(groups, lists, cost, target, damages)
        kept = _counts(lists, places)
        if best is None or abs(cost(kept) - target) < abs(cost(best) - target):
            best = kept
        if (1 - _CLOSE) * target <= cost(best) <= target:
            break
    assert best is not None
    return Plan({group.name: int(count) for group, count in zip(groups, best, strict=True)}, cost(best) <= target)


def _counts(lists: Sequence[Sequence[int]], places: Sequence[int]) -> Counts:
    return np.array([options[place] for options, place in zip(lists, places, strict=True)], np.float64)


def _evenly(lists: list[list[int]], cost: Cost, target: float) -> list[int]:
    """All groups lose channels in turn, always the one that then has lost the smallest share, until that is enough."""
    places = [0] * len(lists)
    turns = sorted(
        (1 - options[place] / options[0], group, place)
        for group, options in enumerate(lists)
        for place in range(1, len(options))
    )
    for _, group, place in turns:
        if cost(_counts(lists, places)) <= target:
            break
        places[group] = place
    return _given_back(lists, places, cost, target, [group for _, group, _ in reversed(turns)])


def _given_back(
    lists: list[list[int]], places: list[int], cost: Cost, target: float, order: Sequence[int]
) -> list[int]:
    """One step back for every group, in order, for which the target allows it."""
    places = list(places)
    for group in dict.fromkeys(order):
        if places[group]:
            places[group] -= 1
            if cost(_counts(lists, places)) > target:
                places[group] += 1
    return places


def _sparingly(
    groups: Sequence[Group], lists: list[list[int]], cost: Cost, target: float, damages: Damages
) -> list[int]:
    """The counts that do the least damage together.

    Costs of groups do not add up, as neighbours share products; so the sum of what each saves alone is allocated, and
    that budget is lowered until the true cost is low enough.
    """
    whole = _counts(lists, [0] * len(lists))
    options: dict[str, list[Option]] = {}
    for number, (group, counts) in enumerate(zip(groups, lists, strict=True)):
        loss = _interpolated(len(group.roots), damages[group.name])
        options[group.name] = []
        for count in counts:
            alone = whole.copy()
            alone[number] = count
            options[group.name].append(Option(cost(alone) - cost(whole), loss(count)))

    def places(budget: float) -> list[int]:
        found = allocate(options, budget)
        return [found[group.name] for group in groups]

    low, high = sum(min(o.cost for o in found) for found in options.values()), 0.0
    best = [len(counts) - 1 for counts in lists]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        found = places(middle)
        if cost(_counts(lists, found)) <= target:
            best, low = found, middle
        else:
            high = middle
    gains = sorted(
        range(len(groups)),
        key=lambda g: options[groups[g].name][max(0, best[g] - 1)].damage - options[groups[g].name][best[g]].damage,
    )
    return _given_back(lists, best, cost, target, gains)


def _interpolated(channels: int, measured: Mapping[int, float]) -> Callable[[int], float]:
    """Damage by number of kept channels: 0 with all of them, straight lines between measured ones and on to none."""
    points = sorted({channels: 0.0, **measured}.items())
    if len(points) > 1 and points[0][0] > 0:
        (x0, y0), (x1, y1) = points[:2]
        points.insert(0, (0, y0 + (y0 - y1) / (x1 - x0) * x0))
    xs, ys = zip(*points, strict=True)
    assert all(a < b for a, b in pairwise(xs))
    return lambda count: float(np.interp(count, xs, ys))
