"""What a report tells about a comparison, in words and numbers, before it takes any form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from optimizers import registry
from optimizers.engine.driver import check_fit
from optimizers.engine.plan import summary_key
from optimizers.engine.store import Store
from optimizers.engine.versions import measuring_versions, work_versions
from optimizers.errors import NotApplicable
from optimizers.figures import format as fmt
from optimizers.figures.highlights import best
from optimizers.figures.repeats import repeats_table
from optimizers.figures.tradeoff import speedup_of
from optimizers.history.database import History
from optimizers.history.frames import comparison, headline, leading, metric_columns
from optimizers.history.repeated import rankings, repeated_metrics
from optimizers.ledger import losses, stages_of
from optimizers.params import fields
from optimizers.records import DatasetSummary, ModelSummary, Run, StepRecord, now

_OVERVIEW = ("size_bytes", "compressed_bytes", "latency_ms")
"""Metrics of the short table, behind the one that tells quality."""
_OVER_SEEDS = ("compressed_bytes", "speedup")
"""Metrics of which repeats are told, behind the one that tells quality."""


@dataclass(frozen=True)
class Cell:
    """One number as people read it; ``change`` compares with the baseline."""

    metric: str
    title: str
    value: str
    interval: str
    change: str
    better: str


@dataclass(frozen=True)
class Step:
    """One step of a recipe: settings, what it told, and layers it left alone with the reason."""

    title: str
    settings: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    skipped: dict[str, str]


@dataclass(frozen=True)
class File:
    """One deployable file of the comparison."""

    name: str
    is_baseline: bool
    digest: str
    size_bytes: int | None
    seed: int
    cells: tuple[Cell, ...]
    steps: tuple[Step, ...]
    lost: tuple[str, ...]

    def cell(self, metric: str) -> Cell | None:
        """What is told of a metric, None where it was not measured."""
        return next((cell for cell in self.cells if cell.metric == metric), None)


@dataclass(frozen=True)
class Subject:
    """One model on one data set: names, digests, and facts as pairs of words."""

    model: str
    data: str
    model_digest: str
    data_digest: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Repeated:
    """What seeds tell about one metric of one model on its data: a sentence, and a table of texts."""

    title: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Content:
    """Everything that a report tells."""

    title: str
    frame: pd.DataFrame
    subjects: tuple[Subject, ...]
    highlights: tuple[tuple[str, str], ...]
    overview: tuple[str, ...]
    files: tuple[File, ...]
    failed: tuple[tuple[str, str], ...]
    devices: tuple[str, ...]
    versions: dict[str, str]
    repeated: tuple[Repeated, ...] = ()
    made: datetime = field(default_factory=now)


def content(history: History, store: Store, run_ids: Sequence[str], title: str = "") -> Content:
    """What is told about runs.

    Args:
        history, store: Where runs, measurements and reports of steps lie.
        run_ids: Of the runs to compare.
        title: A heading; made from the names of model and data where it is empty.

    Raises:
        NotApplicable: None of the runs has left a file.
    """
    found = {run.id: run for run in history.runs(list(run_ids)) if run.part == "test"}
    runs = [found[i] for i in run_ids if i in found]
    frame = comparison(history, [run.id for run in runs])
    if frame.empty:
        raise NotApplicable("There is no finished file to tell about yet; a report needs a run that is done.")
    pairs = list(dict.fromkeys(f"{run.model.name} on {run.dataset.name}" for run in runs))
    quality = headline(frame)
    return Content(
        title=title or ", ".join(pairs),
        frame=frame,
        subjects=tuple(_subjects(store, runs)),
        highlights=tuple(_highlights(frame, quality)),
        overview=(*leading(frame), *(name for name in _OVERVIEW if name in frame)),
        files=tuple(_file(store, row, found.get(str(row["run_id"])), frame) for _, row in frame.iterrows()),
        failed=tuple((r.recipe, r.failure.message if r.failure else f"It is {r.state}.") for r in runs if _no_file(r)),
        devices=tuple(dict.fromkeys(str(device) for device in frame["device"] if device)),
        versions=work_versions() | measuring_versions(),
        repeated=tuple(_repeated(frame, quality)),
    )


def _repeated(frame: pd.DataFrame, quality: str | None) -> list[Repeated]:
    """What seeds tell about the metrics that matter most; nothing where no recipe was repeated."""
    found = []
    for name in repeated_metrics(frame):
        if name in (quality, *_OVER_SEEDS):
            for (model, data), ranking in rankings(frame, name).items():
                table = repeats_table(ranking, name)
                title = f"{registry.metric(name).title} over seeds, {model} on {data}"
                rows = tuple(tuple(map(str, row)) for row in table.to_numpy())
                found.append(Repeated(title, ranking.sentence, tuple(table.columns), rows))
    return found


def _no_file(run: Run) -> bool:
    return run.state != "done"


def _subjects(store: Store, runs: Sequence[Run]) -> list[Subject]:
    told: dict[tuple[str, str], Subject] = {}
    for run in runs:
        told.setdefault((run.model.digest, run.dataset.digest), _subject(store, run))
    return list(told.values())


def _subject(store: Store, run: Run) -> Subject:
    facts: list[tuple[str, str]] = []
    notes: tuple[str, ...] = ()
    model: ModelSummary | None = None
    kept = store.get(summary_key(run.model, "inspect_model"))
    if kept is not None:
        model = ModelSummary.model_validate(kept.report)
        facts += [("Format", model.format), ("Parameters", fmt.count(model.parameters))]
    kept = store.get(summary_key(run.dataset, "inspect_dataset"))
    if kept is not None:
        data = DatasetSummary.model_validate(kept.report)
        parts = (data.n_train, data.n_validation, data.n_test)
        facts += [
            ("Task", check_fit(model, data, run.dataset.name) if model is not None else data.task),
            ("Examples", "{} for training, {} for validation, {} for the test".format(*map(fmt.count, parts))),
        ]
        facts += [(name, text) for name, text in (("Source", data.source), ("Licence", data.licence)) if text]
        notes = data.notes
    return Subject(run.model.name, run.dataset.name, run.model.digest, run.dataset.digest, tuple(facts), notes)


def _highlights(frame: pd.DataFrame, quality: str | None) -> list[tuple[str, str]]:
    """The best variant in size, speed and quality, each with what it costs."""
    known, told = registry.metrics(), []
    for word, name, place in best(frame, quality):
        row = frame.loc[place]
        parts = [f"{fmt.inside(known[n].title)} {_with_change(row, n)}" for n in (name, quality) if n and n in frame]
        told.append((f"{word}: {row['variant']}", "; ".join(dict.fromkeys(parts))))
    return told


def _with_change(row: pd.Series, name: str) -> str:
    metric = registry.metric(name)
    change = fmt.change(metric, row.get(f"{name}_change"), speedup_of(row))
    bounds = _change_bounds(row, name)
    return fmt.value(metric, row[name]) + (f" ({change}{f', {bounds}' if bounds else ''})" if change else "")


def _change_bounds(row: pd.Series, name: str) -> str:
    low, high = row.get(f"{name}_change_low"), row.get(f"{name}_change_high")
    if low is None or high is None or fmt.missing(low) or fmt.missing(high):
        return ""
    metric = registry.metric(name)
    return f"95% interval {fmt.change(metric, low)} to {fmt.change(metric, high)}"


def _file(store: Store, row: pd.Series, run: Run | None, frame: pd.DataFrame) -> File:
    artifact = store.get(str(row["artifact_key"])) if row["artifact_key"] else None
    reports = [kept.report if (kept := store.get(stage.key)) else {} for stage in run.stages] if run else []
    return File(
        name="baseline (float32)" if row["is_baseline"] else str(row["variant"]),
        is_baseline=bool(row["is_baseline"]),
        digest=str(row["artifact_digest"]),
        size_bytes=artifact.size_bytes if artifact else None,
        seed=int(row["seed"]),
        cells=tuple(_cell(row, name) for name in metric_columns(frame) if not fmt.missing(row[name])),
        steps=tuple(_step(step, report) for step, report in zip(run.steps, reports, strict=False)) if run else (),
        lost=tuple(loss.sentence for loss in losses(stages_of([r for r in reports if r]))),
    )


def _cell(row: pd.Series, name: str) -> Cell:
    metric = registry.metric(name)
    change = "" if row["is_baseline"] else fmt.change(metric, row.get(f"{name}_change"), speedup_of(row))
    bounds = "" if row["is_baseline"] else _change_bounds(row, name)
    return Cell(
        metric=name,
        title=metric.title,
        value=fmt.value(metric, row[name]),
        interval=fmt.interval(metric, row[f"{name}_low"], row[f"{name}_high"]),
        change=f"{change} ({bounds})" if bounds else change,
        better=f"{metric.direction} is better",
    )


def _step(step: StepRecord, report: dict[str, Any]) -> Step:
    technique = registry.technique(step.technique)
    declared = [f for f in fields(technique.params) if f.name in step.params]
    return Step(
        title=technique.title,
        settings=tuple((f.label, _shown(f.percent, step.params[f.name])) for f in declared),
        notes=tuple(str(note) for note in report.get("notes", ())),
        skipped={str(name): str(why) for name, why in (report.get("skipped") or {}).items()},
    )


def _shown(percent: bool, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if percent and isinstance(value, int | float):
        return f"{value * 100:g}%"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
