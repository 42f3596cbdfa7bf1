"""The live board of runs: refreshes itself once a second, and only while something is at work."""

from __future__ import annotations

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.history.database import UNFINISHED
from optimizers.history.frames import comparison
from optimizers.records import Run
from pages.components import links, session
from pages.components.boundary import guarded
from pages.components.run_cards import run_card

_SECONDS = 1.0
_PAGE = 20


def run_board(queue: JobQueue, asked: list[str]) -> None:
    """Draws the runs that were asked for, or all of this browser's when none were."""
    active = any(run.state in UNFINISHED for run in _runs(queue, asked))
    st.fragment(_board, run_every=_SECONDS if active else None)(queue, asked, active)


def _runs(queue: JobQueue, asked: list[str]) -> list[Run]:
    if not asked:
        return session.my_runs(queue)
    place = {run_id: number for number, run_id in enumerate(asked)}
    return sorted(queue.history.runs(asked), key=lambda run: place[run.id])


@guarded
def _board(queue: JobQueue, asked: list[str], ticking: bool) -> None:
    runs = _runs(queue, asked)
    active = [run for run in runs if run.state in UNFINISHED]
    if bool(active) != ticking:
        st.rerun(scope="app")
    done = [run for run in runs if run.state == "done"]
    for run in done:
        st.session_state.setdefault(f"pick:{run.id}", bool(asked))
    _summary(runs, active, done, asked)
    mine = {run.id for run in session.my_runs(queue)}
    shown = runs[: st.session_state.setdefault("runs_shown", _PAGE)]
    results = comparison(queue.history, [run.id for run in shown if run.state == "done"])
    several = len({(run.model.digest, run.dataset.digest) for run in runs}) > 1
    for run in shown:
        run_card(queue, run, results, mine=run.id in mine, several_models=several)
    if len(runs) > len(shown):
        st.button(f"Show {len(runs) - len(shown)} older runs", on_click=_show_more, key="older")


def _show_more() -> None:
    st.session_state["runs_shown"] += _PAGE


def _summary(runs: list[Run], active: list[Run], done: list[Run], asked: list[str]) -> None:
    ended = len(runs) - len(active)
    pairs = {f"**{run.model.name}** on **{run.dataset.name}**" for run in runs}
    about = f" · {next(iter(pairs))}" if len(pairs) == 1 else ""
    chosen = [run.id for run in done if st.session_state.get(f"pick:{run.id}")]
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(f"{ended} of {len(runs)} finished{about}", width="stretch")
        if asked:
            st.page_link("pages/runs.py", label="All my runs", icon=":material/list:")
        noun = "run" if len(chosen) == 1 else "runs"
        if st.button(
            f"Compare {len(chosen)} {noun}" if chosen else "Compare", type="primary", icon=":material/scatter_plot:",
            disabled=not chosen, key="compare", help=None if chosen else "Select finished runs first.",
        ):  # fmt: skip
            st.switch_page("pages/compare.py", query_params=links.runs_query(reversed(chosen) if not asked else chosen))
