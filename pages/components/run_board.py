"""The live board of runs: refreshes itself once a second, and only while something is at work."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.history.database import UNFINISHED
from optimizers.history.frames import comparison
from optimizers.records import Run, RunState
from pages.components import links, run_notes, session
from pages.components.boundary import guarded
from pages.components.run_cards import run_card
from pages.components.text import escaped

_SECONDS = 1.0
_PAGE = 20
_STATES: dict[str, tuple[RunState, ...]] = {
    "All": (*UNFINISHED, "done", "failed", "cancelled"),
    "At work": UNFINISHED,
    "Done": ("done",),
    "Failed": ("failed", "cancelled"),
}


def run_board(queue: JobQueue, asked: list[str]) -> None:
    """Draws the runs that were asked for, or all of this browser's that match what is searched for."""
    text, states = ("", _STATES["All"]) if asked else _search(queue)
    ticking = _at_work(_counts(queue, asked, text))
    st.fragment(_board, run_every=_SECONDS if ticking else None)(queue, asked, text, states, ticking)


def _search(queue: JobQueue) -> tuple[str, tuple[RunState, ...]]:
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    text = left.text_input(
        "Search", key="q", placeholder="Recipe, model, data, tag or note", bind="query-params",
        icon=":material/search:", label_visibility="collapsed",
    )  # fmt: skip
    shown = right.segmented_control(
        "Which runs", list(_STATES), default="All", key="show", required=True, label_visibility="collapsed",
        bind="query-params",
    )  # fmt: skip
    return text, _STATES[shown or "All"]


def _counts(queue: JobQueue, asked: list[str], text: str) -> Counter[RunState]:
    return queue.history.counts(asked) if asked else session.my_counts(queue, text)


def _at_work(counts: Counter[RunState]) -> bool:
    return any(counts[state] for state in UNFINISHED)


def _runs(queue: JobQueue, asked: list[str], text: str, states: tuple[RunState, ...]) -> list[Run]:
    if not asked:
        return session.my_runs(queue, text=text, states=states, limit=st.session_state.setdefault("runs_shown", _PAGE))
    place = {run_id: number for number, run_id in enumerate(asked)}
    return sorted(queue.history.runs(asked), key=lambda run: place[run.id])


@guarded
def _board(queue: JobQueue, asked: list[str], text: str, states: tuple[RunState, ...], ticking: bool) -> None:
    counts = _counts(queue, asked, text)
    if _at_work(counts) != ticking:
        st.rerun(scope="app")
    shown = _runs(queue, asked, text, states)
    done = [run for run in shown if run.state == "done"]
    for run in done:
        st.session_state.setdefault(f"pick:{run.id}", bool(asked))
    _summary(queue, counts, shown, done, asked)
    run_notes.undo(queue)
    mine = {run.id for run in session.my_runs(queue, limit=None if asked else len(shown))} if asked else None
    results = comparison(queue.history, [run.id for run in done])
    several = len({(r.model.name, r.model.digest, r.dataset.name, r.dataset.digest) for r in shown}) > 1
    tags = sorted({tag for run in shown for tag in run.tags})
    for run in shown:
        run_card(queue, run, results, mine=mine is None or run.id in mine, several_models=several, tags=tags)
    if not shown:
        st.caption("No run matches.")
    older = sum(counts[state] for state in states) - len(shown)
    if older > 0:
        st.button(f"Show {min(older, _PAGE)} of {older:,} older runs", on_click=_show_more, key="older")


def _show_more() -> None:
    st.session_state["runs_shown"] += _PAGE


def _summary(queue: JobQueue, counts: Counter[RunState], shown: list[Run], done: list[Run], asked: list[str]) -> None:
    total = sum(counts.values())
    others = "".join(f", {counts[state]:,} {state}" for state in ("failed", "cancelled") if counts[state])
    pairs = {f"**{escaped(run.model.name)}** on **{escaped(run.dataset.name)}**" for run in shown}
    about = f" · {next(iter(pairs))}" if len(pairs) == 1 and len(shown) == total else ""
    chosen = [run.id for run in done if st.session_state.get(f"pick:{run.id}")]
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(f"{counts['done']:,} of {total:,} finished{others}{about}", width="stretch")
        if asked:
            st.page_link("pages/runs.py", label="All my runs", icon=":material/list:")
        elif chosen:
            st.button(
                "Delete", icon=":material/delete:", type="tertiary", on_click=run_notes.delete, args=(queue, chosen),
                key="delete_chosen", help=f"Delete the {len(chosen)} selected",
            )  # fmt: skip
        noun = "run" if len(chosen) == 1 else "runs"
        if st.button(
            f"Compare {len(chosen)} {noun}" if chosen else "Compare", type="primary", icon=":material/scatter_plot:",
            disabled=not chosen, key="compare", help=None if chosen else "Select finished runs first.",
        ):  # fmt: skip
            st.switch_page("pages/compare.py", query_params=links.runs_query(reversed(chosen) if not asked else chosen))
