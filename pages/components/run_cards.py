"""One run as a card: what it does, how far it is, how it ended. Cards keep their height while a run works."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.engine.progress import Progress
from optimizers.engine.queue import JobQueue
from optimizers.figures import format as fmt
from optimizers.figures.curves import in_words, live_loss
from optimizers.figures.theme import CONFIG
from optimizers.figures.tradeoff import speedup_of
from optimizers.history.database import UNFINISHED
from optimizers.history.frames import headline
from optimizers.records import Run
from pages.components import run_notes
from pages.components.on_opening import on_opening
from pages.components.text import code, escaped

_BADGES = {
    "queued": ("Waiting", ":material/schedule:", "gray"),
    "interrupted": ("Waiting", ":material/schedule:", "gray"),
    "running": ("Running", ":material/progress_activity:", "blue"),
    "done": ("Done", ":material/check_circle:", "green"),
    "failed": ("Failed", ":material/error:", "red"),
    "cancelled": ("Cancelled", ":material/cancel:", "gray"),
}
_LOG_CHARACTERS = 6000


def run_card(
    queue: JobQueue, run: Run, results: pd.DataFrame, *, mine: bool, several_models: bool, tags: Sequence[str] = ()
) -> None:
    """Draws the card; only whoever started the run may stop, repeat, tag or delete it and read its log.

    ``results`` is the comparison that holds the run once it is done; ``tags`` are those that are proposed.
    """
    progress = queue.progress(run.id) if run.state == "running" else None
    with st.container(border=True, key=f"card-{run.id}", gap="xsmall"):
        _title(queue, run, mine, several_models, tags)
        if run.state in UNFINISHED:
            left, right = st.columns([5, 3], gap="medium", vertical_alignment="center")
            with left:
                _state(run, progress)
            right.plotly_chart(
                live_loss(progress.curve, progress.validated, progress.figure) if progress else live_loss(()),
                config=CONFIG | {"staticPlot": True}, key=f"curve-{run.id}",
                alt="Training loss so far, and what the epochs validated",
            )  # fmt: skip
        else:
            if run.state == "done":
                _results(results, run)
            _state(run, progress)
        run_notes.shown(run)
        if mine:
            _log(queue, run)


def _title(queue: JobQueue, run: Run, mine: bool, several_models: bool, tags: Sequence[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if run.state == "done":
            st.checkbox(f"Select {run.recipe}", key=f"pick:{run.id}", label_visibility="collapsed", width="content")
        label, icon, colour = _BADGES[run.state]
        st.badge(label, icon=icon, color=colour)
        st.markdown(code(run.recipe), width="content")
        if run.seed:
            st.caption(f"seed {run.seed}", width="content")
        if several_models:
            st.caption(f"{escaped(run.model.name)} on {escaped(run.dataset.name)}", width="content")
        st.space("stretch")
        _actions(queue, run, mine)
        if mine:
            run_notes.menu(queue, run, tags)


def _state(run: Run, progress: Progress | None) -> None:
    if run.state == "queued":
        st.progress(0.0, "Waiting for its turn")
        st.caption("It starts as soon as a worker is free.")
    elif run.state == "interrupted":
        st.progress(0.0, "Interrupted")
        st.caption(
            "It goes on from its last finished step when what it waits for is back: the app, a worker, the store."
        )
    elif run.state == "running":
        st.progress(fraction(progress), told(progress))
        st.caption(details(run, progress))
    elif run.state == "failed" and run.failure is not None:
        where = f" in step {escaped(run.failure.stage)}" if run.failure.stage else ""
        st.markdown(f":red[Failed{where}.] {escaped(run.failure.message)}")
    else:
        st.caption(ending(run))


def fraction(progress: Progress | None) -> float:
    """How much of the run is behind it, from 0 to 1, all steps counting alike."""
    if progress is None or progress.stage < 1:
        return 0.0
    within = progress.step / progress.of if progress.of else 0.0
    return min(1.0, max(0.0, (progress.stage - 1 + min(1.0, within)) / progress.stages))


def told(progress: Progress | None) -> str:
    """``Step 2 of 4: Magnitude pruning, 45%``."""
    if progress is None or progress.stage < 1:
        return progress.title if progress else "Starting"
    share = f", {progress.step / progress.of:.0%}" if progress.of else ""
    return f"Step {progress.stage} of {progress.stages}: {progress.title}{share}"


def details(run: Run, progress: Progress | None) -> str:
    """Figures, time left and why it waits, in one line that is never empty."""
    parts = (
        [] if progress is None or progress.waiting else [f"{in_words(k)} {v:.4g}" for k, v in progress.metrics.items()]
    )
    if progress is not None and progress.waiting:
        parts.append(progress.waiting)
    elif progress is not None and progress.seconds_left is not None:
        parts.append(f"about {fmt.elapsed(max(1.0, round(progress.seconds_left)))} left in this step")
    if run.started_at is not None:
        parts.append(f"running for {fmt.elapsed((datetime.now(UTC) - run.started_at).total_seconds())}")
    return " · ".join(parts) or "Starting"


def ending(run: Run) -> str:
    """How long a run took and how much of it was known before."""
    if run.state == "cancelled":
        return "Cancelled. Finished steps are kept and will not be computed again."
    parts = []
    if run.started_at and run.finished_at:
        parts.append(f"Took {fmt.elapsed((run.finished_at - run.started_at).total_seconds())}")
    reused = sum(stage.origin == "store" for stage in run.stages)
    if reused:
        noun = "its step" if len(run.stages) == 1 else f"{reused} of {len(run.stages)} steps"
        parts.append(f"{noun} came from the store")
    return " · ".join(parts) or "Finished"


def _results(results: pd.DataFrame, run: Run) -> None:
    found = results[results["run_id"] == run.id] if not results.empty else results
    if found.empty:
        found = results[results["artifact_digest"] == run.artifact_digest] if not results.empty else results
    if found.empty:
        trial = run.part != "test"
        st.caption("A trial, measured on validation data; its search shows it." if trial else "Not measured.")
        return
    row, known, lines = found.iloc[0], registry.metrics(), []
    for name in (headline(results), "size_bytes", "latency_ms"):
        if name in known and name in found.columns:
            metric = known[name]
            change = "" if row["is_baseline"] else fmt.change(metric, row.get(f"{name}_change"), speedup_of(row))
            figure, words = fmt.value(metric, row[name]), change or metric.title.lower()
            if name == "latency_ms" and change:  # measured in turn; times of several runs are of other minutes
                figure, words = change, f"at {figure}"
            lines.append(f"**{figure}** :gray[{words}]")
    with st.container(horizontal=True, gap="medium"):
        for line in lines:
            st.markdown(line, width="content")


def _actions(queue: JobQueue, run: Run, mine: bool) -> None:
    if mine and run.state in UNFINISHED:
        st.button(
            "Cancel", key=f"cancel:{run.id}", icon=":material/stop:", type="tertiary", on_click=queue.cancel,
            args=(run.id,), help=f"Stop {run.recipe}",
        )  # fmt: skip
    if mine and run.state in ("failed", "cancelled"):
        st.button(
            "Run again", key=f"retry:{run.id}", icon=":material/replay:", type="tertiary", on_click=queue.retry,
            args=(run.id,), help=f"Run {run.recipe} again; finished steps are not repeated",
        )  # fmt: skip


def _log(queue: JobQueue, run: Run) -> None:
    if log := on_opening("Log", f"log:{run.id}", type="compact"):
        with log:
            text = queue.log(run.id, _LOG_CHARACTERS)
            st.code(text or "The log is empty.", language=None, height=220 if text else "content")
