"""From toggled techniques to the recipes that will run. Pure: no Streamlit, so that every case can be tested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optimizers.declarations import Technique
from optimizers.errors import ParetoscopeError
from optimizers.presets import PRESETS
from optimizers.recipe import Recipe, Step, check, parse, warnings

_ORDER = {"distillation": 0, "decomposition": 2, "pruning": 3, "clustering": 4, "quantization": 5}
_OTHER = 6


@dataclass(frozen=True)
class Variant:
    """One recipe that will run, or cannot: then ``problem`` says why. ``warnings`` do not keep it from running."""

    text: str
    problem: str = ""
    warnings: tuple[str, ...] = ()


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


def variant(steps: Sequence[Step]) -> Variant:
    """The recipe of these steps, checked."""
    recipe = Recipe(tuple(steps))
    try:
        check(recipe)
        check(recipe.complete())
    except ParetoscopeError as error:
        return Variant(recipe.text, error.message)
    return Variant(recipe.text, "", tuple(warnings(recipe.complete())))


def from_text(text: str) -> Variant:
    """A typed recipe, checked; its text is the canonical short form."""
    try:
        if text.strip().endswith(".json"):
            return Variant(text, "Write the steps themselves here; files are for the command line.")
        return variant(parse(text).steps)
    except ParetoscopeError as error:
        return Variant(text, error.message)


def proposals(steps: Sequence[Step], *, each: bool, combined: bool) -> list[Variant]:
    """What the toggled techniques amount to.

    Args:
        steps: The toggled techniques in order.
        each: One variant per technique on its own.
        combined: One variant of all of them. Several conversions cannot share a recipe, since each ends in a file: then
            there is one combination per conversion, provided that they all stand at the end.
    """
    found = [variant([step]) for step in steps] if each or len(steps) == 1 else []
    if combined and len(steps) > 1:
        found += [variant(chain) for chain in _chains(steps)]
    return without_repetitions(found)


def _chains(steps: Sequence[Step]) -> list[list[Step]]:
    conversions = [step for step in steps if step.technique.produces == "tflite"]
    before = list(steps[: len(steps) - len(conversions)])
    if len(conversions) < 2 or any(step.technique.produces == "tflite" for step in before):
        return [list(steps)]
    return [[*before, conversion] for conversion in conversions]


def without_repetitions(variants: Iterable[Variant]) -> list[Variant]:
    """The variants without those of equal text, in order."""
    return list({variant.text: variant for variant in variants}.values())


def presets() -> dict[str, str]:
    """The presets that this installation can run: their titles and their recipes."""
    return {preset.title: preset.recipe for preset in PRESETS.values() if not from_text(preset.recipe).problem}


def editable(text: str) -> tuple[Step, ...]:
    """The steps of a recipe that toggles can show, or none: a toggle stands for a technique that occurs once."""
    steps = parse(text).steps
    return steps if len({step.technique.name for step in steps}) == len(steps) else ()
