"""Makes reports of analyses in worker processes, remembers them, and answers pages without blocking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers import registry
from optimizers.datasets import fit
from optimizers.engine import progress
from optimizers.engine.background import Background
from optimizers.engine.plan import analysis_key, predictions_key, scope_of
from optimizers.engine.progress import Progress, ProgressWriter
from optimizers.engine.worker import Task
from optimizers.errors import Cancelled, NotApplicable, ParetoscopeError, ReadingStopped, WorkFailed
from optimizers.findings import Analysis, Report
from optimizers.history.frames import measurements_of
from optimizers.params import ParamSet, resolve
from optimizers.records import Run

if TYPE_CHECKING:
    from optimizers.engine.driver import Driver

_REMEMBERED = 500
_WORKERS = 2


@dataclass(frozen=True)
class Question:
    """Which analysis of which file.

    Attributes:
        run: A finished run.
        analysis: Name.
        given: Explicit parameters.
        of_baseline: Look at the run's baseline instead of its own file.
        against: A finished run whose file is the reference; the baseline unless given.
    """

    run: Run
    analysis: str
    given: Mapping[str, Any]
    of_baseline: bool = False
    against: Run | None = None


@dataclass(frozen=True)
class Look:
    """What is known about a question: a report, a problem in words, or how far the work is.

    ``key`` is that of the report in the store; it is empty where asking again would end as before.
    """

    report: Report | None = None
    problem: str = ""
    progress: Progress | None = None
    key: str = ""

    @property
    def pending(self) -> bool:
        return self.report is None and not self.problem


def analyse(driver: Driver, question: Question, cancelled: Callable[[], bool] = lambda: False) -> tuple[Report, str]:
    """The report, made once and then remembered, and its key in the store.

    Raises:
        UserError: A parameter or name is wrong.
        NotApplicable: The analysis does not suit the file; the message says why.
        Cancelled: ``cancelled`` became true.
    """
    declared, params, key = prepared(driver, question)
    known = driver.store.get(key)
    if known is None:
        writer = ProgressWriter(driver.settings.progress, _progress_name(key), 1)
        writer.stage(1, declared.title)

        def check() -> None:
            if cancelled():
                raise Cancelled("The analysis was cancelled.")

        def wait() -> None:
            writer.waiting("Somebody else is making the same report; it will be shared.")

        try:
            with driver.locks.exclusive(f"analysis-{key}", check, wait):
                if driver.store.get(key) is None:
                    _make(driver, question, declared, params, key, writer, cancelled)
        finally:
            progress.remove(driver.settings.progress, _progress_name(key))
        known = driver.store.get(key)
        assert known is not None, "a finished report is in the store"
    return declared.retell(Report.model_validate(known.report), params), key


def prepared(driver: Driver, question: Question) -> tuple[Analysis, ParamSet, str]:
    """The declared analysis, its parameters and the report's key. Raises as `analyse`."""
    declared = registry.analysis(question.analysis)
    params = resolve(declared.name, declared.params, dict(question.given))
    for run in filter(None, (question.run, question.against)):
        if run.state != "done" or not run.artifact_digest:
            raise NotApplicable(f"The run {run.recipe!r} has no file to look at: it is {run.state}.")
    against = question.against
    if against is not None and (against.model.digest, against.dataset.digest) != (
        question.run.model.digest,
        question.run.dataset.digest,
    ):
        raise NotApplicable("Only files of one model on one data set can be held against each other.")
    usual = {name: declared.params.model_fields[name].default for name in declared.afterwards}
    key = analysis_key(declared, params.model_copy(update=usual), _identity(driver, declared, question))
    return declared, params, key


def _make(
    driver: Driver,
    question: Question,
    declared: Analysis,
    params: ParamSet,
    key: str,
    writer: ProgressWriter,
    cancelled: Callable[[], bool],
) -> None:
    run = question.run
    _, model = driver.inspect_model(run.model.uri, cancelled)
    _, dataset = driver.inspect_dataset(run.dataset.uri, cancelled)
    task_name = fit.check_fit(model.inputs, model.outputs, dataset, run.dataset.name, model.activation)
    if task_name not in declared.tasks:
        raise NotApplicable(f"{declared.title} makes no sense for {task_name}.")
    subject, reference = _subjects(driver, question)
    task = Task(
        "optimizers.engine.analysis_task:analyse",
        {
            "key": key,
            "analysis": declared.name,
            "params": params.model_dump(mode="json"),
            "subject": subject,
            "reference": reference,
            "model": run.model.uri,
            "dataset": run.dataset.uri,
            "summary": model.model_dump(mode="json"),
            "data": dataset.model_dump(mode="json"),
            "threads": driver.settings.threads,
            "profile": _profile(driver, question) if "profile" in declared.uses else "",
        },
        "tensorflow" if declared.tensorflow else "light",
        "alone" if declared.alone else "work",
        str(driver.settings.logs / f"{key[:16]}.log"),
    )
    driver.executor.run(task, writer.event, cancelled)


def _subjects(driver: Driver, question: Question) -> tuple[dict[str, Any], dict[str, Any]]:
    run, against = question.run, question.against
    base = _subject(driver, run, of_baseline=True)
    return (
        base if question.of_baseline else _subject(driver, run),
        base if against is None else _subject(driver, against),
    )


def _subject(driver: Driver, run: Run, *, of_baseline: bool = False) -> dict[str, Any]:
    """What a worker process needs to find everything about one file."""
    scope = scope_of(run.model, run.dataset)
    digest = run.baseline_digest if of_baseline else run.artifact_digest
    key = run.baseline_key if of_baseline else run.artifact_key
    seen = run.model_copy(update={"artifact_digest": digest})
    stages = [key] if of_baseline else [stage.key for stage in run.stages]
    return {
        "name": "baseline" if digest == run.baseline_digest else run.recipe,
        "artifact": key,
        "stages": stages,
        "params": [] if of_baseline else [step.params for step in run.steps],
        "measured": {n: m.model_dump(mode="json") for n, m in measurements_of(driver.history, seen).items()},
        "predictions": predictions_key(digest, run.dataset, scope),
    }


def _identity(driver: Driver, declared: Analysis, question: Question) -> dict[str, Any]:
    """What the report depends on."""
    run, uses = question.run, declared.uses
    subject, reference = _subjects(driver, question)
    sides = {"subject": subject} | ({"reference": reference} if "reference" in uses else {})
    identity: dict[str, Any] = {"scope": scope_of(run.model, run.dataset), "model": run.model.digest}
    for side, told in sides.items():
        artifact = driver.store.get(told["artifact"])
        identity[side] = {"digest": artifact.digest if artifact else told["artifact"], "name": told["name"]}
        if "chain" in uses:
            identity[side]["stages"] = told["stages"]
        if "measurements" in uses:
            identity[side]["measured"] = {
                name: [m["version"], m["value"], m["low"], m["high"]] for name, m in told["measured"].items()
            }
    if uses & {"data", "predictions"}:
        identity["data"] = run.dataset.digest
    if "profile" in uses:
        identity["profile"] = _profile(driver, question)
    if declared.alone or "measurements" in uses:
        identity |= {"device": "; ".join(sorted(driver.executor.devices())), "threads": driver.settings.threads}
    return identity


def _profile(driver: Driver, question: Question) -> str:
    """Key of the report on time by operator, or nothing where it was not made."""
    _, _, key = prepared(driver, replace(question, analysis="profile", given={}))
    return key if driver.store.get(key) is not None else ""


def _progress_name(key: str) -> str:
    return f"analysis-{key[:32]}"


class AnalysisDesk:
    """Answers pages at once: asked again a moment later, the report is there. Safe to use from several threads."""

    def __init__(self, driver: Driver, closing: Callable[[], bool]) -> None:
        self._driver = driver
        self._closing = closing
        self._work = Background("analysis", _WORKERS, remembered=_REMEMBERED, lasting=(WorkFailed, ReadingStopped))
        self._cancelled: set[str] = set()

    def look(self, question: Question, *, start: bool = True) -> Look | None:
        """The report or how far it is. None where nobody has asked for it so far and ``start`` is false."""
        try:
            declared, params, key = prepared(self._driver, question)
        except ParetoscopeError as error:
            return Look(problem=error.message)
        known = self._driver.store.get(key)
        if known is not None:
            return Look(declared.retell(Report.model_validate(known.report), params), key=key)
        if key not in self._work:
            if not start:
                return None
            self._cancelled.discard(key)
        try:
            found = self._work.ask(
                key, partial(analyse, self._driver, question, lambda: self._closing() or key in self._cancelled)
            )
        except Exception as problem:
            if isinstance(problem, Cancelled):
                return None
            return Look(
                problem=problem.message if isinstance(problem, ParetoscopeError) else "The report could not be made.",
                key="" if isinstance(problem, NotApplicable) else key,  # trying again would say the same
            )
        if found is None:
            return Look(progress=progress.read(self._driver.settings.progress, _progress_name(key)), key=key)
        return Look(found[0], key=key)

    def cancel(self, key: str) -> None:
        """Stops the work on a report within a second."""
        self._cancelled.add(key)

    def again(self, key: str) -> None:
        """Forgets a failure, so that the next look tries once more."""
        self._work.forget(key)

    def file(self, key: str, name: str) -> Path:
        """A file that an analysis left beside its report. Raises `StoreDamaged`."""
        artifact = self._driver.store.get(key)
        assert artifact is not None, "the report is stored"
        return self._driver.store.path(artifact, name)

    def close(self) -> None:
        """Waits until nothing is at work; the executor must have been closed before."""
        self._work.close()
