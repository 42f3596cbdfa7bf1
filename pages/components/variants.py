"""From toggled techniques to the recipes that will run. Pure: no Streamlit, so that every case can be tested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optimizers import grid, registry
from optimizers.declarations import Technique
from optimizers.errors import ParetoscopeError
from optimizers.grid import Grid, identity, parse_grid
from optimizers.presets import PRESETS
from optimizers.recipe import Recipe, check, parse, warnings
from optimizers.records import LayerRow
from optimizers.short_form import Written

_ORDER = {"distillation": 0, "decomposition": 2, "pruning": 3, "clustering": 4, "quantization": 5}
_OTHER = 6


@dataclass(frozen=True)
class Variant:
    """One line of what will run: a recipe, or a grid whose settings take several values.

    ``problem`` says why it cannot run; ``warnings`` do not keep it from running. ``recipes`` are the recipes behind it
    in their short form.
    """

    text: str
    problem: str = ""
    warnings: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()


def sensible_order(techniques: Iterable[Technique]) -> list[str]:
    """Names in the order in which the techniques keep each other's effects: what changes the architecture comes first,
    what converts comes last."""

    def rank(technique: Technique) -> tuple[int, str]:
        if technique.produces == "tflite":
            return 9, technique.name
        if technique.produces == "keras_qat":
            return 8, technique.name
        if "structure" in technique.provides and technique.family == "pruning":
            return 1, technique.name
        return _ORDER.get(technique.family, _OTHER), technique.name

    return [technique.name for technique in sorted(techniques, key=rank)]


def variant(steps: Sequence[Written]) -> Variant:
    """What these steps amount to, checked: one recipe, or all of a grid's."""
    written = Grid(tuple(steps))
    try:
        recipes = written.recipes()
        for recipe in recipes:
            check(recipe.complete())
    except ParetoscopeError as error:
        return Variant(written.text, error.message)
    text = recipes[0].text if written.count == 1 else written.text
    found = dict.fromkeys(sentence for recipe in recipes for sentence in warnings(recipe.complete()))
    return Variant(text, "", tuple(found), tuple(recipe.text for recipe in recipes))


def from_text(text: str) -> Variant:
    """A typed recipe or grid, checked; its text is the canonical short form."""
    try:
        if text.strip().endswith(".json"):
            return Variant(text, "Write the steps themselves here; files are for the command line.")
        return variant(parse_grid(text).steps)
    except ParetoscopeError as error:
        return Variant(text, error.message)


def proposals(steps: Sequence[Written], *, each: bool, combined: bool, left_out: bool = False) -> list[Variant]:
    """What the toggled techniques amount to.

    Args:
        steps: The toggled techniques in order.
        each: One variant per technique on its own.
        combined: One variant of all of them. Several conversions cannot share a recipe, since each ends in a file: then
            there is one combination per conversion, provided that they all stand at the end.
        left_out: One variant for each step that the combination can do without, if three or more are combined: what is
            left of two is each on its own.
    """
    found = [variant([step]) for step in steps] if each or len(steps) == 1 else []
    chains = _chains(steps) if len(steps) > 1 else []
    if combined:
        found += [variant(chain) for chain in chains]
    if left_out:
        rest = [variant([*c[:place], *c[place + 1 :]]) for c in chains if len(c) > 2 for place in range(len(c))]
        found += [one for one in rest if not one.problem]
    return without_repetitions(found)


def _chains(steps: Sequence[Written]) -> list[list[Written]]:
    conversions = [step for step in steps if _converts(step)]
    before = list(steps[: len(steps) - len(conversions)])
    if len(conversions) < 2 or any(_converts(step) for step in before):
        return [list(steps)]
    return [[*before, conversion] for conversion in conversions]


def _converts(step: Written) -> bool:
    return registry.technique(step[0]).produces == "tflite"


def without_repetitions(variants: Iterable[Variant]) -> list[Variant]:
    """The variants without those that only do what earlier ones do, in order."""
    found, done = {}, set[tuple[str, ...]]()
    for one in variants:
        own = {identity(parse(text)) for text in one.recipes}
        if one.text not in found and (one.problem or not own <= done):
            found[one.text] = one
            done |= own
    return list(found.values())


def recipes_of(variants: Iterable[Variant]) -> tuple[Recipe, ...]:
    """All recipes of variants that can run, each once."""
    return grid.without_repetitions(parse(text) for one in variants for text in one.recipes)


def presets(layers: Sequence[LayerRow]) -> dict[str, str]:
    """The presets that this installation can run: their titles and their recipes for a model with these layers."""
    known = {preset.title: preset.of(layers) for preset in PRESETS.values()}
    return {title: recipe for title, recipe in known.items() if not from_text(recipe).problem}


def editable(text: str) -> tuple[Written, ...]:
    """The steps of a recipe or grid that toggles can show, or none: a toggle stands for a technique used once."""
    steps = parse_grid(text).steps
    return steps if len({name for name, _ in steps}) == len(steps) else ()
