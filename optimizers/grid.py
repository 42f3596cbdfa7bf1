"""Many recipes at once: settings over several values, chains with steps left out, and repeats over seeds.

A grid is written like a recipe in which settings may have several values:
``magnitude_pruning(target_sparsity=[0.5, 0.7, 0.9])+int8``. Every combination is one recipe.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product, zip_longest
from math import prod
from typing import Any, Literal, NamedTuple, get_args

from optimizers import registry, short_form
from optimizers.errors import InvalidParameter, InvalidRecipe, ParetoscopeError
from optimizers.forecast import Forecast
from optimizers.params import ParamField, fields
from optimizers.recipe import Recipe, Step, check, written
from optimizers.short_form import Span, Written

MOST_RUNS = 100
"""Most recipes of one grid, and most runs that pages start at once."""

Ablation = Literal["left-out", "alone", "both"]
"""Which shorter chains are run too: each step left out, each step alone."""
ABLATIONS: tuple[Ablation, ...] = get_args(Ablation)


class Varied(NamedTuple):
    """A setting that takes several values: of which step (the first is 0), and as what."""

    step: int
    technique: str
    setting: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Grid:
    """Steps as they were written, in which values may be lists or spans."""

    steps: tuple[Written, ...]

    @property
    def text(self) -> str:
        """Short form; `parse_grid` reads it back to an equal grid."""
        return "+".join(short_form.write(name, given) for name, given in self.steps)

    @property
    def varied(self) -> tuple[Varied, ...]:
        """The settings that take several values, in order.

        Raises:
            UnknownName, InvalidParameter: There is no such technique or setting, or a list is empty.
        """
        found = []
        for number, (name, given) in enumerate(self.steps):
            declared = {f.name: f for f in fields(registry.technique(name).params)}
            for setting, said in given.items():
                if isinstance(said, Span | list | tuple):
                    values = _values(name, setting, said, declared.get(setting))
                    found.append(Varied(number, name, setting, values))
        return tuple(found)

    @property
    def count(self) -> int:
        """How many recipes it has at most; some may turn out to be the same."""
        return prod(len(each.values) for each in self.varied)

    def recipes(self) -> tuple[Recipe, ...]:
        """Every combination of values as a checked recipe, the last setting varying fastest, each recipe once.

        Raises:
            InvalidRecipe: The steps cannot follow one another, or there are more than ``MOST_RUNS`` combinations.
            UnknownName, InvalidParameter: A step or one of its values is wrong.
        """
        varied = self.varied
        if self.count > MOST_RUNS:
            raise InvalidRecipe(f"These values make {self.count:,} recipes; at most {MOST_RUNS} are allowed.")
        found = []
        for values in product(*(each.values for each in varied)):
            steps = [(name, dict(given)) for name, given in self.steps]
            for (number, _, setting, _), value in zip(varied, values, strict=True):
                steps[number][1][setting] = value
            recipe = Recipe(tuple(Step.of(name, **given) for name, given in steps))
            check(recipe)
            found.append(recipe)
        return without_repetitions(found)


def _values(technique: str, setting: str, said: Any, field: ParamField | None) -> tuple[Any, ...]:
    values = said.values if isinstance(said, Span) else tuple(said)
    if not values:
        raise InvalidParameter(f"{technique}.{setting} has an empty list; name at least one value.")
    if isinstance(said, Span) and field is not None and field.kind == "int":
        values = tuple(round(value) for value in values)  # a span of whole numbers need not divide evenly
    return tuple(dict.fromkeys(values))


def parse_grid(text: str) -> Grid:
    """A grid from what `optimizers.recipe.parse` reads; its values are looked at when its recipes are made."""
    return Grid(tuple(written(text)))


def recipes_of(text: str) -> tuple[Recipe, ...]:
    """All recipes of a grid, or the one recipe that is written. Raises as `Grid.recipes` and `parse_grid`."""
    return parse_grid(text).recipes()


def ablations(recipe: Recipe, which: Ablation) -> tuple[Recipe, ...]:
    """A chain, then what is left of it without one step, and single steps.

    What cannot stand like that (a step that needs another one before it) is left out, and so is a chain of one step.
    """
    steps, found = recipe.steps, [recipe]
    if which in ("left-out", "both"):
        found += [Recipe((*steps[:place], *steps[place + 1 :])) for place in range(len(steps))]
    if which in ("alone", "both"):
        found += [Recipe((step,)) for step in steps]
    return without_repetitions(one for one in found if one is recipe or _stands(one))


def _stands(recipe: Recipe) -> bool:
    try:
        check(recipe)
        check(recipe.complete())
    except ParetoscopeError:
        return False
    return True


def identity(recipe: Recipe) -> tuple[str, ...]:
    """What a recipe does step by step, whether or not a default was written out."""
    return tuple(f"{step.technique.name}{step.params.model_dump(mode='json')}" for step in recipe.complete().steps)


def without_repetitions(recipes: Iterable[Recipe]) -> tuple[Recipe, ...]:
    """The recipes without those that do the same as an earlier one, in order."""
    first: dict[tuple[str, ...], Recipe] = {}
    for recipe in recipes:
        first.setdefault(identity(recipe), recipe)
    return tuple(first.values())


class Trial(NamedTuple):
    """A recipe with the seed of everything random in it."""

    recipe: Recipe
    seed: int


def trials(recipes: Sequence[Recipe], seeds: Sequence[int]) -> list[Trial]:
    """What is to be run: all recipes with the first seed, then with the next one. A recipe in which nothing is random
    is run once."""
    return [
        Trial(recipe, seed)
        for place, seed in enumerate(dict.fromkeys(seeds))
        for recipe in recipes
        if place == 0 or recipe.seeded
    ]


def apart(planned: Sequence[Trial]) -> list[int]:
    """Places of runs in an order in which those that share a step are far from each other.

    Runs that work at the same time would otherwise wait for the step that one of them is computing, as those of a grid
    do, whose last setting varies fastest.
    """
    chains = [[(name, seed) for name in identity(recipe)] for recipe, seed in planned]
    return _dealt(range(len(chains)), chains, 0)


def _dealt(places: Iterable[int], chains: Sequence[Sequence[Hashable]], depth: int) -> list[int]:
    """The places by their steps at a depth, one of each in turn, and in the same way further down."""
    ended: list[int] = []
    groups: dict[Hashable, list[int]] = {}
    for place in places:
        if depth < len(chains[place]):
            groups.setdefault(chains[place][depth], []).append(place)
        else:
            ended.append(place)
    turns = zip_longest(*(_dealt(group, chains, depth + 1) for group in groups.values()))
    return ended + [place for turn in turns for place in turn if place is not None]


class Expected(NamedTuple):
    """How long many runs take together, in seconds: with steps that they share computed once, and what all of them
    would take one by one. ``unknown`` counts the runs that nothing is known about yet."""

    seconds: float
    one_by_one: float
    unknown: int


def expected(planned: Sequence[Trial], forecasts: Mapping[str, Forecast], workers: int, timing: float) -> Expected:
    """How long runs take that nobody has computed before.

    Args:
        planned: The runs.
        forecasts: By a recipe's text, with the seconds of each step; recipes that are missing are counted.
        workers: How many runs work at the same time.
        timing: Seconds that measuring takes after each run, one run at a time.
    """
    stages: dict[tuple[Any, ...], float] = {}
    longest, alone, known = 0.0, 0.0, 0
    for recipe, seed in planned:
        forecast = forecasts.get(recipe.text)
        if forecast is None or forecast.seconds is None:
            continue
        known += 1
        names, chance, seconds = identity(recipe), False, forecast.step_seconds
        for number, (step, taken) in enumerate(zip(recipe.complete().steps, seconds, strict=True), start=1):
            chance = chance or step.technique.seeded
            stages[(*names[:number], seed if chance else None)] = taken
        longest, alone = max(longest, sum(seconds)), alone + sum(seconds) + timing
    work = max(longest, sum(stages.values()) / max(1, min(workers, known)))
    return Expected(work + known * timing, alone, len(planned) - known)
