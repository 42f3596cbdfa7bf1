"""What whoever keeps runs does to them: tags, a note, and deleting them, which can be undone."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.history.database import UNFINISHED
from optimizers.records import Run
from pages.components import session
from pages.components.text import escaped

_DELETED = "runs_deleted"


def shown(run: Run) -> None:
    """Tags and note of a run, where it has some."""
    if run.tags:
        with st.container(horizontal=True, gap="xsmall"):
            for tag in run.tags:
                st.badge(escaped(tag), color="primary")
    if run.note:
        st.caption(escaped(run.note))


def menu(queue: JobQueue, run: Run, known: Sequence[str]) -> None:
    """Changes tags (``known`` ones are proposed) and note, and deletes an ended run."""
    told = f"More on {run.recipe}"
    # the label is for screen readers only (style.css), which would otherwise read the icon's name
    with st.popover(told, icon=":material/more_vert:", type="tertiary", key=f"menu:{run.id}", help=told):
        tags = st.multiselect(
            "Tags", sorted({*known, *run.tags}), list(run.tags), key=f"tags:{run.id}", accept_new_options=True,
            placeholder="Add a tag",
        )  # fmt: skip
        note = st.text_area("Note", run.note, key=f"note:{run.id}", max_chars=2000)
        same = (tuple(tags), note) == (run.tags, run.note)
        with st.container(horizontal=True):
            if st.button("Keep", type="primary", key=f"keep:{run.id}", disabled=same):
                queue.history.annotate(run.id, tags=tags, note=note)
                st.rerun()
            if run.state not in UNFINISHED:
                st.button(
                    "Delete", icon=":material/delete:", key=f"delete:{run.id}", on_click=delete,
                    args=(queue, [run.id]),
                )  # fmt: skip


def delete(queue: JobQueue, ids: Sequence[str]) -> None:
    """Takes this browser's own ended runs out of the history; they can be brought back."""
    mine = {run.id for run in session.my_runs(queue, limit=None)}
    st.session_state[_DELETED] = queue.history.delete([run_id for run_id in ids if run_id in mine])


def undo(queue: JobQueue) -> None:
    """A word on what was deleted last, and the way back."""
    ids = st.session_state.get(_DELETED)
    if not ids:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="undo", gap="small"):
        noun = "run is" if len(ids) == 1 else "runs are"
        st.caption(f"{len(ids)} {noun} deleted. Files that other runs share stay.", width="content")
        st.button("Undo", icon=":material/undo:", type="tertiary", on_click=_restore, args=(queue,), key="undo_delete")


def _restore(queue: JobQueue) -> None:
    queue.history.restore(st.session_state.pop(_DELETED, []))
