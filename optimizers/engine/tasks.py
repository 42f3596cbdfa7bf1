"""What a worker process can do. Each task takes and returns plain JSON; results go into the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from optimizers import registry
from optimizers.declarations import Dataset, Evidence, InputShape, Property, StageContext, TrainingData
from optimizers.engine import origins
from optimizers.engine.plan import memory_key
from optimizers.engine.store import Store, open_store
from optimizers.engine.versions import cores, device, measuring_versions
from optimizers.errors import NotApplicable
from optimizers.kinds import KINDS
from optimizers.litert.file import describe, is_litert
from optimizers.params import resolve
from optimizers.records import Artifact, Measurement, ModelSummary, PartName, examples_digest, now
from optimizers.settings import Settings

if TYPE_CHECKING:
    import numpy as np


_CALIBRATED_ON_NOISE = (
    "Calibrated on random inputs, since there are no data: the ranges of real ones may differ, and accuracy with them."
)


class Reporter(Protocol):
    """Where a task tells what it is doing."""

    def emit(self, kind: str, **values: Any) -> None: ...


def inspect_model(report: Reporter, *, uri: str, key: str) -> dict[str, Any]:
    """Reads, checks and describes a model; the summary is kept in the store under ``key``."""
    path, reference = origins.resolve_model(uri)
    if is_litert(path):
        return _keep_summary(key, describe(path, reference.name).model_dump(mode="json"))
    from optimizers.tf.summary import summarize

    summary = summarize(path, reference.name)
    return _keep_summary(key, summary.model_dump(mode="json"))


def inspect_dataset(report: Reporter, *, uri: str, key: str) -> dict[str, Any]:
    """Reads and describes a data set; the summary is kept in the store under ``key``."""
    return _keep_summary(key, origins.load_dataset(uri).summary.model_dump(mode="json"))


def fetch(report: Reporter, *, uri: str) -> None:
    """Downloads what a published data set lacks on this machine, for processes that have no network."""
    origins.load_dataset(uri)


def run_stage(
    report: Reporter,
    *,
    key: str,
    model: str,
    parent: str,
    dataset: str,
    technique: str,
    params: dict[str, Any],
    seed: int,
    summary: dict[str, Any],
    input_shape: list[Any] | None,
    held: list[Property],
    models: list[str],
    scope: str,
) -> dict[str, Any]:
    """Applies one technique to the parent stage (or the model file) and stores the result under ``key``.

    The report in the store tells, beside what the technique told, what its kernels hold (``survey``), those of the
    original model if this is the first step (``before``), and what a training took (``trained``).
    """
    from optimizers.tf import survey, unlabelled

    declared = registry.technique(technique)
    store = open_store(Settings())
    known = store.get(key)
    if known is not None:  # a worker was lost right after it had finished, and the task was given again
        if store.behind is not None:  # perhaps before it was known to others
            known = store.publish(known)
        return known.model_dump(mode="json")
    original = origins.resolve_model(model)[0]
    source = original
    if parent:
        artifact = store.get(parent)
        assert artifact is not None, "the stage before this one is stored"
        source = store.path(artifact)
    resolved = resolve(technique, declared.params, params)
    steps_taken, drawn = 0, False

    @cache
    def data() -> TrainingData:
        told = ModelSummary.model_validate(summary)
        found = adapted(dataset, told)
        nonlocal drawn
        drawn = found.summary.drawn
        if any(task == "fidelity" for task in (found.summary.task, *(one.task for one in found.summary.targets))):
            return unlabelled.labelled_by(original, found, told, remember)
        return found.for_training()

    def progress(step: int, of: int, **metrics: float) -> None:
        nonlocal steps_taken
        steps_taken += "epoch" in metrics
        report.emit("progress", step=step, of=of, metrics={k: float(v) for k, v in metrics.items()})

    def log(text: str) -> None:
        print(text, flush=True)

    def remember(identity: dict[str, Any], compute: Callable[[], np.ndarray]) -> np.ndarray:
        return _remembered(store, memory_key(identity, origins.resolve_dataset(dataset), scope), compute)

    started = time.monotonic()
    with store.draft() as out:
        context = StageContext(
            source, out, data, seed, progress, log, _shape(input_shape), original,
            frozenset(held), {uri: origins.resolve_model(uri)[0] for uri in models}, remember,
        )  # fmt: skip
        told = declared.apply(context, resolved)
        notes = [*told.notes, *([_CALIBRATED_ON_NOISE] if drawn and "calibration" in declared.needs else [])]
        seconds = time.monotonic() - started
        found = survey.of_stage(out / told.main, source, declared.produces, first=not parent)
        content = {
            "technique": technique,
            "skipped": dict(told.skipped),
            "notes": notes,
            "figures": _plain(dict(told.figures)),
            "survey": [row.model_dump() for row in found.rows],
            "before": [row.model_dump() for row in found.before],
        }
        if steps_taken and found.macs:
            batch = getattr(resolved, "batch_size", 1)
            content["trained"] = {"steps": steps_taken, "macs": found.macs, "batch": batch, "seconds": seconds}
        return store.commit(out, key, declared.produces, told.main, content).model_dump(mode="json")


def rehearse(
    report: Reporter,
    *,
    key: str,
    model: str,
    steps: list[dict[str, Any]],
    input_shape: list[Any] | None,
    models: list[str],
) -> dict[str, Any]:
    """What a complete recipe would do, found without training; the forecast is kept in the store under ``key``."""
    from optimizers.recipe import Recipe, Step
    from optimizers.tf import rehearsal

    recipe = Recipe(tuple(Step.of(step["technique"], **step["params"]) for step in steps))
    paths = {uri: origins.resolve_model(uri)[0] for uri in models}
    found = rehearsal.rehearse(origins.resolve_model(model)[0], recipe, _shape(input_shape), paths)
    return _keep_summary(key, found.model_dump(mode="json"))


def propose(
    report: Reporter, *, key: str, model: str, dataset: str, given: dict[str, Any], summary: dict[str, Any]
) -> dict[str, Any]:
    """Tries scalings of a data set on the model that was brought; the proposal is kept in the store under ``key``."""
    from optimizers.datasets import preparation, proposals
    from optimizers.models.answering import answering

    data = origins.load_dataset(preparation.join(dataset, preparation.of(given)))
    answer = answering(origins.resolve_model(model)[0])
    found = proposals.propose(data, dataset, given, ModelSummary.model_validate(summary), answer)
    return _keep_summary(key, found.model_dump(mode="json"))


def _remembered(store: Store, key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """An array from the store, or computed and put there."""
    import numpy as np

    kept = store.get(key)
    if kept is None:
        values = compute()
        with store.draft() as out:
            np.savez_compressed(out / "array.npz", values=values)
            store.commit(out, key, "predictions", "array.npz", {})
        return values
    return array(store, kept, "values")


def evaluate(
    report: Reporter,
    *,
    artifact: str,
    predictions: str,
    baseline: str,
    of_baseline: str,
    evaluation: str,
    dataset: str,
    part: PartName,
    summary: dict[str, Any],
    scope: str,
) -> dict[str, list[dict[str, Any]]]:
    """Runs a deployable file on a part of the data and measures size and quality; its outputs stay in the store.

    The baseline's outputs, stored under ``of_baseline``, are what it is held against: where there are no labels they
    stand for what is right, else the difference is told (``baseline`` is the digest of its file). Why a figure is
    absent stays in the store under ``evaluation``.
    """
    import numpy as np

    from optimizers.answers import probabilities, truth
    from optimizers.engine.evaluation import evaluated
    from optimizers.litert import interpreter

    store = open_store(Settings())
    record = store.get(artifact)
    assert record is not None, "the file to evaluate is stored"
    file = store.path(record)
    model = ModelSummary.model_validate(summary)
    data = adapted(dataset, model)
    asked = data.test if part == "test" else data.validation
    examples = examples_digest(origins.resolve_dataset(dataset).digest, part)
    kept = store.get(predictions)
    if kept is None:
        report.emit("progress", step=0, of=len(asked), metrics={})
        scores = interpreter.predict(file, asked.x, threads=cores())
        scores = probabilities(scores, data.summary.task, model.activation, data.summary.targets)
        first = store.get(of_baseline)
        assert first is not None or predictions == of_baseline, "the baseline is evaluated before its variants"
        base = scores if first is None else array(store, first, "scores")
        y = truth(asked.y, data.summary.task, data.summary.targets, base)
        with store.draft() as out:
            np.savez_compressed(out / "predictions.npz", scores=scores, y=y)
            kept = store.commit(out, predictions, "predictions", "predictions.npz", {"file": record.digest})
    outputs = interpreter.output_shapes(file) if len(model.outputs) > 1 else ()
    labelled = KINDS[data.summary.task].labelled
    first = store.get(of_baseline) if labelled and predictions != of_baseline else None
    evidence = Evidence(
        file, data.summary.task, array(store, kept, "scores"), array(store, kept, "y"), outputs, data.summary.targets,
        baseline_scores=array(store, first, "scores") if first is not None else None,
    )  # fmt: skip
    told = evaluated(evidence, record.digest, baseline, examples, scope)
    _keep_summary(evaluation, told.reasons)
    return {
        "measurements": [m.model_dump(mode="json") for m in told.measurements],
        "differences": [d.model_dump(mode="json") for d in told.differences],
    }


def array(store: Store, kept: Artifact, name: str) -> np.ndarray:
    """One array of a file of arrays in the store."""
    import numpy as np

    with np.load(store.path(kept), allow_pickle=False) as arrays:
        return np.asarray(arrays[name])


def time_latency(
    report: Reporter,
    *,
    files: list[dict[str, str]],
    baseline: str,
    dataset: str,
    summary: dict[str, Any],
    threads: int,
    seconds: float,
    scope: str,
) -> list[dict[str, Any]]:
    """Times deployable files in turn with their baseline on this machine, on an example of the validation part.

    Each file is given by the key of its ``artifact`` and by ``timing``, the key under which it stays in the store why
    figures are absent. For each it is told which ``measurements`` there are, or which ``error`` there was.
    """
    from optimizers.litert import latency

    store = open_store(Settings())
    records = [store.get(file["artifact"]) for file in files]
    first = store.get(baseline)
    assert first is not None, "the baseline is stored"
    example = adapted(dataset, ModelSummary.model_validate(summary)).validation.x[:1]

    def together(chosen: Sequence[Artifact]) -> list[latency.Timing]:
        return latency.time_in_turn(
            [store.path(record) for record in chosen], store.path(first), threads=threads, example=example,
            seconds=seconds, progress=lambda step, of: report.emit("progress", step=step, of=of, metrics={}),
        )  # fmt: skip

    def told(file: dict[str, str], record: Artifact, found: latency.Timing, at: datetime) -> dict[str, Any]:
        evidence = Evidence(
            store.path(record),
            times_ms=found.times_ms,
            baseline_times_ms=None if record.key == baseline else found.baseline_times_ms,
            instances=found.instances,
            memory=found.memory,
        )
        common = {
            "scope": scope, "threads": threads, "others": found.others, "disturbed": found.disturbed, "measured_at": at,
        }  # fmt: skip
        measurements, absent = _timed(evidence, artifact_digest=record.digest, **common)
        _keep_summary(file["timing"], {"absent": absent})
        return {"measurements": measurements}

    known = [record for record in records if record is not None]
    assert len(known) == len(files), "the files to time are stored"
    at = now()
    try:
        return [told(*one, at) for one in zip(files, known, together(known), strict=True)]
    except NotApplicable as problem:
        if len(files) == 1:
            return [{"error": problem.to_dict()}]
    found = []
    for file, record in zip(files, known, strict=True):  # one of them does not run; the others need not suffer
        at = now()
        try:
            [alone] = together([record])
            found.append(told(file, record, alone, at))
        except NotApplicable as problem:
            found.append({"error": problem.to_dict()})
    return found


def _timed(evidence: Evidence, **common: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measurements of all that was timed, and why a figure is absent; ``common`` is told with each."""
    found, absent = [], {}
    for metric in registry.metrics().values():
        if metric.needs != "timing":
            continue
        try:
            value = metric.measure(evidence)
        except NotApplicable as reason:
            absent[metric.name] = reason.message
            continue
        measurement = Measurement(
            metric=metric.name,
            version=metric.version,
            value=value.value,
            unit=metric.unit,
            n=value.n,
            low=value.low,
            high=value.high,
            device=device(),
            versions=measuring_versions(),
            **common,
        )
        found.append(measurement.model_dump(mode="json"))
    return found, absent


def adapted(uri: str, model: ModelSummary) -> Dataset:
    """The data set in the form that the model wants. Raises `DataRefused` when there is no such form."""
    from optimizers.datasets import fit, vocabulary

    name = origins.resolve_dataset(uri).name
    data = fit.adapt_dataset(origins.load_dataset(uri), model.inputs, model.outputs, name, model.activation)
    vocabulary.check_examples(model, data, name)
    return data


def _shape(given: list[Any] | None) -> InputShape | None:
    """What JSON made lists of as tuples again."""
    return tuple(tuple(size) if isinstance(size, list) else size for size in given) if given else None


def _keep_summary(key: str, summary: dict[str, Any]) -> dict[str, Any]:
    store = open_store(Settings())
    with store.draft() as out:
        (out / "summary").write_text("kept in the record beside this file\n", encoding="utf-8")
        store.commit(out, key, "summary", "summary", summary)
    return summary


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value
