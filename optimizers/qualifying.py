"""Which files keep their limits: each judged with the uncertainty of its figures, the best that does, the nearest miss.

A limit is *met* where the whole interval of the figure lies on the right side of the bound, *not met* where none of it
does, and otherwise *within the uncertainty*: the measurement cannot tell. For differences to the baseline on the same
examples the interval is that of `optimizers.certification`, so a limit is met exactly where such a budget is certified.

What is judged are rows as `optimizers.history.frames.comparison` has them; any mapping with the columns ``metric``,
``metric_low``, ``metric_high``, ``metric_change`` and, where known, ``metric_change_floor`` and
``metric_change_ceiling`` will do, so a search can ask about what it measured on validation data.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, log2
from typing import Any, Literal

import pandas as pd

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.history.frames import headline
from optimizers.limits import Limit

State = Literal["met", "within the uncertainty", "not met", "not measured"]
STATES: tuple[State, ...] = ("met", "within the uncertainty", "not met", "not measured")
"""From good to bad: of several limits the worst state counts."""

_POINTS_OF_A_DOUBLING = 0.10
"""A share that is ten points off misses its limit by as much as a size that is twice too large."""


@dataclass(frozen=True)
class Quantity:
    """What a limit bounds, with its 95% interval; ``low`` and ``high`` are the value itself where it is exact."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """Whether one file keeps one limit.

    Attributes:
        limit: The limit.
        state: How it is kept.
        quantity: What was bounded, None where it was not measured.
        margin: Room that is left between the figure and the bound, in the limit's unit; below 0 what is missing. None
            where nothing was measured.
        shortfall: How far the bad end of the interval is on the wrong side, the same measure for all metrics: 1 is a
            factor of two, or ten points. 0 where the limit is met, infinite where nothing was measured.
    """

    limit: Limit
    state: State
    quantity: Quantity | None
    margin: float | None
    shortfall: float

    @property
    def sentence(self) -> str:
        """Like ``File size 120 KB, at most 100 KB: 20 KB too much``."""
        title = self.limit.declared.title
        if self.quantity is None or self.margin is None:
            return f"{title} {fmt.NOT_MEASURED}, so {self.limit.words} cannot be judged"
        found = _told(self.limit, self.quantity.value)
        if self.state == "within the uncertainty":
            ends = [_told(self.limit, end) for end in (self.quantity.low, self.quantity.high)]
            return f"{title} {found}, but anything from {ends[0]} to {ends[1]} fits what was measured"
        if self.state == "met":
            return f"{title} {found}, {self.limit.gap(abs(self.margin))} to spare"
        much = "too much" if self.limit.side == "most" else "too little"
        return f"{title} {found}, {self.limit.gap(abs(self.margin))} {much}"


@dataclass(frozen=True)
class Judged:
    """One file and all limits, in their order. Without limits every file qualifies."""

    verdicts: tuple[Verdict, ...] = ()

    @property
    def state(self) -> State:
        """The worst of the verdicts."""
        return max((v.state for v in self.verdicts), key=STATES.index, default="met")

    @property
    def qualifies(self) -> bool:
        """Whether every limit is met, beyond the uncertainty."""
        return self.state == "met"

    @property
    def missing(self) -> tuple[Verdict, ...]:
        """The limits that are not met for sure."""
        return tuple(v for v in self.verdicts if v.state != "met")

    @property
    def distance(self) -> tuple[int, float]:
        """How far it is from qualifying: the worst state first, then the sum of what is missing."""
        return STATES.index(self.state), sum(v.shortfall for v in self.verdicts)


@dataclass(frozen=True)
class Judgement:
    """All files of a comparison.

    Attributes:
        files: By the frame's index.
        best: Index of the best of those that qualify; None where none does.
        nearest: Index of the file that comes nearest; None where one qualifies, or there are no files.
    """

    files: Mapping[Hashable, Judged]
    best: Hashable | None = None
    nearest: Hashable | None = None

    @property
    def qualifying(self) -> tuple[Hashable, ...]:
        return tuple(place for place, judged in self.files.items() if judged.qualifies)


def judge(frame: pd.DataFrame, limits: Sequence[Limit], by: str = "") -> Judgement:
    """Every file of a comparison against the limits.

    Args:
        frame: A comparison, baselines included; they are judged like all others.
        limits: None at all is met by every file.
        by: Metric that makes the best of those that qualify; what leads the comparison unless named. Of equals the
            smaller one is better.
    """
    records = dict(zip(frame.index, frame.to_dict("records"), strict=True))
    baselines = {(r["model"], r["dataset"]): r for r in records.values() if r["is_baseline"]}
    files = {
        place: judge_row(row, limits, baselines.get((row["model"], row["dataset"]))) for place, row in records.items()
    }
    goal = by or headline(frame) or "size_bytes"
    good = [
        place for place, judged in files.items() if judged.qualifies and _number(records[place].get(goal)) is not None
    ]
    if good:
        return Judgement(files, best=min(good, key=lambda place: _rank(records[place], goal)))
    if any(judged.qualifies for judged in files.values()):
        return Judgement(files)
    nearest = min(files, key=lambda p: (*files[p].distance, _rank(records[p], goal)), default=None)
    return Judgement(files, nearest=nearest)


def together(judgement: Judgement, groups: Mapping[Hashable, Sequence[Hashable]]) -> Judgement:
    """A judgement of groups of files: a limit is kept as all of them keep it, else *within the uncertainty*.

    Args:
        judgement: Of the files.
        groups: By the place that stands for them, the places of the files.
    """
    files = {}
    for first, places in groups.items():
        members = [judgement.files[place] for place in places]
        verdicts = []
        for own, *others in zip(*(judged.verdicts for judged in members), strict=True):
            alike = all(other.state == own.state for other in others)
            verdicts.append(own if alike else replace(own, state="within the uncertainty"))
        files[first] = Judged(tuple(verdicts))
    held = {place: first for first, places in groups.items() for place in places}
    best, nearest = (held.get(place) if place is not None else None for place in (judgement.best, judgement.nearest))
    return Judgement(files, best, nearest)


def judge_row(row: Mapping[str, Any], limits: Sequence[Limit], baseline: Mapping[str, Any] | None = None) -> Judged:
    """One file against the limits; the row of its baseline tells how sure the baseline's own figures are."""
    return Judged(tuple(_verdict(limit, quantity(limit, row, baseline)) for limit in limits))


def quantity(limit: Limit, row: Mapping[str, Any], baseline: Mapping[str, Any] | None = None) -> Quantity | None:
    """What a limit bounds, from a row of a comparison; None where it was not measured."""
    name, is_baseline = limit.metric, bool(row.get("is_baseline"))
    if limit.kind == "ratio" and name == "latency_ms":  # only what was timed in turn is compared
        speed = quantity(Limit("speedup", "value", "least", 1.0), row)
        return Quantity(1 / speed.value, 1 / speed.high, 1 / speed.low) if speed is not None else None
    if name == "speedup" and is_baseline:
        return _exact(1.0)
    value = _number(row.get(name))
    if value is None:
        return None
    own = Quantity(value, _or(row.get(f"{name}_low"), value), _or(row.get(f"{name}_high"), value))
    if limit.kind == "value":
        return own
    if is_baseline:
        return _exact(1.0 if limit.kind == "ratio" else 0.0)
    change = _number(row.get(f"{name}_change"))
    if change is None:
        return None
    compared = registry.metric(name).needs == "predictions"
    base = value - change if compared else value / (1 + change)
    floor, ceiling = _number(row.get(f"{name}_change_floor")), _number(row.get(f"{name}_change_ceiling"))
    if floor is not None and ceiling is not None:
        difference = Quantity(change, floor, ceiling)
        return difference if limit.kind == "difference" else _scaled(difference, base)
    around = baseline or {}
    low, high = _or(around.get(f"{name}_low"), base), _or(around.get(f"{name}_high"), base)
    if limit.kind == "difference":
        return Quantity(value - base, own.low - high, own.high - low)
    if low <= 0 or own.low < 0:
        return None  # a multiple of nothing says nothing
    return Quantity(value / base, own.low / high, own.high / low)


def _scaled(difference: Quantity, base: float) -> Quantity | None:
    """Differences as multiples of the baseline's figure."""
    if base <= 0:
        return None
    return Quantity(*(1 + part / base for part in (difference.value, difference.low, difference.high)))


def _verdict(limit: Limit, found: Quantity | None) -> Verdict:
    if found is None:
        return Verdict(limit, "not measured", None, None, inf)
    most = limit.side == "most"
    good, bad = (found.low, found.high) if most else (found.high, found.low)
    margin = limit.bound - found.value if most else found.value - limit.bound
    over = bad - limit.bound if most else limit.bound - bad
    under = good - limit.bound if most else limit.bound - good
    if over <= 0:
        return Verdict(limit, "met", found, margin, 0.0)
    state: State = "not met" if under > 0 else "within the uncertainty"
    return Verdict(limit, state, found, margin, _shortfall(limit, bad, over))


def _shortfall(limit: Limit, bad: float, over: float) -> float:
    if limit.declared.unit == "fraction" and limit.kind != "ratio":
        return over / _POINTS_OF_A_DOUBLING
    if bad > 0 and limit.bound > 0:
        return abs(log2(bad / limit.bound))
    return over / max(abs(limit.bound), abs(bad))


def _rank(row: Mapping[str, Any], goal: str) -> tuple[float, float]:
    sign = 1.0 if registry.metric(goal).direction == "lower" else -1.0
    value = _number(row.get(goal))
    return inf if value is None else sign * value, _or(row.get("size_bytes"), inf)


def _told(limit: Limit, value: float) -> str:
    """A quantity with its unit, and with its sign where it is a difference."""
    sign = ("+" if value > 0 else "−" if value < 0 else "±") if limit.kind == "difference" else ""
    return f"{sign}{limit.amount(abs(value) if sign else value)}"


def _exact(value: float) -> Quantity:
    return Quantity(value, value, value)


def _number(value: Any) -> float | None:
    return None if value is None or not isfinite(value) else float(value)


def _or(value: Any, other: float) -> float:
    number = _number(value)
    return other if number is None else number
