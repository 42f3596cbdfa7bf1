"""What a worker process does for an analysis: puts together what it may use, and keeps its report in the store."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from optimizers import registry
from optimizers.declarations import Dataset
from optimizers.engine import origins
from optimizers.engine.store import Store, open_store
from optimizers.engine.tasks import Reporter, adapted, array
from optimizers.errors import NotApplicable
from optimizers.findings import ChainStep, Context, Predictions, Report, Subject
from optimizers.params import resolve
from optimizers.records import DatasetSummary, Measurement, ModelSummary
from optimizers.settings import Settings


def analyse(
    report: Reporter,
    *,
    key: str,
    analysis: str,
    params: dict[str, Any],
    subject: dict[str, Any],
    reference: dict[str, Any],
    model: str,
    dataset: str,
    summary: dict[str, Any],
    data: dict[str, Any],
    threads: int,
    profile: str = "",
) -> dict[str, Any]:
    """Makes a report; it is stored under ``key`` with the files that belong to it.

    Raises:
        NotApplicable: The analysis does not suit the file.
    """
    declared = registry.analysis(analysis)
    store = open_store(Settings())
    made = store.get(key)
    if made is not None:  # a worker was lost right after it had finished, and the task was given again
        return made.report
    known = ModelSummary.model_validate(summary)

    @cache
    def load() -> Dataset:
        return adapted(dataset, known)

    def progress(step: int, of: int, **metrics: float) -> None:
        report.emit("progress", step=step, of=of, metrics={k: float(v) for k, v in metrics.items()})

    def log(text: str) -> None:
        print(text, flush=True)

    with store.draft() as out:
        context = Context(
            subject=_subject(store, subject),
            reference=_subject(store, reference),
            original=origins.resolve_model(model)[0],
            model=known,
            dataset=DatasetSummary.model_validate(data),
            data=load,
            out=out,
            threads=threads,
            progress=progress,
            log=log,
            profile=_report(store, profile),
        )
        found = declared.analyse(context, resolve(analysis, declared.params, params))
        missing = [name for name in found.files if not (out / name).is_file()]
        assert not missing, f"the report names files that were not written: {missing}"
        content = found.model_dump(mode="json")
        (out / "report").write_text("kept in the record beside this file\n", encoding="utf-8")
        store.commit(out, key, "report", "report", content)
    return content


def _report(store: Store, key: str) -> Report | None:
    known = store.get(key) if key else None
    return Report.model_validate(known.report) if known is not None else None


def _subject(store: Store, told: Mapping[str, Any]) -> Subject:
    """A file with its chain, as far as the store still has it."""
    artifact = store.get(told["artifact"])
    if artifact is None:
        raise NotApplicable("The file is no longer in the store; run its recipe again to get it back.")

    def predict() -> Predictions:
        kept = store.get(told["predictions"])
        if kept is None:
            raise NotApplicable(f"The answers of {told['name']} on the test part are not in the store; run it again.")
        return Predictions(array(store, kept, "scores"), array(store, kept, "y"))

    stages = [store.get(key) for key in told["stages"]]
    given = [*told["params"], *({} for _ in stages)]
    chain = tuple(
        ChainStep(stage.report.get("technique", ""), params, stage.kind, store.path(stage), stage.report)
        for stage, params in zip(stages, given, strict=False)
        if stage is not None
    )
    measured = {name: Measurement.model_validate(m) for name, m in told["measured"].items()}
    return Subject(told["name"], store.path(artifact), artifact.digest, measured, chain, predict)
