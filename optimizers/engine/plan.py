"""From a recipe to the stages that have to exist. Pure: no file is touched and nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from optimizers.declarations import InputShape, Property
from optimizers.engine.versions import measuring_versions, versions_of, work_versions
from optimizers.findings import Analysis
from optimizers.params import ParamSet, fields
from optimizers.recipe import BASELINE, Recipe, Step
from optimizers.records import SHARED, DatasetRef, ModelRef, PartName, digest_of, examples_digest

_FORMAT, _SUMMARY, _PROPOSAL, _FORECAST = 2, 4, 3, 5
"""Raised when what a stage leaves in the store changes its form, or a forecast its figures."""


@dataclass(frozen=True)
class Stage:
    """One step applied to one parent. Equal keys mean equal results, whatever recipe asked for them.

    ``parent`` is the key of the stage before, or empty when the step works on the model file itself. ``held`` are the
    properties that earlier steps achieved; they follow from the parent and are therefore no part of the key.
    """

    key: str
    parent: str
    step: Step
    seed: int
    scope: str
    held: frozenset[Property] = frozenset()


@dataclass(frozen=True)
class Plan:
    """The chain of a recipe, and the stage of the baseline that the result is compared with."""

    stages: tuple[Stage, ...]
    baseline: Stage


def plan(
    model: ModelRef,
    dataset: DatasetRef,
    recipe: Recipe,
    seed: int,
    input_shape: InputShape | None = None,
    models: Mapping[str, ModelRef] | None = None,
) -> Plan:
    """The stages of a recipe, first to last; the last one leaves a deployable file.

    A stage's key is the full SHA-256 of: the parent's key (or the model's digest), technique, its version, resolved
    parameters, library versions, and for techniques that use data also the data set's digest and the seed. Results of
    private models or data carry their owner's scope in the key, so that they are shared with nobody.

    Args:
        model, dataset, recipe, seed: Of the run.
        input_shape: Shape of one example where the model leaves dimensions of its inputs open, else None.
        models: References of the models that parameters name, by URI.
    """
    root = {"model": model.digest, "scope": model.scope} | ({"input_shape": input_shape} if input_shape else {})
    chain: list[Stage] = []
    whole = recipe.complete()
    for step, held in zip(whole.steps, whole.held(), strict=True):
        stage = _stage(chain[-1] if chain else None, root, model.scope, dataset, step, seed, models or {})
        chain.append(replace(stage, held=held))
    return Plan(tuple(chain), _stage(None, root, model.scope, dataset, Step.of(BASELINE), seed, {}))


def scope_of(model: ModelRef, dataset: DatasetRef) -> str:
    """``shared`` when model and data are samples, else the scope of whichever is private."""
    return next((ref.scope for ref in (model, dataset) if ref.scope != SHARED), SHARED)


def predictions_key(artifact_digest: str, dataset: DatasetRef, scope: str, part: PartName = "test") -> str:
    """Key of a file's outputs on a part of a data set."""
    return digest_of(
        {
            "format": _FORMAT,
            "file": artifact_digest,
            "data": examples_digest(dataset.digest, part),
            "scope": scope,
            "scores": "probabilities",
            "versions": measuring_versions(),
        }
    )


def evaluation_key(predictions: str, baseline: str, metrics: Mapping[str, str]) -> str:
    """Key of having measured a file's outputs, and held them against a baseline's, with metrics of these versions."""
    return digest_of({"format": 1, "predictions": predictions, "baseline": baseline, "metrics": dict(metrics)})


def timing_key(artifact: str, baseline: str, scope: str, place: Mapping[str, Any], metrics: Mapping[str, str]) -> str:
    """Key of having timed a file in turn with a baseline at a place (device, threads), with such metrics."""
    files = {"artifact": artifact, "baseline": baseline, "scope": scope}
    return digest_of({"format": 1, "timing": files, "place": dict(place), "metrics": dict(metrics)})


def summary_key(ref: ModelRef | DatasetRef, kind: str) -> str:
    """Key of what is known about a model or a data set after reading it."""
    return digest_of(
        {
            "format": _FORMAT,
            "summary": kind,
            "form": _SUMMARY,
            "digest": ref.digest,
            "name": ref.name,
            "scope": ref.scope,
            "versions": work_versions(),
        }
    )


def proposal_key(model: ModelRef, dataset: DatasetRef) -> str:
    """Key of how a data set, prepared but for its scaling, is best scaled for a model."""
    parts = [{"digest": ref.digest, "uri": ref.uri, "scope": ref.scope} for ref in (model, dataset)]
    return digest_of({"format": _FORMAT, "form": _PROPOSAL, "proposal": parts, "versions": work_versions()})


def memory_key(identity: dict[str, Any], dataset: DatasetRef, scope: str) -> str:
    """Key of an array that several stages need, such as a teacher's outputs on the training part of a data set."""
    data = {"digest": dataset.digest, "scope": scope}
    return digest_of({"format": _FORMAT, "memory": identity, "data": data, "versions": work_versions()})


def analysis_key(analysis: Analysis, params: ParamSet, identity: dict[str, Any]) -> str:
    """Key of an analysis' report on what its identity tells."""
    return digest_of(
        {
            "format": _FORMAT,
            "analysis": analysis.name,
            "version": analysis.version,
            "params": params.model_dump(mode="json"),
            "identity": identity,
            "versions": measuring_versions()
            | versions_of(analysis.tools)
            | (work_versions() if analysis.tensorflow else {}),
        }
    )


def rehearsal_key(root: dict[str, Any], recipe: Recipe, scope: str) -> str:
    """Key of what a recipe would do to a model, found without training."""
    steps = [
        {"technique": step.technique.name, "version": step.technique.version, "params": step.params.model_dump()}
        for step in recipe.complete().steps
    ]
    versions = work_versions()
    return digest_of({"format": _FORECAST, "rehearsal": steps, "root": root, "scope": scope, "versions": versions})


def _stage(
    parent: Stage | None,
    root: dict[str, Any],
    scope: str,
    dataset: DatasetRef,
    step: Step,
    seed: int,
    models: Mapping[str, ModelRef],
) -> Stage:
    technique = step.technique
    params = step.params.model_dump(mode="json")
    named = [models[params[f.name]] for f in fields(technique.params) if f.kind == "model" and params[f.name]]
    identity: dict[str, Any] = {
        "format": _FORMAT,
        "parent": parent.key if parent else root,
        "technique": technique.name,
        "version": technique.version,
        "params": params,
        "versions": work_versions(),
    }
    scopes = [parent.scope if parent else scope, *(ref.scope for ref in named)]
    if named:
        identity["models"] = [{"digest": ref.digest, "scope": ref.scope} for ref in named]
    if technique.seeded:
        identity |= {"seed": seed, "data": {"digest": dataset.digest, "scope": dataset.scope}}
        scopes.append(dataset.scope)
    scope = next((s for s in scopes if s != SHARED), SHARED)
    return Stage(digest_of(identity), parent.key if parent else "", step, seed if technique.seeded else 0, scope)
