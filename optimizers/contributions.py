"""What each step of a recipe bought: bytes, milliseconds, points, where it stands in the chain and on the whole.

Variants that leave out some of the steps, in the same order otherwise, span a lattice from the original to the whole
recipe. What a step adds where it stands (its *marginal* contribution) hangs on what came before it: shared values make
no file smaller until it is compressed, and zeros less so once it is in 8 bits. Its *Shapley value* is the mean over all
orders in which the steps could have been added, so nobody gains by standing first, and all of them add up to the whole.

Source: Shapley (1953), "A value for n-person games"; where some combinations cannot be, over the orders that remain:
    Faigle and Kern (1992), "The Shapley value for cooperative games under precedence constraints".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import sqrt
from typing import TYPE_CHECKING, Any

from optimizers.figures.format import bounds, cell, inside
from optimizers.findings import TEST_PART, Chart, Column, Report, Sentence, Table, Unit
from optimizers.records import Direction

if TYPE_CHECKING:
    import numpy as np

Subset = frozenset[int]
"""Numbers of the steps that a variant keeps, from 0."""
Weights = Mapping[Subset, float]
"""A contribution as a sum over variants, each times its weight."""

_MUCH = 0.05
"""Share of the whole change by which place and mean must differ for a sentence about it."""
_LITTLE = 0.01
"""Shares below are not named in sentences."""


@dataclass(frozen=True)
class Level:
    """A figure of one variant with its 95% interval; the bounds are the figure where it is exact."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Quantity:
    """One figure of all variants that are known.

    Attributes:
        name, title, unit, better: Of the figure.
        levels: By variant.
        examples: By variant what the figure is the mean of, shape (n,), on the same examples; empty where it is none.
        counted: Each of these is 1 or 0.
        note: How it was measured.
    """

    name: str
    title: str
    unit: Unit
    better: Direction
    levels: Mapping[Subset, Level]
    examples: Mapping[Subset, np.ndarray] = field(default_factory=dict)
    counted: bool = False
    note: str = ""

    @property
    def change(self) -> Unit:
        """Unit of differences."""
        return "points" if self.unit == "fraction" else self.unit

    def sum(self, weights: Weights) -> Level | None:
        """A weighted sum over variants whose weights add up to 0; None where one of them is not known.

        On common examples it is a mean of differences, example by example; otherwise the errors of the variants are
        taken as independent.

        Source: Zou and Donner (2008), "Construction of confidence limits about effect measures: a general approach".
        """
        if not weights.keys() <= self.levels.keys():
            return None
        value = sum(w * self.levels[key].value for key, w in weights.items())
        if weights.keys() <= self.examples.keys():
            from optimizers.answers import mean_difference

            found = mean_difference(sum(w * self.examples[k] for k, w in weights.items()), counted=self.counted)  # type: ignore[arg-type]
            return Level(value, found.low, found.high)
        below = above = 0.0
        for key, w in weights.items():
            level = self.levels[key]
            down, up = w * (level.value - level.low), w * (level.high - level.value)
            below, above = below + (down if w > 0 else up) ** 2, above + (up if w > 0 else down) ** 2
        return Level(value, value - sqrt(below), value + sqrt(above))


def subsets(count: int) -> list[Subset]:
    """All that can be left of that many steps, from nothing to everything."""
    return [frozenset(chosen) for size in range(count + 1) for chosen in combinations(range(count), size)]


def prefixes(count: int) -> list[Subset]:
    """The variants along the chain: without any step, with the first one, …, with all."""
    return [frozenset(range(size)) for size in range(count + 1)]


def marginal(step: int) -> Weights:
    """What a step adds to those before it."""
    return {frozenset(range(step + 1)): 1.0, frozenset(range(step)): -1.0}


def shapley(count: int, possible: Collection[Subset]) -> list[Weights] | None:
    """For each step its mean contribution over all orders whose every stop is possible; None where there is no order.

    Args:
        count: How many steps there are.
        possible: The variants that can be.
    """
    whole, stops = frozenset(range(count)), set(possible)
    to_here, from_here = {frozenset[int](): 1}, {whole: 1}
    for here in subsets(count)[1:]:
        to_here[here] = sum(to_here[here - {i}] for i in here) if here in stops else 0
    for here in reversed(subsets(count)[:-1]):
        from_here[here] = sum(from_here[here | {i}] for i in whole - here) if here in stops else 0
    orders = to_here[whole]
    if not orders or frozenset() not in stops:
        return None
    found: list[dict[Subset, float]] = [{} for _ in range(count)]
    for here in subsets(count):
        for step in whole - here:
            share = to_here[here] * from_here[here | {step}] / orders
            if share:
                weights = found[step]
                weights[here | {step}] = weights.get(here | {step}, 0.0) + share
                weights[here] = weights.get(here, 0.0) - share
    return found  # type: ignore[return-value]


def report(
    steps: Sequence[str],
    quantities: Sequence[Quantity],
    impossible: Mapping[Subset, str],
    missing: Collection[Subset],
    *,
    whole_lattice: bool,
) -> Report:
    """What each step bought.

    Args:
        steps: Short forms, in order.
        quantities: What was measured.
        impossible: Variants that cannot be, and why.
        missing: Variants that could be and are not known.
        whole_lattice: Variants beside those along the chain count too; otherwise they would be too many.
    """
    possible = [key for key in subsets(len(steps)) if key not in impossible] if whole_lattice else []
    mean = shapley(len(steps), possible) if possible else None
    tables, sentences = [], []
    for quantity in quantities:
        rows = [_row(quantity, number, name, mean) for number, name in enumerate(steps)]
        tables.append(_table(quantity, rows, mean is not None and any("shapley" in row for row in rows)))
        sentences += _sentences(quantity, rows)
    sentences += _nothing_bought(quantities, steps)
    if any(quantity.examples for quantity in quantities):
        sentences.append(TEST_PART)
    tables.append(_variants(steps, quantities, impossible, missing, whole_lattice))
    return Report(sentences=tuple(sentences + _left_out(missing, whole_lattice, len(steps))), tables=tuple(tables))


def _row(quantity: Quantity, number: int, name: str, mean: Sequence[Weights] | None) -> dict[str, Any]:
    here = quantity.levels.get(frozenset(range(number + 1)))
    row: dict[str, Any] = {"step": name, "level": here.value if here else None}
    found = {"": quantity.sum(marginal(number)), "shapley_": quantity.sum(mean[number]) if mean else None}
    for prefix, level in found.items():
        if level is not None:
            row |= {prefix + "low": level.low, prefix + "high": level.high}
            row["shapley" if prefix else "change"] = level.value
    return row


def _table(quantity: Quantity, rows: list[dict[str, Any]], mean: bool) -> Table:
    exact = all(level.low == level.high for level in quantity.levels.values()) and not quantity.examples
    start = quantity.levels[frozenset()]
    columns = [
        Column(name="step", title="Step"),
        Column(name="level", title=f"{quantity.title} then", unit=quantity.unit, better=quantity.better),
        Column(name="change", title="Added where it stands", unit=quantity.change, better=quantity.better),
        *([] if exact else _bounds(quantity, "")),
    ]
    if mean:
        columns.append(
            Column(name="shapley", title="Mean over all orders", unit=quantity.change, better=quantity.better,
                   help="Shapley value: what it adds on average over all orders of the steps; they add up to all.")
        )  # fmt: skip
        columns += [] if exact else _bounds(quantity, "shapley_")
    kept = {column.name for column in columns}
    told = [{"step": "The original", "level": start.value}, *rows]
    drawn = any(row.get("change") is not None for row in rows)
    waterfall = Chart(kind="waterfall", x="step", y=("level",), axis=quantity.title)
    bars = Chart(kind="bars", x="step", y=("change", "shapley") if mean else ("change",), low="low", high="high",
                 axis=f"Change of {inside(quantity.title)}")  # fmt: skip
    return Table(
        name=quantity.name,
        title=f"{quantity.title}: what each step does to it",
        columns=tuple(columns),
        rows=tuple({k: v for k, v in row.items() if k in kept} for row in (rows if quantity.examples else told)),
        chart=(bars if quantity.examples else waterfall) if drawn else None,
        note=quantity.note,
    )


def _bounds(quantity: Quantity, prefix: str) -> list[Column]:
    start = "mean, " if prefix else ""
    return [
        Column(name=prefix + name, title=start + title, unit=quantity.change)
        for name, title in (("low", "from"), ("high", "to"))
    ]


def _sentences(quantity: Quantity, rows: list[dict[str, Any]]) -> list[Sentence]:
    """Who bought how much of it, and where place in the chain hides what a step does."""
    first, last = quantity.levels[frozenset()], quantity.levels.get(frozenset(range(len(rows))))
    mean = all("shapley" in row for row in rows)
    measure, prefix = ("shapley", "shapley_") if mean else ("change", "")
    if last is None or last.value == first.value or any(row.get(measure) is None for row in rows):
        return []
    whole = last.value - first.value
    worse = (whole > 0) == (quantity.better == "lower")
    ordered = sorted(rows, key=lambda row: row[measure] / whole, reverse=True)
    most, found = ordered[0], []
    text = f"{quantity.title} goes from {cell(first.value, quantity.unit)} to {cell(last.value, quantity.unit)}"
    if quantity.examples or any(row[measure] / whole < -_MUCH for row in rows):
        around = bounds(most[prefix + "low"], most[prefix + "high"], quantity.change)
        proven = not most[prefix + "low"] <= 0 <= most[prefix + "high"]
        text += (
            f" ({_told(quantity, whole)}), most of it by {most['step']}: {_told(quantity, most[measure])} ({around})."
        )
        advice = "" if proven else "No step's share of that is proven."
        found.append(Sentence(text=text, advice=advice, tone="warning" if worse and proven else "plain"))
    else:
        shares = [f"{row['step']} {row[measure] / whole:.0%}" for row in ordered if row[measure] / whole > _LITTLE]
        shares[0] = shares[0].replace(" ", " bought ")
        how = " on average over all orders of the steps" if mean else ", each where it stands"
        text += f". {', '.join(shares)} of that{how}."
        found.append(Sentence(text=text, tone="warning" if worse else "good"))
    apart = max(rows, key=lambda row: abs((row.get("change") or 0.0) - row[measure]))
    if (
        mean
        and not quantity.examples
        and apart.get("change") is not None
        and abs(apart["change"] - apart["shapley"]) > _MUCH * abs(whole)
    ):
        where = f"Where it stands {apart['step']} adds {_told(quantity, apart['change'])}, on average over all orders "
        advice = "What a step does depends on the others: the earlier one takes what either could have taken."
        found.append(Sentence(text=f"{where}{_told(quantity, apart['shapley'])}.", advice=advice))
    return found


def _told(quantity: Quantity, value: float) -> str:
    if quantity.change == "points":
        return cell(value, "points")
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{cell(abs(value), quantity.unit)}"


def _nothing_bought(quantities: Sequence[Quantity], steps: Sequence[str]) -> list[Sentence]:
    """Steps without which the whole recipe would be no worse in anything that was measured."""
    whole, found = frozenset(range(len(steps))), []
    for number, name in enumerate(steps):
        weights = {whole: 1.0, whole - {number}: -1.0}
        sums = [(q, q.sum(weights)) for q in quantities]
        if any(level is None for _, level in sums) or not sums:
            continue
        helps = [
            q for q, level in sums
            if level is not None and (level.high < 0 if q.better == "lower" else level.low > 0)
        ]  # fmt: skip
        if not helps:
            found.append(
                Sentence(
                    text=f"Without {name} the result would not be measurably worse in anything.",
                    advice="Leave it out, or make it stronger.",
                    tone="warning",
                )
            )
    return found


def _left_out(missing: Collection[Subset], whole_lattice: bool, count: int) -> list[Sentence]:
    found = []
    if not whole_lattice:
        text = f"With {count} steps there are {2**count} variants, so only those along the chain are looked at."
        found.append(Sentence(text=text))
    if missing:
        variants = "variant has" if len(missing) == 1 else "variants have"
        found.append(
            Sentence(
                text=f"{len(missing)} {variants} not been run, so some contributions are not known.",
                advice="Run them: what they share with others is not computed again.",
            )
        )
    return found


def _variants(
    steps: Sequence[str],
    quantities: Sequence[Quantity],
    impossible: Mapping[Subset, str],
    missing: Collection[Subset],
    whole_lattice: bool,
) -> Table:
    rows = []
    for key in subsets(len(steps)) if whole_lattice else prefixes(len(steps)):
        row: dict[str, Any] = {"variant": "+".join(steps[i] for i in sorted(key)) or "the original"}
        row |= {q.name: q.levels[key].value for q in quantities if key in q.levels}
        row["why"] = impossible.get(key) or ("not run yet" if key in missing else None)
        rows.append(row)
    return Table(
        name="variants",
        title="All variants that this rests on",
        columns=(
            Column(name="variant", title="Variant"),
            *(Column(name=q.name, title=q.title, unit=q.unit, better=q.better) for q in quantities),
            Column(name="why", title="Not known because"),
        ),
        rows=tuple(rows),
    )
