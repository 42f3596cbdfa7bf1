"""The search space: which chains of techniques make sense for a model and its data, and which settings they have.

Everything follows from declarations. A chain has at most one step for each property of the weights (a smaller
structure, zeros, shared values), in the order in which they can live together, and an ending that leaves a ``.tflite``
file. Chains that the recipe check refuses, whose later steps destroy what earlier ones achieved, or that the model or
the data rule out, are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import floor
from typing import Any, Protocol

from optimizers import registry
from optimizers.declarations import Property, Technique
from optimizers.engine.driver import check_examples
from optimizers.errors import InvalidParameter, InvalidRecipe, NotApplicable
from optimizers.params import ParamField, fields
from optimizers.recipe import Recipe, Step, check, check_source, warnings
from optimizers.records import DatasetSummary, ModelSummary
from optimizers.search.records import Effort, LayerDamage

NONE = "none"
ENDING = "ending"
SPARED = "spared"
"""Name of the setting that tells how many of the most sensitive layers a step leaves alone."""
_SLOTS: tuple[Property, ...] = ("structure", "sparsity", "clusters")
"""Channels and factors decide which weights there are, so they come first; sharing values keeps zeros."""
_SHORT = 0.25
"""Share of a training that a short one takes."""
_WIDE = 50.0
"""Whole numbers whose bounds are further apart than this factor are tried in proportion."""
_DECADES = 10.0
"""Settings on a logarithmic scale are tried up to this factor from their default, which suits the sample models."""
_MOST_SPARED = 3


class Ask(Protocol):
    """Who chooses values: Optuna's trial, or whatever has its three methods."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


class Given:
    """Answers with values that are known; raises `KeyError` where one is missing."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._values[name]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._values[name])

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._values[name])


class Defaults:
    """Answers with the defaults of all settings, and notes what was asked; the chain is given."""

    def __init__(self, chain: Sequence[str], known: Mapping[str, Any] | None = None) -> None:
        self._chain, self._known = chain, known or {}
        self.values: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if "." not in name:
            named = [part for part in self._chain if part != NONE and part in choices]
            return self._note(name, named[0] if named else NONE)
        return self._note(name, self._known.get(name, _default(name)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        value = self._known.get(name, _default(name))
        return int(self._note(name, min(high, max(low, int(value)))))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        value = float(self._known.get(name, _default(name)))
        return float(self._note(name, min(high, max(low, value))))

    def _note(self, name: str, value: Any) -> Any:
        self.values[name] = value
        return value


@dataclass(frozen=True)
class Space:
    """What can be tried on one model with one data set.

    Attributes:
        model, data: What is known about them.
        allowed: Names of the techniques that may be used; all if empty.
        layers: From the most to the least sensitive one; with them, steps may leave the most sensitive ones alone.
    """

    model: ModelSummary
    data: DatasetSummary
    allowed: tuple[str, ...] = ()
    layers: tuple[LayerDamage, ...] = ()

    @cached_property
    def chains(self) -> tuple[tuple[str, ...], ...]:
        """All chains that make sense: for each slot a technique or ``none``, then the ending, joined by ``+``."""
        options = [(NONE, *self._making(slot)) for slot in _SLOTS]
        endings = ["+".join(ending) for ending in self._endings()]
        return tuple(chain for chain in product(*options, endings) if self._makes_sense(chain))

    def suggest(self, ask: Ask, effort: Effort = "full") -> Recipe:
        """The recipe that somebody chooses, setting by setting; trainings are cut short where the effort is."""
        chosen: list[str] = []
        for place, slot in enumerate((*_SLOTS, ENDING)):
            every = list(dict.fromkeys(chain[place] for chain in self.chains))
            now = [v for v in every if any(c[: place + 1] == (*chosen, v) for c in self.chains)]
            if len(now) == 1:
                chosen.append(now[0])
                continue
            missing = [v for v in every if v not in now]
            # A choice that depends on earlier ones is a setting of its own, as the sampler wants fixed choices.
            chosen.append(ask.suggest_categorical(f"{slot} but {'/'.join(missing)}" if missing else slot, now))
        names = [name for part in chosen if part != NONE for name in part.split("+")]
        techniques = [registry.technique(name) for name in names]
        families = [technique.family for technique in techniques]
        return Recipe(tuple(self._step(ask, t, effort, families[:place]) for place, t in enumerate(techniques)))

    def recipe(self, params: Mapping[str, Any], effort: Effort) -> Recipe:
        """The recipe of values that were chosen before."""
        return self.suggest(Given(params), effort)

    def untrained(self) -> Iterator[dict[str, Any]]:
        """Settings of all chains without training, with the defaults."""
        yield from (self._defaults(chain) for chain in self.chains if not chain_trains(chain))

    def openings(self, ending: str) -> Iterator[dict[str, Any]]:
        """Settings of the chains in which one technique trains, and of the one with most steps, ending as one likes."""
        trained = [chain for chain in self.chains if chain_trains(chain)]
        alone = [c for c in trained if c[-1] == ending and sum(part != NONE for part in c[:-1]) == 1]
        alone += [c for c in trained if chain_trains((c[-1],)) and set(c[:-1]) == {NONE}]
        longest = max(trained, key=lambda c: (sum(part != NONE for part in c[:-1]), c[-1] == ending), default=None)
        for chain in dict.fromkeys([*alone, *([longest] if longest else [])]):
            yield self._defaults(chain)

    def _defaults(self, chain: tuple[str, ...]) -> dict[str, Any]:
        ask = Defaults(chain)
        self.suggest(ask)
        return ask.values

    def _step(self, ask: Ask, technique: Technique, effort: Effort, before: Sequence[str]) -> Step:
        given: dict[str, Any] = {}
        for field in searched(technique):
            value = _suggest(ask, f"{technique.name}.{field.name}", field)
            if value != field.default:
                given[field.name] = value
        declared = {field.name: field for field in fields(technique.params)}
        if effort == "short" and "train" in technique.needs:
            for name in ("epochs", "min_steps"):
                if name in declared:
                    given[name] = max(1, round(_SHORT * int(declared[name].default)))
        spared = [self._named(layer, before) for layer in self._spared(ask, technique, declared)]
        if any(spared):
            given["layers"] = ", ".join(f"!{pattern}" for pattern in spared if pattern)
        return Step.of(technique.name, **given)

    def _spared(self, ask: Ask, technique: Technique, declared: Mapping[str, ParamField]) -> tuple[str, ...]:
        most = min(_MOST_SPARED, len(self.layers) // 2)
        if most == 0 or "layers" not in declared:
            return ()
        try:
            number = ask.suggest_int(f"{technique.name}.{SPARED}", 0, most)
        except KeyError:  # chosen before layers were ranked
            return ()
        return tuple(damage.layer for damage in self.layers[:number])

    def _named(self, layer: str, before: Sequence[str]) -> str:
        """What a layer of the model, or what became of it, is called after steps of these families; empty if unknown.

        The factors of a decomposed layer have its name and an ending; a student has layers of its own.
        """
        if "distillation" in before:
            return ""
        if "decomposition" not in before:
            return layer
        alike = [row.name for row in self.model.layers if row.name.startswith(layer) and row.name != layer]
        return "" if alike else f"{layer}*"

    def _usable(self) -> Iterator[Technique]:
        for technique in registry.techniques().values():
            if not self.allowed or technique.name in self.allowed:
                yield technique

    def _making(self, slot: Property) -> list[str]:
        return [t.name for t in self._usable() if slot in t.provides and t.produces == "keras" and "keras" in t.accepts]

    def _endings(self) -> Iterator[tuple[str, ...]]:
        known = list(self._usable())
        kind = self.model.kind
        for technique in known:
            if technique.produces == "tflite" and ({kind, "keras"} & technique.accepts):
                yield (technique.name,)
            elif technique.produces not in ("keras", "tflite") and "keras" in technique.accepts:
                last = [t.name for t in registry.techniques().values()
                        if t.produces == "tflite" and technique.produces in t.accepts]  # fmt: skip
                yield from ((technique.name, name) for name in last)

    def _makes_sense(self, chain: tuple[str, ...]) -> bool:
        names = [name for part in chain if part != NONE for name in part.split("+")]
        recipe = Recipe(tuple(Step.of(name) for name in names))
        try:
            check(recipe)
            check_source(recipe, self.model.kind)
            check_examples(recipe, self.model, self.data)
        except (InvalidRecipe, NotApplicable, InvalidParameter):
            return False
        return not warnings(recipe)


def trains(recipe: Recipe) -> bool:
    """Whether some step of a recipe trains."""
    return chain_trains(step.technique.name for step in recipe.steps)


def chain_trains(chain: Iterable[str]) -> bool:
    """Whether some part of a chain trains."""
    names = (name for part in chain if part != NONE for name in part.split("+"))
    return any("train" in registry.technique(name).needs for name in names)


def searched(technique: Technique) -> list[ParamField]:
    """The settings of a technique that a search varies. How long it trains is no setting but the trial's effort."""
    return [f for f in fields(technique.params) if f.searched and not f.advanced and f.name != "epochs"
            and f.kind in ("bool", "int", "float", "choice")]  # fmt: skip


def setting(name: str) -> str:
    """What people call a setting of the space: ``Magnitude pruning: sparsity``."""
    owner, _, field = name.partition(".")
    if not field:
        return {"structure": "Smaller structure by", "sparsity": "Zeros by", "clusters": "Shared values by"}.get(
            owner.partition(" but ")[0], "Ending"
        )
    technique = registry.technique(owner)
    label = "most sensitive layers left alone" if field == SPARED else _field(technique, field).label
    return f"{technique.title}: {label[0].lower()}{label[1:]}"


def _field(technique: Technique, name: str) -> ParamField:
    return next(f for f in fields(technique.params) if f.name == name)


def _default(name: str) -> Any:
    owner, _, field = name.partition(".")
    return 0 if field == SPARED else _field(registry.technique(owner), field).default


def _suggest(ask: Ask, name: str, field: ParamField) -> Any:
    if field.kind == "bool":
        return ask.suggest_categorical(name, [False, True])
    if field.kind == "choice":
        allowed = field.searched if isinstance(field.searched, tuple) else field.choices
        return ask.suggest_categorical(name, list(allowed))
    if field.low is None or field.high is None:
        return field.default
    low, high = field.low, field.high
    log = field.log or (field.kind == "int" and low > 0 and high / low > _WIDE)
    if field.log:
        low, high = max(low, float(field.default) / _DECADES), min(high, float(field.default) * _DECADES)
    if field.kind == "int":
        step = 1 if log else max(1, int(field.step or 1))
        return ask.suggest_int(name, int(low), _on_grid(int(low), int(high), step), step=step, log=log)
    if log or not field.step:
        value = ask.suggest_float(name, low, high, log=log)
        return float(f"{value:.2g}")
    last = round(low + field.step * floor((high - low) / field.step + 1e-9), 10)
    return round(ask.suggest_float(name, low, last, step=field.step), 10)


def _on_grid(low: int, high: int, step: int) -> int:
    return low + step * ((high - low) // step)
