"""What each step of the chosen variant bought: bytes, milliseconds, points."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from optimizers.engine.lattice import Lattice, lattice
from optimizers.engine.queue import JobQueue
from optimizers.errors import NotApplicable, ParetoscopeError, UserError
from optimizers.figures.tradeoff import identities
from optimizers.records import Run
from pages.components import links, session
from pages.components.links import CHOSEN
from pages.components.look import show
from pages.components.on_opening import on_opening
from pages.components.text import code


def contributions(queue: JobQueue, frame: pd.DataFrame, runs: list[Run]) -> None:
    """The contributions of the chosen variant's steps; nothing where it has only one."""
    row = frame.iloc[identities(frame).index(st.session_state[CHOSEN])]
    run = next((run for run in runs if run.id == row["run_id"]), None)
    if run is None or len(run.steps) < 2:
        return
    try:
        found = lattice(queue.driver, run)
    except NotApplicable:
        return
    except ParetoscopeError as error:
        st.info(error.message, icon=":material/info:")
        return
    st.subheader("What each step bought", anchor=False)
    st.markdown(
        f"The steps of {code(run.recipe)}, each by what it adds after the steps before it and, where all variants that "
        "leave out steps were run, on average over all orders."
    )
    if found.missing:
        _missing(queue, run, found)
    if place := on_opening("Contributions", f"contributions:{run.id}", expanded=not found.missing):
        with place:
            try:
                show(found.report(), f"contributions:{run.id}")
            except NotApplicable as error:
                st.info(error.message, icon=":material/info:")


def _missing(queue: JobQueue, run: Run, found: Lattice) -> None:
    count = len(found.missing)
    allowed = _allowed(queue, run, found)
    left, right = st.columns([3, 1], vertical_alignment="center")
    left.caption(
        f"{count} of the {len(found.variants) - 1} variants {'has' if count == 1 else 'have'} not been run. What they "
        "share with others is not computed again."
    )
    if allowed and right.button(
        f"Run {count} more", icon=":material/play_arrow:", key=f"missing:{run.id}", width="stretch"
    ):
        try:
            started = session.submit(queue, run.model.uri, run.dataset.uri, found.recipes, seed=run.seed)
        except UserError as error:
            st.error(error.message, icon=":material/block:")
            return
        st.switch_page("pages/runs.py", query_params=links.runs_query(run.id for run in started))


def _allowed(queue: JobQueue, run: Run, found: Lattice) -> bool:
    """Whether this visitor may start runs: whoever was given the link may look, but run nothing on others' files."""
    try:
        links.allow(run.model.uri, "model", queue)
        links.allow(run.dataset.uri, "data", queue)
        for recipe in found.recipes:
            links.allow_models(recipe, queue)
    except ParetoscopeError:
        return False
    return True
