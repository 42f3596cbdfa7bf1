"""Finds the variants of a run's recipe that leave out some of its steps, as far as they were computed and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizers.answers import Worth, worth
from optimizers.contributions import Level, Quantity, Subset, prefixes, report, subsets
from optimizers.datasets import fit
from optimizers.engine.plan import predictions_key, scope_of
from optimizers.errors import InvalidRecipe, NotApplicable
from optimizers.findings import Report
from optimizers.history.frames import measurements_of
from optimizers.recipe import BASELINE, Recipe, Step, check
from optimizers.records import Measurement, Run

if TYPE_CHECKING:
    import numpy as np

    from optimizers.engine.driver import Driver

MOST_STEPS = 5
"""Most steps of which all variants are looked at: 32 files. Of longer chains only those along the chain are."""
_MAY_WORK_NEXT_TIME = {"unexpected", "worker-died", "store-damaged"}
"""Failures that say nothing about the recipe."""
_EXACT = {"size_bytes": "Bytes of the file; exact.", "compressed_bytes": "Bytes of the file after gzip -9; exact."}


@dataclass(frozen=True)
class Variant:
    """One stop in the lattice. ``measured`` and ``worth`` are empty where it is not known; ``problem`` is why it cannot
    be."""

    recipe: Recipe
    measured: Mapping[str, Measurement]
    worth: Worth | None = None
    problem: str = ""


@dataclass(frozen=True)
class Lattice:
    """The variants of a run's recipe by the numbers of the steps that they keep."""

    steps: tuple[Step, ...]
    variants: Mapping[Subset, Variant]

    @property
    def missing(self) -> list[Subset]:
        """Variants that could be run and are not known."""
        return [key for key, v in self.variants.items() if key and not v.measured and not v.problem]

    @property
    def recipes(self) -> list[Recipe]:
        """What has to be run so that nothing is missing."""
        return [self.variants[key].recipe for key in self.missing]

    def report(self) -> Report:
        """What each step bought. Raises `NotApplicable` when the original was not measured."""
        if not self.variants[frozenset()].measured:
            raise NotApplicable(
                "The original has no figures of this version of the app; run one of its variants again."
            )
        impossible = {key: v.problem for key, v in self.variants.items() if v.problem}
        short = [step.technique.name for step in self.steps]
        names = [step.text if short.count(name) > 1 else name for step, name in zip(self.steps, short, strict=True)]
        whole = len(self.steps) <= MOST_STEPS
        return report(names, list(self._quantities()), impossible, self.missing, whole_lattice=whole)

    def _quantities(self) -> list[Quantity]:
        known = {key: v for key, v in self.variants.items() if v.measured}
        start, found = known[frozenset()], []
        for name, note in _EXACT.items():
            levels = {key: _exact(v.measured[name].value) for key, v in known.items() if name in v.measured}
            title = "File size" if name == "size_bytes" else "Compressed size"
            found.append(Quantity(name, title, "B", "lower", levels, note=note))
        base = start.measured.get("latency_ms")
        if base is not None:
            times = {key: _time(base.value, v.measured) for key, v in known.items()}
            levels = {key: level for key, level in times.items() if level is not None} | {
                frozenset(): _exact(base.value)
            }
            found.append(Quantity("latency_ms", "Latency", "ms", "lower", levels, note=_ABOUT_TIME))
        scored = {key: v.worth for key, v in known.items() if v.worth is not None}
        if frozenset() in scored:
            own = scored[frozenset()]
            levels = {key: _exact(w.mean) for key, w in scored.items()}
            note = f"{len(own.values):,} test examples; differences are taken example by example, with 95% intervals."
            found.append(
                Quantity(
                    "quality",
                    own.title,
                    "fraction" if own.unit == "fraction" else "",
                    own.better,
                    levels,
                    {key: w.values for key, w in scored.items()},
                    counted=own.counted,
                    note=note,
                )
            )
        return found


_ABOUT_TIME = (
    "Every variant was timed in turn with the original; times are the original's over that ratio, so that it does not "
    "matter how fast the machine was at that moment. 95% intervals."
)


def _exact(value: float) -> Level:
    return Level(value, value, value)


def _time(base: float, measured: Mapping[str, Measurement]) -> Level | None:
    """Milliseconds of a variant on the scale of the original's."""
    ratio = measured.get("speedup")
    if ratio is None or ratio.low is None or ratio.high is None:
        return None
    return Level(base / ratio.value, base / ratio.high, base / ratio.low)


def lattice(driver: Driver, run: Run, cancelled: Callable[[], bool] = lambda: False) -> Lattice:
    """The variants of a finished run's recipe.

    Raises:
        NotApplicable: The run has not finished, or its recipe has fewer than two steps that change something.
        UserError: The model or the data cannot be read any more.
    """
    if run.state != "done" or not run.artifact_digest:
        raise NotApplicable(f"The run {run.recipe!r} has no file whose steps could be told apart: it is {run.state}.")
    every = tuple(Step.of(step.technique, **step.given) for step in run.steps)
    steps = tuple(step for step in every if step.technique.name != BASELINE)
    if len(steps) < 2:
        raise NotApplicable("The recipe has a single step, so all of the change is that step's.")
    _, model = driver.inspect_model(run.model.uri, cancelled)
    _, data = driver.inspect_dataset(run.dataset.uri, cancelled)
    task = fit.check_fit(model.inputs, model.outputs, data, run.dataset.name, model.activation)
    targets = fit.targets_of(model.outputs, data, run.dataset.name)

    def worth_of(scores: np.ndarray, y: np.ndarray) -> Worth:
        return worth(scores, y, task, len(model.outputs) > 1, targets)

    failed = _failures(driver, run)
    found: dict[Subset, Variant] = {}
    for key in subsets(len(steps)) if len(steps) <= MOST_STEPS else prefixes(len(steps)):
        recipe = Recipe(tuple(steps[i] for i in sorted(key)))
        digest, problem = "", ""
        if not key:
            digest = run.baseline_digest
        elif len(key) == len(steps):
            digest = run.artifact_digest
        else:
            try:
                check(recipe)
                artifact = driver.store.get(driver.planned(run, recipe, cancelled).stages[-1].key)
                digest = artifact.digest if artifact is not None else ""
            except InvalidRecipe as error:
                problem = error.message
        measured, quality = _measured(driver, run, digest), _worth(driver, run, digest, worth_of)
        if not {"size_bytes", "speedup" if key else "latency_ms"} <= measured.keys() or quality is None:
            measured, quality = {}, None
        if not measured and len(key) < len(steps):
            problem = problem or failed.get(recipe.text, "")
        found[key] = Variant(recipe, measured, quality, problem)
    return Lattice(steps, found)


def _measured(driver: Driver, run: Run, digest: str) -> Mapping[str, Measurement]:
    """Empty where the file was never measured, as when it was only a step on the way."""
    return measurements_of(driver.history, run.model_copy(update={"artifact_digest": digest})) if digest else {}


def _worth(driver: Driver, run: Run, digest: str, worth_of: Callable[[np.ndarray, np.ndarray], Worth]) -> Worth | None:
    """What the file's stored answers on the test part are worth; None where there are none."""
    from optimizers.engine.tasks import array

    key = predictions_key(digest, run.dataset, scope_of(run.model, run.dataset), run.part)
    kept = driver.store.get(key) if digest else None
    if kept is None:
        return None
    try:
        return worth_of(array(driver.store, kept, "scores"), array(driver.store, kept, "y"))
    except NotApplicable:
        return None


def _failures(driver: Driver, run: Run) -> dict[str, str]:
    """By recipe why its last run on the same model and data failed."""
    same = (run.model.digest, run.dataset.digest, run.seed)
    found: dict[str, str] = {}
    for other in driver.history.runs(scopes=[run.scope], states=("failed",)):
        failure = other.failure
        if failure is None or failure.code in _MAY_WORK_NEXT_TIME:
            continue
        if (other.model.digest, other.dataset.digest, other.seed) == same:
            found.setdefault(other.recipe, failure.message)
    return found
