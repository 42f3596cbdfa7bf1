"""Times the files of a comparison once more, all in turn, and tells how far that is."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.engine.retiming import Sight
from optimizers.engine.timing import bench_of
from optimizers.records import SHARED, Run
from pages.components import session
from pages.components.boundary import guarded
from pages.components.text import code, escaped

_SECONDS = 1.0
_HELP = (
    "Times all files of this comparison once more, in turn with their original, and replaces the times that there are. "
    "It takes some seconds for each file; other work of this app waits meanwhile."
)
_AWAITED = "timed_again"


def time_again(queue: JobQueue, frame: pd.DataFrame, runs: list[Run]) -> None:
    """The button, and while the files are timed how far that is. Only for who may start runs on these files.

    Whoever looks is told of files whose times are not to be trusted.
    """
    if (disturbed := int((frame["disturbed"] == 1).sum())) and (frame["source"] == "host").any():
        files = f"{disturbed} of these files were" if disturbed > 1 else "one of these files was"
        st.warning(
            f"While {files} timed, something else was at work on the same core all the time. Speed-ups may be off by "
            "more than their intervals; time again when the machine is quieter.", icon=":material/timer_off:",
        )  # fmt: skip
    runs = [run for run in runs if run.state == "done" and bench_of(run).scope in (SHARED, session.scope())]
    if not runs:
        return
    sight = queue.retiming.look(runs)
    if sight is not None and sight.pending:
        st.session_state[_AWAITED] = True
        st.fragment(_waiting, run_every=_SECONDS)(queue, runs)
        return
    if sight is not None and st.session_state.pop(_AWAITED, False):
        _ended(sight)
    if st.button("Time again", icon=":material/timer:", type="tertiary", key="time_again", help=_HELP):
        queue.retiming.start(runs)
        st.session_state[_AWAITED] = True
        st.rerun()


def _ended(sight: Sight) -> None:
    if sight.problem:
        st.warning(f"Not all files were timed again. {escaped(sight.problem)}", icon=":material/timer_off:")
    if sight.cancelled:
        st.toast("Timing was cancelled; the times that were there stay.", icon=":material/timer_off:")
    if sight.retimed is not None:
        st.toast(f"{sight.retimed.files} files were timed again, in turn.", icon=":material/timer:")
    if sight.retimed is not None and sight.retimed.gone:
        named = ", ".join(code(run.recipe) for run in sight.retimed.gone)
        st.warning(
            f"Not timed, since they are no longer in the store: {named}. Run them again.", icon=":material/timer_off:"
        )


@guarded
def _waiting(queue: JobQueue, runs: list[Run]) -> None:
    sight = queue.retiming.look(runs)
    if sight is None or not sight.pending:
        st.rerun(scope="app")
    now = sight.progress
    told = (now.waiting or f"{now.title} until all speed-ups are known.") if now else "Starting"
    with st.container(horizontal=True, vertical_alignment="center"):
        share = min(1.0, now.step / now.of) if now and now.of else 0.0
        st.progress(share, told)
        if st.button("Cancel", icon=":material/close:", key="cancel_timing"):
            queue.retiming.cancel(runs)
