"""Everything about one file: recipe, measurements, steps, and the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.declarations import INSIDE
from optimizers.engine.evaluation import absent, uncompared
from optimizers.engine.queue import JobQueue
from optimizers.errors import StoreDamaged
from optimizers.figures import format as fmt
from optimizers.figures.curves import history_data, training_loss
from optimizers.figures.names import names
from optimizers.figures.theme import CONFIG
from optimizers.figures.tradeoff import identities, speedup_of
from optimizers.forecast import Forecast
from optimizers.history.frames import leading, metric_columns
from optimizers.naming import file_stem, without_ending
from optimizers.params import fields
from optimizers.records import Run, StageRecord, StepRecord
from pages.components import selection
from pages.components.on_opening import on_opening
from pages.components.text import code, escaped
from pages.components.values import shown
from pages.components.why import why

_FIRST = ("size_bytes", "compressed_bytes", "latency_ms", "speedup")
"""Figures that are shown at once, beside what leads the comparison."""

_BUSY = 0.5
"""Cores from which on it is told that others were at work while a file was timed."""


def details(queue: JobQueue, frame: pd.DataFrame, runs: list[Run]) -> None:
    """The panel of the chosen file."""
    ids = identities(frame)
    called = dict(zip(ids, names(frame, full=True), strict=True))
    selection.choice(frame)
    chosen = selection.looked_at()[0]
    row = frame.iloc[ids.index(chosen)]
    st.markdown(code(row["variant"]))
    with st.container(horizontal=True, gap="small"):
        _download(queue, row, called[chosen], main=True)
        baselines = frame[frame["is_baseline"].astype(bool) & (frame["model"] == row["model"])]
        if not row["is_baseline"] and not baselines.empty:
            _download(queue, baselines.iloc[0], "baseline", main=False)
    why(queue, row, runs)
    _measurements(frame, row)
    run = next((run for run in runs if run.id == row["run_id"]), None)
    if run is not None:
        _absent(queue, run, [name for name in metric_columns(frame) if not fmt.missing(row[name])])
    if run is not None and run.stages:
        _steps(queue, run)
        _forecast(run, row)


def _download(queue: JobQueue, row: pd.Series, name: str, *, main: bool) -> None:
    artifact = queue.store.get(str(row["artifact_key"])) if row["artifact_key"] else None
    if artifact is None:
        st.caption("The file is no longer in the store; run the recipe again to get it back.")
        return
    try:
        path: Path = queue.store.path(artifact)
    except StoreDamaged:
        st.caption("The file in the store is damaged; run the recipe again to get it back.")
        return
    st.download_button(
        f"Download .tflite ({fmt.size(artifact.size_bytes)})" if main else "Baseline",
        data=path.read_bytes, file_name=file_name(str(row["model"]), name), mime="application/octet-stream",
        type="primary" if main else "secondary", icon=":material/download:", on_click="ignore",
        key="download" if main else "download-baseline",
        help=None if main else "Download the float32 file that everything is compared with",
    )  # fmt: skip


def file_name(model: str, variant: str) -> str:
    """What a deployable file is called when it is downloaded."""
    return f"{file_stem(without_ending(model), variant)}.tflite"


def _measurements(frame: pd.DataFrame, row: pd.Series) -> None:
    known, head = registry.metrics(), ["| | Measured | Against the baseline |", "|:--|:--|:--|"]
    first = {*leading(frame), *_FIRST}
    lines, others, inside = list(head), list(head), list(head)
    for name in metric_columns(frame):
        metric = known[name]
        if row["is_baseline"] and metric.unit == "x":
            continue  # a ratio to itself
        bounds = fmt.unbroken(fmt.interval(metric, row[f"{name}_low"], row[f"{name}_high"]))
        change = "" if row["is_baseline"] else fmt.change(metric, row[f"{name}_change"], speedup_of(row))
        paired = fmt.change_interval(metric, row.get(f"{name}_change_low"), row.get(f"{name}_change_high"))
        change += f" :gray[:small[{fmt.unbroken(paired)}]]" if change and paired else ""
        value = fmt.value(metric, row[name])
        table = lines if name in first else others if metric.rank < INSIDE else inside
        table.append(f"| {metric.title} | **{value}** :gray[:small[{bounds}]] | {change} |")
    st.markdown("\n".join(lines))
    st.caption(_counts(frame, row))
    more = (
        ("Other measurements", "others", "straighten", others),
        ("Weights, work and memory", "inside", "data_object", inside),
    )
    for title, key, icon, rows in more:
        if len(rows) > len(head) and (place := on_opening(title, key, f":material/{icon}:")):
            place.markdown("\n".join(rows))


def _absent(queue: JobQueue, run: Run, measured: list[str]) -> None:
    """Figures that the task has but this file has not, or that are not held against the baseline, and why."""
    known = registry.metrics()
    without = absent(queue.store, run, queue.driver.settings.threads, measured)
    for what, reasons in (("Not measured", without), ("Not compared with the baseline", uncompared(queue.store, run))):
        told = [f"*{known[name].title}*: {escaped(reason)}" for name, reason in reasons.items()]
        if told:
            st.caption(f"{what}. {' '.join(told)}")


def _counts(frame: pd.DataFrame, row: pd.Series) -> str:
    """How many examples and timed runs are behind the figures, and where the time was taken."""
    known, parts = registry.metrics(), []
    for needs, what in (("predictions", "test examples"), ("timing", "timed runs")):
        counts = [
            row[f"{n}_n"] for n in metric_columns(frame) if known[n].needs == needs and not pd.isna(row[f"{n}_n"])
        ]
        if counts:
            parts.append(f"{fmt.count(counts[0])} {what}")
    ratio = row.get("speedup")
    if ratio is not None and not pd.isna(ratio):
        parts.append(fmt.precision(ratio, row["speedup_low"], row["speedup_high"], row["disturbed"]))
    if row["device"]:
        threads = int(row["threads"] or 0)
        told = f", {threads} thread{'s' if threads > 1 else ''}" if threads else ""
        parts.append(escaped(str(row["device"])) + told)
    if not fmt.missing(row["others"]) and row["others"] >= _BUSY:
        parts.append(f"others kept {row['others']:.1f} cores busy meanwhile")
    return " · ".join(["Grey: 95% interval", *parts])


def _steps(queue: JobQueue, run: Run) -> None:
    steps = [*run.steps, *(StepRecord(technique=s.technique) for s in run.stages[len(run.steps) :])]
    for number, (step, stage) in enumerate(zip(steps, run.stages, strict=False), start=1):
        technique = registry.technique(step.technique)
        origin = "from the store" if stage.origin == "store" else fmt.elapsed(stage.seconds)
        if place := on_opening(f"Step {number}: {technique.title} ({origin})", f"step-{number}"):
            with place:
                _step(queue, step, stage, number)


def _step(queue: JobQueue, step: StepRecord, stage: StageRecord, number: int) -> None:
    declared = fields(registry.technique(step.technique).params)
    said = [(f.label, shown(f, step.params[f.name])) for f in declared if f.name in step.params]
    values = [f"{label}: **{escaped(value)}**" for label, value in said]
    if values:
        st.markdown(" · ".join(values))
    artifact = queue.store.get(stage.key)
    report: dict[str, Any] = artifact.report if artifact else {}
    for note in report.get("notes", ()):
        st.markdown(f"- {escaped(str(note))}")
    skipped = report.get("skipped") or {}
    if skipped:
        st.markdown("**Left alone**\n" + "\n".join(f"- {code(n)}: {escaped(str(why))}" for n, why in skipped.items()))
    figures = report.get("figures") or {}
    history = figures.get("history")
    if isinstance(history, dict) and not history_data(history).empty:
        chart = training_loss(history, learned_from=str(figures.get("learned_from", "labels")))
        st.plotly_chart(chart, config=CONFIG, key=f"history-{number}", alt="Loss by epoch")
    if not (values or skipped or report.get("notes")):
        st.caption("This step has no settings, and nothing to note.")


def _forecast(run: Run, row: pd.Series) -> None:
    """What was expected before the run beside what was measured."""
    if not run.forecast:
        return
    expected = Forecast.model_validate(run.forecast)
    lines = []
    for name, forecast in (("size_bytes", expected.size_bytes), ("compressed_bytes", expected.compressed_bytes)):
        measured = row.get(name)
        if measured is not None and not pd.isna(measured):
            told = f"{fmt.size(forecast)} expected, **{fmt.size(float(measured))}** measured"
            lines.append(f"- {registry.metric(name).title}: {told} :gray[({off(float(measured), forecast, 'more')})]")
    taken = sum(stage.seconds for stage in run.stages)
    if expected.seconds and all(stage.origin == "computed" for stage in run.stages):
        told = f"{fmt.elapsed(expected.seconds)} expected, **{fmt.elapsed(taken)}** taken"
        lines.append(f"- Time: {told} :gray[({off(taken, expected.seconds, 'longer')})]")
    if place := on_opening("Forecast and truth", "forecast", ":material/query_stats:"):
        place.markdown("\n".join(lines))


def off(measured: float, expected: float, more: str) -> str:
    """How the truth differs from what was expected: ``12% more``, ``3.1 times as long``."""
    ratio = measured / expected
    if round(ratio, 2) == 1:
        return "as expected"
    if ratio >= 2:
        return f"{ratio:.1f} times as {'long' if more == 'longer' else 'much'}"
    return f"{ratio - 1:.0%} {more}" if ratio > 1 else f"{1 - ratio:.0%} {'shorter' if more == 'longer' else 'less'}"
