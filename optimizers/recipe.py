"""Recipes: ordered steps, their short form, and the check that they can follow one another.

The short form is how recipes are named everywhere: ``magnitude_pruning(target_sparsity=0.8)+int8``. Parameters that are
not written take their defaults.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optimizers import registry, short_form
from optimizers.declarations import Property, Technique
from optimizers.errors import InvalidRecipe, NotApplicable, UnknownName
from optimizers.params import ParamSet, fields, resolve
from optimizers.presets import PRESETS
from optimizers.records import Kind, StepRecord
from optimizers.short_form import Written

BASELINE = "float32"
"""The technique that turns the original model into the file that every variant is compared with."""
_LAST_STEP = {"keras": BASELINE, "keras_qat": "int8"}
"""What makes a deployable file of what a recipe leaves, where it does not say so itself."""

_LONGEST = 4000
_MOST_STEPS = 12


@dataclass(frozen=True)
class Step:
    """One technique with its parameters. ``given`` holds what was said, ``params`` what results from it."""

    technique: Technique
    given: dict[str, Any] = field(default_factory=dict)
    params: ParamSet = field(default_factory=ParamSet)

    @staticmethod
    def of(name: str, /, **given: Any) -> Step:
        """A validated step. Raises `UnknownName` and `InvalidParameter`."""
        technique = registry.technique(name)
        params = resolve(name, technique.params, given)
        values = params.model_dump(mode="json")
        return Step(technique, {name: values[name] for name in given}, params)

    @property
    def text(self) -> str:
        """Short form, with the parameters that were said, in the order they were said."""
        return short_form.write(self.technique.name, self.given)

    def record(self) -> StepRecord:
        return StepRecord(technique=self.technique.name, given=self.given, params=self.params.model_dump(mode="json"))


@dataclass(frozen=True)
class Recipe:
    """Steps in order."""

    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        """Short form; `parse` reads it back to an equal recipe."""
        return "+".join(step.text for step in self.steps)

    def complete(self) -> Recipe:
        """The same recipe, with a conversion added where the last step leaves no deployable file: int8 for a model that
        was trained for it, else float32."""
        kind = self.steps[-1].technique.produces if self.steps else "keras"
        if kind == "tflite":
            return self
        return Recipe((*self.steps, Step.of(_LAST_STEP[kind])))

    @property
    def seeded(self) -> bool:
        """Whether another seed can make another file of it."""
        return any(step.technique.seeded for step in self.steps)

    def held(self) -> tuple[frozenset[Property], ...]:
        """For each step the properties of the weights that the steps before it achieved and that still hold."""
        held: frozenset[Property] = frozenset()
        found = []
        for step in self.steps:
            found.append(held)
            held = (held & step.technique.preserves) | step.technique.provides
        return tuple(found)

    def models(self) -> tuple[str, ...]:
        """URIs of the models that parameters name, in order, each once."""
        said = (step.params.model_dump()[f.name] for step in self.steps for f in fields(step.technique.params)
                if f.kind == "model")  # fmt: skip
        return tuple(dict.fromkeys(uri for uri in said if uri))

    def to_json(self) -> str:
        """``{"steps": [{"technique": …, "params": {…}}]}`` with only the parameters that were said."""
        steps = [{"technique": s.technique.name, "params": s.given} for s in self.steps]
        return json.dumps({"steps": steps}, indent=2)


def check(recipe: Recipe) -> None:
    """Raises `InvalidRecipe` when some step cannot work on what the step before it produces."""
    if not recipe.steps:
        raise InvalidRecipe(f"The recipe has no steps; name at least one technique: {_names()}.")
    if len(recipe.steps) > _MOST_STEPS:
        raise InvalidRecipe(f"The recipe has {len(recipe.steps)} steps; at most {_MOST_STEPS} are allowed.")
    kind, previous = "keras", ""
    for number, step in enumerate(recipe.steps, start=1):
        technique = step.technique
        if kind not in technique.accepts or (number > 1 and kind == "tflite"):  # a conversion ends the recipe
            here = f"Step {number} ({technique.name}) accepts {_kinds(technique.accepts)}"
            before = f"step {number - 1} ({previous}) produces {_KIND_NAMES[kind]}"
            raise InvalidRecipe(f"{here}, but {before}. {_way_out(recipe, number)}")
        kind, previous = technique.produces, technique.name


def check_source(recipe: Recipe, kind: Kind) -> None:
    """Raises `NotApplicable` when a step cannot work on what was brought.

    Args:
        recipe: Checked.
        kind: Of the model's file, as its summary has it.
    """
    for step in recipe.complete().steps if kind in _INSTEAD else ():
        if kind not in step.technique.accepts:
            raise NotApplicable(f"{step.technique.title} {_INSTEAD[kind]}.", code="needs-keras")


def warnings(recipe: Recipe) -> list[str]:
    """One sentence for each step that destroys, or may destroy, what an earlier one achieved, with any way out."""
    held: dict[Property, str] = {}
    found = []
    for step in recipe.steps:
        technique = step.technique
        for lost in sorted(set(held) - technique.preserves - technique.provides):
            earlier = held.pop(lost)
            if technique.produces == "tflite":  # it depends on the model: on batch normalization, and on its scales
                found.append(f"{technique.name} may destroy the {_PROPERTIES[lost]} that {earlier} achieved.")
            else:
                lasting = f" Put {technique.name} before {earlier} instead."
                found.append(f"{technique.name} destroys the {_PROPERTIES[lost]} that {earlier} achieved.{lasting}")
        held |= dict.fromkeys(technique.provides, technique.name)
    return found


def parse(text: str) -> Recipe:
    """A checked recipe from a preset's name, its short form, JSON text, or the path of a JSON file.

    Raises:
        InvalidRecipe: The text cannot be read, or the steps cannot follow one another.
        UnknownName, InvalidParameter: A step or one of its values is wrong.
    """
    recipe = Recipe(tuple(Step.of(name, **given) for name, given in written(text)))
    check(recipe)
    return recipe


def written(text: str) -> list[Written]:
    """The techniques and values that `parse` reads, before they are looked at.

    Raises:
        InvalidRecipe: The text cannot be read.
        UnknownName: A single word is neither a technique nor a preset.
    """
    text = text.strip()
    text = PRESETS[text].recipe if text in PRESETS else text
    if len(text) > _LONGEST:
        raise InvalidRecipe(f"The recipe is {len(text)} characters long; at most {_LONGEST} are allowed.")
    if text.startswith("{"):
        return _from_json(text, "the recipe")
    if text.endswith(".json"):
        return _from_file(Path(text))
    if text.isidentifier() and text not in (known := registry.techniques()):
        told = f"There is no technique or preset {text!r}; techniques are {', '.join(known)}"
        raise UnknownName(f"{told}; presets are {', '.join(PRESETS)}.")
    return short_form.read(text)


def _from_file(path: Path) -> list[Written]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InvalidRecipe(f"The recipe file {path} cannot be read; give a JSON file or a short form.") from None
    return _from_json(text, str(path))


def _from_json(text: str, where: str) -> list[Written]:
    hint = '{"steps": [{"technique": "int8", "params": {}}]}'
    try:
        steps = json.loads(text)["steps"]
        return [(str(step["technique"]), dict(step.get("params", {}))) for step in steps]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidRecipe(f"{where[0].upper()}{where[1:]} is no recipe; it must look like {hint}.") from None


_INSTEAD: dict[Kind, str] = {
    "tflite": "needs the Keras model: this is a .tflite file, which cannot be trained or converted any more; give the "
    "model that it was made from",
    "keras3": "works on Keras 2 models: this model exists only in Keras 3, so it can be converted and quantized but "
    "not trained or rebuilt; choose conversions alone, or build the model without what Keras 2 lacks",
}
"""Kinds of models that not every technique takes, and why."""
_PROPERTIES: dict[Property, str] = {"sparsity": "zeros", "clusters": "shared values", "structure": "smaller structure"}
_KIND_NAMES = {
    "keras": "a Keras model",
    "keras_qat": "a Keras model prepared for quantization",
    "tflite": "a .tflite file",
}


def _kinds(kinds: frozenset[Any]) -> str:
    """What steps may hand to one another, in words."""
    return " or ".join(_KIND_NAMES[k] for k in sorted(kinds) if k not in _INSTEAD)


def _way_out(recipe: Recipe, number: int) -> str:
    before, here = (recipe.steps[place].technique for place in (number - 2, number - 1))
    if before.name == here.name:
        return "Keep only one of them."
    if before.produces == here.produces == "tflite":
        return f"Keep only one of them: both {before.name} and {here.name} convert."
    if here.produces != "tflite":
        return f"Move {before.name} to the end." if before.produces == "tflite" else f"Put {here.name} before it."
    able = [t.name for t in registry.techniques().values() if before.produces in t.accepts]
    return f"Use {' or '.join(able)} instead of {here.name}, or leave {before.name} out."


def _names() -> str:
    return ", ".join(registry.techniques())
