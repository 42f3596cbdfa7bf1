"""From a recipe to the stages that have to exist. Pure: no file is touched and nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optimizers.engine.versions import measuring_versions, work_versions
from optimizers.recipe import BASELINE, Recipe, Step
from optimizers.records import SHARED, DatasetRef, ModelRef, digest_of

_FORMAT = 1
"""Raised when what a stage leaves in the store changes its form."""


@dataclass(frozen=True)
class Stage:
    """One step applied to one parent. Equal keys mean equal results, whatever recipe asked for them.

    ``parent`` is the key of the stage before, or empty when the step works on the model file itself.
    """

    key: str
    parent: str
    step: Step
    seed: int
    scope: str


@dataclass(frozen=True)
class Plan:
    """The chain of a recipe, and the stage of the baseline that the result is compared with."""

    stages: tuple[Stage, ...]
    baseline: Stage


def plan(
    model: ModelRef, dataset: DatasetRef, recipe: Recipe, seed: int, input_shape: tuple[int, ...] | None = None
) -> Plan:
    """The stages of a recipe, first to last; the last one leaves a deployable file.

    A stage's key is the full SHA-256 of: the parent's key (or the model's digest), technique, its version, resolved
    parameters, library versions, and for techniques that use data also the data set's digest and the seed. Results of
    private models or data carry their owner's scope in the key, so that they are shared with nobody.

    Args:
        model, dataset, recipe, seed: Of the run.
        input_shape: Shape of one example where the model leaves dimensions of its input open, else None.
    """
    root = {"model": model.digest, "scope": model.scope} | ({"input_shape": input_shape} if input_shape else {})
    chain: list[Stage] = []
    for step in recipe.complete().steps:
        chain.append(_stage(chain[-1] if chain else None, root, model.scope, dataset, step, seed))
    return Plan(tuple(chain), _stage(None, root, model.scope, dataset, Step.of(BASELINE), seed))


def scope_of(model: ModelRef, dataset: DatasetRef) -> str:
    """``shared`` when model and data are samples, else the scope of whichever is private."""
    return next((ref.scope for ref in (model, dataset) if ref.scope != SHARED), SHARED)


def predictions_key(artifact_digest: str, dataset: DatasetRef, scope: str) -> str:
    """Key of a file's outputs on the test part of a data set."""
    return digest_of(
        {
            "format": _FORMAT,
            "file": artifact_digest,
            "data": dataset.digest,
            "scope": scope,
            "versions": measuring_versions(),
        }
    )


def summary_key(ref: ModelRef | DatasetRef, kind: str) -> str:
    """Key of what is known about a model or a data set after reading it."""
    return digest_of(
        {
            "format": _FORMAT,
            "summary": kind,
            "digest": ref.digest,
            "name": ref.name,
            "scope": ref.scope,
            "versions": work_versions(),
        }
    )


def _stage(parent: Stage | None, root: dict[str, Any], scope: str, dataset: DatasetRef, step: Step, seed: int) -> Stage:
    technique = step.technique
    random_or_fitted = bool(technique.needs)
    identity: dict[str, Any] = {
        "format": _FORMAT,
        "parent": parent.key if parent else root,
        "technique": technique.name,
        "version": technique.version,
        "params": step.params.model_dump(mode="json"),
        "versions": work_versions(),
    }
    scope = parent.scope if parent else scope
    if random_or_fitted:
        identity |= {"seed": seed, "data": {"digest": dataset.digest, "scope": dataset.scope}}
        scope = scope if scope != SHARED else dataset.scope
    return Stage(digest_of(identity), parent.key if parent else "", step, seed if random_or_fitted else 0, scope)
