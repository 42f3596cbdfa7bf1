"""Takes one run from its recipe to its measurements, using what the store already holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optimizers import forecast as forecasts
from optimizers import registry
from optimizers.datasets import fit, vocabulary
from optimizers.datasets.proposals import Proposal
from optimizers.declarations import InputShape
from optimizers.engine import origins
from optimizers.engine.evaluation import metric_versions
from optimizers.engine.executor import Executor
from optimizers.engine.lanes import Lane
from optimizers.engine.locks import locks_of
from optimizers.engine.plan import (
    Plan,
    Stage,
    evaluation_key,
    plan,
    predictions_key,
    rehearsal_key,
    scope_of,
    summary_key,
)
from optimizers.engine.progress import ProgressWriter
from optimizers.engine.store import open_store
from optimizers.engine.timing import Ask, TimingDesk, bench_of
from optimizers.engine.worker import Pool, Task
from optimizers.errors import Cancelled, DataRefused, ModelRefused, NotApplicable, Unexpected, WorkerDied
from optimizers.forecast import Forecast, Trained
from optimizers.history.database import History
from optimizers.kinds import KINDS
from optimizers.litert.file import is_litert
from optimizers.operation import metrics
from optimizers.recipe import Recipe, Step, check_source
from optimizers.records import (
    SHARED,
    Artifact,
    DatasetRef,
    DatasetSummary,
    Difference,
    Measurement,
    ModelRef,
    ModelSummary,
    Run,
    StageRecord,
    Target,
)
from optimizers.records import Task as TaskName
from optimizers.settings import Settings
from optimizers.techniques._training import NO_CLASSES, TrainingParams, check_augmentation

_TASKS = "optimizers.engine.tasks"
_REMEMBERED_RUNS = 100


class Driver:
    """Does the work of runs in the calling thread; the heavy parts happen in the executor's processes."""

    def __init__(self, settings: Settings, history: History, executor: Executor) -> None:
        self.settings = settings
        self.history = history
        self.executor = executor
        self.store = open_store(settings)
        self.locks = locks_of(settings, history)
        self.timing = TimingDesk(settings, history, self.store, executor, self.locks)

    # reading ------------------------------------------------------------------------------------------------------

    def inspect_model(self, uri: str, cancelled: Callable[[], bool] = lambda: False) -> tuple[ModelRef, ModelSummary]:
        """What a model is. Read once; afterwards the store answers. Raises `ModelRefused` or `UnknownName`."""
        path, ref = origins.resolve_model(uri)
        pool: Pool = "reader" if is_litert(path) else "tensorflow"
        return ref, ModelSummary.model_validate(self._summary("inspect_model", pool, ref, cancelled))

    def inspect_dataset(
        self, uri: str, cancelled: Callable[[], bool] = lambda: False
    ) -> tuple[DatasetRef, DatasetSummary]:
        """What a data set is. Read once; afterwards the store answers. Raises `DataRefused` or `UnknownName`."""
        ref = origins.resolve_dataset(uri)
        pool: Pool = "light" if ref.scope == SHARED else "reader"
        return ref, DatasetSummary.model_validate(self._summary("inspect_dataset", pool, ref, cancelled))

    def _summary(
        self, name: str, pool: Pool, ref: ModelRef | DatasetRef, cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        key = summary_key(ref, name)
        known = self.store.get(key)
        if known is not None:
            return known.report
        log = self.settings.logs / f"{key[:16]}.log"
        params, reading = {"uri": ref.uri, "key": key}, ref.scope != SHARED
        task = Task(f"{_TASKS}:{name}", params, pool, "interactive", str(log), reading)
        found: dict[str, Any] = self.executor.run(task, lambda event: None, cancelled)
        return found

    # looking ahead ------------------------------------------------------------------------------------------------

    def forecast(
        self, model: str, dataset: str, recipe: Recipe, cancelled: Callable[[], bool] = lambda: False
    ) -> Forecast:
        """What a recipe would do: layers touched and left alone, size of the file, time. Found once, then remembered.

        Raises:
            NotApplicable: A step cannot work on this model, or on what the steps before it leave of it.
            UserError: The model or the data cannot be read, or do not fit one another.
        """
        ref, summary = self.inspect_model(model, cancelled)
        dataset_ref, data = self.inspect_dataset(dataset, cancelled)
        task = check_fit(summary, data, dataset_ref.name)
        check_source(recipe, summary.kind)
        check_examples(recipe, summary, data)
        check_classes(recipe, task, targets_of(summary, data, dataset_ref.name))
        shape, whole = fit.open_shape(summary.inputs, data), recipe.complete()
        found = self._rehearsed(ref, whole, shape, cancelled)
        return forecasts.timed(found, whole, data.n_train, self._trainings())

    def _rehearsed(
        self, model: ModelRef, recipe: Recipe, shape: InputShape | None, cancelled: Callable[[], bool]
    ) -> Forecast:
        named = {uri: origins.resolve_model(uri)[1] for uri in recipe.models()}
        root = {"model": model.digest, "input_shape": shape, "models": {u: r.digest for u, r in named.items()}}
        key = rehearsal_key(root, recipe, model.scope)
        known = self.store.get(key)
        if known is not None:
            return Forecast.model_validate(known.report)
        steps = [{"technique": s.technique.name, "params": s.params.model_dump(mode="json")} for s in recipe.steps]
        params = {"key": key, "model": model.uri, "steps": steps, "input_shape": shape, "models": list(named)}
        log = str(self.settings.logs / f"{key[:16]}.log")
        task = Task(f"{_TASKS}:rehearse", params, "tensorflow", "interactive", log)
        return Forecast.model_validate(self.executor.run(task, lambda event: None, cancelled))

    def _trainings(self) -> list[Trained]:
        """What trainings took on this machine lately."""
        runs = self.history.runs(states=("done", "failed", "cancelled"), study=None, limit=_REMEMBERED_RUNS)
        told = [stage.trained for run in runs for stage in run.stages if stage.trained]
        return [Trained.model_validate(trained) for trained in told]

    def propose(self, model: str, dataset: str, cancelled: Callable[[], bool] = lambda: False) -> Proposal:
        """How the data are best prepared for the model. Raises `UserError`, see `optimizers.engine.proposing`."""
        from optimizers.engine import proposing

        return proposing.propose(self, model, dataset, cancelled)

    def planned(self, run: Run, recipe: Recipe, cancelled: Callable[[], bool] = lambda: False) -> Plan:
        """The stages of a recipe on what a run works on, with its seed. Raises `UserError` if unreadable."""
        _, summary = self.inspect_model(run.model.uri, cancelled)
        _, data = self.inspect_dataset(run.dataset.uri, cancelled)
        named = {uri: origins.resolve_model(uri)[1] for uri in recipe.models()}
        return plan(run.model, run.dataset, recipe, run.seed, fit.open_shape(summary.inputs, data), named)

    # running ------------------------------------------------------------------------------------------------------

    def drive(
        self,
        run: Run,
        cancelled: Callable[[], bool],
        progress_folder: Path,
        aside: Callable[[], None] = lambda: None,
        queued: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """Fields of the finished run: stages, artifact and baseline.

        Args:
            run: What to do.
            cancelled: Asked many times a second.
            progress_folder: Where it is told how far the run is.
            aside: Called when nothing is left to do but timing, for which the run may have to wait.
            queued: Whether there are runs that have not begun.

        Raises:
            Cancelled: ``cancelled`` became true.
            ParetoscopeError: The run failed; its message is the reason.
        """
        recipe = Recipe(tuple(Step.of(step.technique, **step.given) for step in run.steps))
        progress = ProgressWriter(progress_folder, run.id, len(recipe.complete().steps) + 2)
        progress.stage(0, "Reading model and data")
        model, summary = self.inspect_model(run.model.uri, cancelled)
        dataset, data = self.inspect_dataset(run.dataset.uri, cancelled)
        _check_unchanged(run, model, dataset)
        task = check_fit(summary, data, dataset.name)
        check_source(recipe, summary.kind)
        check_examples(recipe, summary, data)
        check_classes(recipe, task, targets_of(summary, data, dataset.name))
        shape = fit.open_shape(summary.inputs, data)
        self._look_ahead(run, recipe, cancelled)
        chain = self.planned(run, recipe, cancelled)
        return _Work(self, run, progress, cancelled, summary, shape, recipe.models()).finish(chain, aside, queued)

    def _look_ahead(self, run: Run, recipe: Recipe, cancelled: Callable[[], bool]) -> None:
        """Keeps the forecast with the run. A recipe that cannot work fails here, before anything is trained."""
        if run.forecast:
            return
        try:
            expected = self.forecast(run.model.uri, run.dataset.uri, recipe, cancelled)
        except (Unexpected, WorkerDied):
            return  # the run itself will tell; its log names the fault
        self.history.update(run.id, forecast=expected.model_dump(mode="json"))


class _Work:
    """One run in progress."""

    def __init__(
        self,
        driver: Driver,
        run: Run,
        progress: ProgressWriter,
        cancelled: Callable[[], bool],
        summary: ModelSummary,
        shape: InputShape | None,
        models: tuple[str, ...],
    ) -> None:
        self.models = models
        self.driver, self.run, self.progress, self.cancelled = driver, run, progress, cancelled
        self.summary, self.shape = summary.model_dump(mode="json"), shape
        self.scope = scope_of(run.model, run.dataset)
        self.locks = driver.locks
        self.log = str(driver.settings.logs / f"{run.id}.log")

    def finish(self, chain: Plan, aside: Callable[[], None], queued: Callable[[], bool]) -> dict[str, Any]:
        told: list[StageRecord] = []
        given = self.summary["kind"] == "tflite"
        self.progress.stage(1, "Taking the original as it is" if given else "Converting the original to float32")
        baseline, _ = self._ensure(chain.baseline)
        artifact = baseline
        for number, stage in enumerate(chain.stages, start=2):
            self.progress.stage(number, stage.step.technique.title)
            artifact, record = self._ensure(stage)
            told.append(record)
            self.driver.history.update(self.run.id, stages=tuple(told))
        self.progress.stage(len(chain.stages) + 2, "Measuring the file")
        for file in (baseline, artifact):
            self._evaluate(file, baseline)
        if self.run.timed:
            aside()
            ask = Ask((baseline, artifact), baseline, self.summary, self.log, self.progress.event, queued)
            self.driver.timing.time(bench_of(self.run), ask, self._check)
        return {
            "stages": tuple(told),
            "artifact_key": artifact.key,
            "artifact_digest": artifact.digest,
            "baseline_key": baseline.key,
            "baseline_digest": baseline.digest,
        }

    def _ensure(self, stage: Stage) -> tuple[Artifact, StageRecord]:
        """The stage's result, computed only if nobody has computed it, and waited for if somebody is at it."""
        store, name = self.driver.store, stage.step.technique.name
        started = time.monotonic()
        known = store.get(stage.key)
        if known is None:
            with self.locks.exclusive(f"stage-{stage.key}", self._check, self._wait_for_other):
                known = store.get(stage.key)
                if known is None:
                    self._run(
                        "run_stage",
                        "tensorflow",
                        "work",
                        key=stage.key,
                        model=self.run.model.uri,
                        parent=stage.parent,
                        dataset=self.run.dataset.uri,
                        technique=name,
                        params=stage.step.params.model_dump(mode="json"),
                        seed=stage.seed,
                        summary=self.summary,
                        input_shape=self.shape,
                        held=sorted(stage.held),
                        models=list(self.models),
                        scope=self.scope,
                    )
                    known = store.get(stage.key)
                    assert known is not None, "a finished stage is in the store"
                    told = {"seconds": time.monotonic() - started, "trained": known.report.get("trained", {})}
                    metrics.stage_ended(name, "computed", told["seconds"])
                    return known, StageRecord(key=stage.key, technique=name, origin="computed", **told)
        seconds = time.monotonic() - started
        metrics.stage_ended(name, "store", seconds)
        return known, StageRecord(key=stage.key, technique=name, origin="store", seconds=seconds)

    def _evaluate(self, artifact: Artifact, baseline: Artifact) -> None:
        dataset = self.run.dataset
        part = self.run.part
        key = predictions_key(artifact.digest, dataset, self.scope, part)
        done = evaluation_key(key, baseline.digest, metric_versions())
        with self.locks.exclusive(f"evaluate-{key}", self._check, self._wait_for_other):
            known = self._measured(artifact, "predictions", self.run.examples_digest) and self._measured(
                artifact, "file", ""
            )
            if known and self.driver.store.get(done) is not None:
                return
            found = self._run(
                "evaluate",
                "light",
                "work",
                artifact=artifact.key,
                predictions=key,
                baseline=baseline.digest,
                of_baseline=predictions_key(baseline.digest, dataset, self.scope, part),
                evaluation=done,
                dataset=dataset.uri,
                part=part,
                summary=self.summary,
                scope=self.scope,
            )
            self.driver.history.record(Measurement.model_validate(m) for m in found["measurements"])
            self.driver.history.record_differences(Difference.model_validate(d) for d in found["differences"])

    def _measured(self, artifact: Artifact, needs: str, dataset_digest: str) -> bool:
        """Whether some metric of that kind is known for the file, in its present version."""
        known = registry.metrics()
        return any(
            m.metric in known
            and (known[m.metric].needs, known[m.metric].version) == (needs, m.version)
            and m.dataset_digest == dataset_digest
            for m in self.driver.history.measurements([artifact.digest], scopes=[self.scope])
        )

    def _run(self, name: str, pool: Pool, lane: Lane, **params: Any) -> Any:
        self._check()
        task = Task(f"{_TASKS}:{name}", params, pool, lane, self.log)
        return self.driver.executor.run(task, self.progress.event, self.cancelled)

    def _check(self) -> None:
        if self.cancelled():
            raise Cancelled("The run was cancelled.")

    def _wait_for_other(self) -> None:
        self.progress.waiting("Another run is computing the same step; its result will be shared.")


def check_fit(model: ModelSummary, data: DatasetSummary, name: str = "") -> TaskName:
    """What the model does with the data. Raises `DataRefused` when the data set of that name does not fit it."""
    task = fit.check_fit(model.inputs, model.outputs, data, name, model.activation)
    vocabulary.check_summary(model, data, name or data.source)
    return task


def targets_of(model: ModelSummary, data: DatasetSummary, name: str = "") -> tuple[Target, ...]:
    """What each of several outputs is to say, see `optimizers.datasets.fit.targets_of`."""
    return fit.targets_of(model.outputs, data, name)


def check_examples(recipe: Recipe, model: ModelSummary, data: DatasetSummary) -> None:
    """Raises `NotApplicable` when a recipe trains, and the examples are not made for that, or cannot be varied so."""
    trains = next((step.technique.title for step in recipe.complete().steps if "train" in step.technique.needs), None)
    if trains is not None and data.drawn:
        raise NotApplicable(
            f"{trains} trains, and from random inputs nothing can be learned; bring data, or choose steps that do not "
            "train."
        )
    inputs = [(spec.dtype, len(spec.shape)) for spec in model.inputs]
    for step in recipe.steps:
        if isinstance(step.params, TrainingParams):
            check_augmentation(step.params.augmentation, inputs)


def check_classes(recipe: Recipe, task: TaskName, targets: tuple[Target, ...] = ()) -> None:
    """Raises `NotApplicable` when a recipe weighs classes, and no output tells one class of each example."""
    if any(KINDS[each].one_class for each in (task, *(target.task for target in targets))):
        return
    for step in recipe.steps:
        if isinstance(step.params, TrainingParams) and step.params.class_weights != "none":
            raise NotApplicable(NO_CLASSES)


def _check_unchanged(run: Run, model: ModelRef, dataset: DatasetRef) -> None:
    if model.digest != run.model.digest:
        raise ModelRefused(f"The file of {run.model.name} has changed since this run was asked for; start a new run.")
    if dataset.digest != run.dataset.digest:
        raise DataRefused(f"The file of {run.dataset.name} has changed since this run was asked for; start a new run.")
