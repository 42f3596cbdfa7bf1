"""Which runs are compared, what became of those that are not in the charts, and the link to share."""

from __future__ import annotations

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.history.database import UNFINISHED
from optimizers.records import Run
from pages.components import links, session
from pages.components.boundary import guarded
from pages.components.original import is_original
from pages.components.remembered import once
from pages.components.text import code, escaped

_SECONDS = 2.0
_UNKNOWN = "The address names no run that is known here."
_TRIALS = "The address names trials of a search, which were measured on validation data; the page Search shows them."
_MOST_AT_FIRST = 12
_LATEST = "latest_runs"
"""Where a visit keeps the runs that nobody named, so that newer ones may take their place."""


def compared_runs(queue: JobQueue) -> list[Run]:
    """The runs that the URL names, else those that it named before, else this browser's latest on one model.

    They then are in the URL. What was named stays looked at until something else is named or started.
    """
    named = "runs" in st.query_params
    asked = links.run_ids() if named else st.session_state.get(session.LOOKED_AT, [])
    known = once(queue, ("runs", *asked), lambda: queue.history.runs(asked)) if asked else []
    # Trials of a search were measured on validation data; they are shown by the search alone.
    found = {run.id: run for run in known if run.part == "test"}
    runs = [found[run_id] for run_id in asked if run_id in found]
    if named and not runs:
        st.warning(_UNKNOWN if not known else _TRIALS, icon=":material/link_off:")
        return []
    if not runs:
        runs = _latest(queue)
        st.session_state[_LATEST] = [run.id for run in runs]
    ids = [run.id for run in runs]
    if named and ids != st.session_state.get(_LATEST):
        st.session_state[session.LOOKED_AT] = ids
    elif runs and not named:
        st.query_params.update(links.runs_query(ids))
    return runs


def _latest(queue: JobQueue) -> list[Run]:
    mine = session.my_runs(queue, states=("done",))
    mine = [run for run in mine if not is_original(run)] or mine  # what was only looked at does not come first
    same = [r for r in mine if (r.model.digest, r.dataset.digest) == (mine[0].model.digest, mine[0].dataset.digest)]
    return same[:_MOST_AT_FIRST][::-1]


def header(queue: JobQueue, runs: list[Run], page: str = "compare") -> None:
    """The title with what is compared, the choice of runs, and the link to share, which leads to that page."""
    pairs = list(dict.fromkeys(f"**{escaped(r.model.name)}** on **{escaped(r.dataset.name)}**" for r in runs))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(" and ".join(pairs[:3]), width="stretch")
        with st.container(horizontal=True, gap="small", width="content"):
            _menus(queue, runs, page)
    if len(pairs) > 1:
        st.caption("Several models or data sets are shown; each variant is compared with its own baseline.")


def _menus(queue: JobQueue, runs: list[Run], page: str) -> None:
    menu = st.popover("Choose runs", icon=":material/checklist:", key="choose_runs", on_change="rerun")
    if menu.open:
        with menu:
            _chooser(queue, runs)
    with st.popover("Share", icon=":material/link:"):
        st.markdown("Whoever has this link sees this comparison.")
        st.code(links.address(page, [run.id for run in runs]), language=None, wrap_lines=True)


def _chooser(queue: JobQueue, runs: list[Run]) -> None:
    known = {run.id: run for run in [*runs, *session.my_runs(queue)] if run.state not in ("failed", "cancelled")}
    now = [run.id for run in runs if run.id in known]
    picked = st.multiselect(
        "Runs", list(known), now, key=f"chooser:{','.join(now)}",
        format_func=lambda i: f"{known[i].recipe} · {known[i].model.name}, {known[i].created_at:%d %b %H:%M} UTC",
    )  # fmt: skip
    if st.button("Show these", type="primary", disabled=not picked, key="show_these"):
        st.query_params["runs"] = ",".join(picked)
        st.rerun()


def still_running(queue: JobQueue, runs: list[Run]) -> None:
    """A note on runs that are not finished; the page refreshes itself when one of them ends."""
    active = [run.id for run in runs if run.state in UNFINISHED]
    if active:
        st.fragment(_waiting, run_every=_SECONDS)(queue, active)


@guarded
def _waiting(queue: JobQueue, ids: list[str]) -> None:
    runs = queue.history.runs(ids)
    if any(run.state not in UNFINISHED for run in runs):
        st.rerun(scope="app")
    titles = []
    for run in runs:
        progress = queue.progress(run.id)
        titles.append(f"{code(run.recipe)} {escaped(progress.title.lower()) if progress else 'waiting'}")
    noun = "run is" if len(runs) == 1 else "runs are"
    st.info(
        f"{len(runs)} {noun} still at work and will appear here: {'; '.join(titles)}.", icon=":material/hourglass_top:"
    )


def not_measured(runs: list[Run]) -> None:
    """Runs without a file, and why."""
    missing = [run for run in runs if run.state in ("failed", "cancelled")]
    if not missing:
        return
    lines = [
        f"- {code(run.recipe)}: {escaped(run.failure.message) if run.failure else 'cancelled.'}" for run in missing
    ]
    st.markdown("**Not measured**\n" + "\n".join(lines))
