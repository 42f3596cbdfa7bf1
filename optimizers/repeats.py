"""What repeats over seeds tell: mean and spread of each variant, and a ranking that separates only what the seeds do.

Pure statistics on numbers. One seed gives one value of each variant; seeds are a sample of the chance in training. The
test examples are the same for all, so nothing here speaks about other examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf, sqrt
from typing import Literal

import numpy as np

_MOST_NAMED = 4
LEVEL = 0.05
"""Probability that a ranking separates any two variants that are truly alike."""


@dataclass(frozen=True)
class Repeats:
    """Values of one figure of one variant by seed.

    ``chance`` tells whether another seed can give another value; where not, the one value holds for every seed.
    ``bounds`` are the least and the largest value that there can be.
    """

    name: str
    by_seed: Mapping[int, float]
    chance: bool = True
    bounds: tuple[float, float] = (-inf, inf)

    @property
    def values(self) -> tuple[float, ...]:
        """In order of seed; a single one where chance plays no part."""
        found = tuple(self.by_seed[seed] for seed in sorted(self.by_seed))
        return found if self.chance else found[:1]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds (n - 1); None where it cannot be known."""
        return float(np.std(self.values, ddof=1)) if self.n > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95% interval of the mean over all seeds; None with less than two seeds, or where all agree, from
        which no spread can be told."""
        if not self.deviation:
            return None
        half = _quantile(self.n - 1) * self.deviation / sqrt(self.n)
        return max(self.mean - half, self.bounds[0]), min(self.mean + half, self.bounds[1])


How = Literal["paired", "unpaired", "exact", "fixed", "single"]


@dataclass(frozen=True)
class Pair:
    """How two variants compare.

    Attributes:
        one, other: Their names.
        difference: Mean of one minus mean of the other, over the shared seeds where they are paired.
        how: ``paired`` by seed; ``unpaired`` where they have too few seeds in common (Welch); ``exact`` for figures
            without any chance; ``fixed`` where chance plays no part in either, and ``single`` where one of them has a
            single seed: seeds can say nothing about these two.
        seeds: How many seeds the test rests on, of the variant with fewer of them.
        low, high: 95% interval of the difference by itself; None where there is no test.
        p: Two-sided, by itself; None where there is no test.
        adjusted: After Holm over all tested pairs.
    """

    one: str
    other: str
    difference: float
    how: How
    seeds: int
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted: float | None = None

    @property
    def separated(self) -> bool:
        if self.how == "exact":
            return self.difference != 0
        return self.adjusted is not None and self.adjusted < LEVEL


@dataclass(frozen=True)
class Place:
    """A variant with the places it may have: as many as are surely better stand before it."""

    repeats: Repeats
    first: int
    last: int
    alike: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """Variants, best mean first, and every pair of them."""

    places: tuple[Place, ...]
    pairs: tuple[Pair, ...]

    @property
    def seeds(self) -> int:
        """Fewest seeds of a variant in which chance plays a part and that has several; 0 if there is none."""
        return min((p.repeats.n for p in self.places if p.repeats.n > 1), default=0)

    @property
    def sentence(self) -> str:
        """What may be said about who is best."""
        first = [place.repeats for place in self.places if place.first == 1]
        leading = [variant.name for variant in first]
        if not self.seeds or len(self.places) < 2:
            return ""
        if len({variant.chance for variant in first}) > 1:  # of what no seed changes, only the one that is ahead
            ahead = next(variant.mean for variant in first if not variant.chance)
            leading = [variant.name for variant in first if variant.chance or variant.mean == ahead]
        if len(leading) == 1:
            return f"{leading[0]} is best: separated from every other one by {self.seeds} seeds."
        names = f"{', '.join(leading[:-1])} and {leading[-1]}"
        if len(leading) > _MOST_NAMED:
            names = f"{', '.join(leading[:_MOST_NAMED])} and {len(leading) - _MOST_NAMED} more"
        between = {pair.how for pair in self.pairs if pair.one in leading and pair.other in leading}
        if between == {"fixed"}:
            return f"Nothing in {names} depends on a seed, so seeds cannot separate them; their test examples may."
        if between == {"exact"}:
            return f"The same in all: {names}." if len(leading) == len(self.places) else f"Equally good: {names}."
        told = f"Not separated by {self.seeds} seeds: {names}; each of them may be the best."
        if not (steady := len(first) - len(leading)):
            return told
        return f"{told} {steady} more that no seed changes {'is' if steady == 1 else 'are'} behind one of these."


def ranking(variants: Sequence[Repeats], *, lower_is_better: bool, exact: bool = False, grain: float = 0.0) -> Ranking:
    """The variants in order of their means, with the places that the seeds leave open.

    Two variants are compared seed by seed (a t test of the differences) and separated if Holm's procedure over all
    pairs says so; so in at most one ranking of twenty any two that are truly alike are separated. A variant's place
    is at least one more than the number of those that are surely better, and at most the number of those that are not
    surely worse; these places hold for all variants together.

    Args:
        variants: With names that differ.
        lower_is_better: Direction of the figure.
        exact: The figure is counted in a file: where it is the same for every seed, that is no coincidence.
        grain: Smallest step of the figure, such as one test example. A spread below it is not believed: values of a
            few seeds may agree just because the figure is coarse.

    Sources: Holm (1979), "A simple sequentially rejective multiple test procedure"; Al Mohamad, Goeman and van Zwet
        (2022), "Simultaneous confidence intervals for ranks with application to ranking institutions".
    """
    pairs = _holm([compare(one, other, exact=exact, grain=grain) for one, other in combinations(variants, 2)])
    sign = 1 if lower_is_better else -1
    better: dict[str, set[str]] = {v.name: set() for v in variants}
    alike: dict[str, list[str]] = {v.name: [] for v in variants}
    for pair in pairs:
        if pair.separated:
            winner, loser = (pair.one, pair.other) if sign * pair.difference < 0 else (pair.other, pair.one)
            better[loser].add(winner)
        else:
            alike[pair.one].append(pair.other)
            alike[pair.other].append(pair.one)
    worse = {v.name: sum(v.name in others for others in better.values()) for v in variants}
    ordered = sorted(variants, key=lambda v: sign * v.mean)
    places = (Place(v, 1 + len(better[v.name]), len(variants) - worse[v.name], tuple(alike[v.name])) for v in ordered)
    return Ranking(tuple(places), tuple(pairs))


def compare(one: Repeats, other: Repeats, *, exact: bool = False, grain: float = 0.0) -> Pair:
    """Two variants over their seeds, before anything is done about there being many pairs; see `ranking`."""
    difference = one.mean - other.mean
    varied = [v for v in (one, other) if v.chance]
    if not varied:
        return Pair(one.name, other.name, difference, "exact" if exact else "fixed", 0)
    few = min(v.n for v in varied)
    if few < 2:
        return Pair(one.name, other.name, difference, "single", few)
    shared = sorted(set(one.by_seed) & set(other.by_seed))
    if len(varied) == 1:  # the other one's value holds for every seed
        sign, steady = (1, other) if one.chance else (-1, one)
        return _paired(one, other, [sign * (value - steady.mean) for value in varied[0].values], exact, grain)
    if len(shared) >= min(3, few):
        return _paired(one, other, [one.by_seed[s] - other.by_seed[s] for s in shared], exact, grain)
    return _unpaired(one, other, exact, grain)


def _paired(one: Repeats, other: Repeats, differences: Sequence[float], exact: bool, grain: float) -> Pair:
    n, spread = len(differences), max(float(np.std(differences, ddof=1)), grain)
    error = spread / sqrt(n)
    return _tested(one, other, float(np.mean(differences)), error, n - 1, "paired", n, exact)


def _unpaired(one: Repeats, other: Repeats, exact: bool, grain: float) -> Pair:
    parts = [max(v.deviation or 0.0, grain) ** 2 / v.n for v in (one, other)]
    error = sqrt(sum(parts))
    squares = sum(part**2 / (v.n - 1) for part, v in zip(parts, (one, other), strict=True))
    freedom = sum(parts) ** 2 / squares if squares else min(one.n, other.n) - 1
    return _tested(one, other, one.mean - other.mean, error, freedom, "unpaired", min(one.n, other.n), exact)


def _tested(
    one: Repeats, other: Repeats, difference: float, error: float, freedom: float, how: How, n: int, exact: bool
) -> Pair:
    from scipy.special import stdtr

    tiny = error <= 1e-12 * max(abs(one.mean), abs(other.mean))
    if tiny and exact:
        return Pair(one.name, other.name, difference, "exact", n)
    if tiny:  # without any spread there is nothing to test with
        return Pair(one.name, other.name, difference, how, n, p=1.0)
    half = _quantile(freedom) * error
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    return Pair(one.name, other.name, difference, how, n, difference - half, difference + half, p)


def _holm(pairs: Sequence[Pair]) -> list[Pair]:
    tested = sorted((pair.p, place) for place, pair in enumerate(pairs) if pair.p is not None)
    found, highest = list(pairs), 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        values = {**vars(pairs[place]), "adjusted": highest}
        found[place] = Pair(**values)
    return found


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - LEVEL / 2))
