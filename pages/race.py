"""Page: several files answer the same example side by side. Made for a projector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.engine.racing import MOST_RACERS, Racer
from optimizers.figures.names import names
from optimizers.history.frames import comparison as compared
from optimizers.live.given import Given
from pages.components import race_board, race_input, session
from pages.components.boundary import guarded, page_boundary
from pages.components.compare_runs import compared_runs, header
from pages.components.device_files import device_files
from pages.components.queue import job_queue
from pages.components.race_board import Lane
from pages.components.shell import inside_app
from pages.components.soon import PATIENCE, soon

_READING = "Reading the data. The first time this takes a moment."
_AT_FIRST, _SECONDS = 6, 0.5


@guarded
def waiting(queue: JobQueue, racers: Sequence[Racer], given: Given) -> None:
    """Looks again until the answers are there."""
    if not queue.races.look(racers, given).pending:
        st.rerun(scope="app")
    st.info("The files will answer in a moment; this machine is busy.", icon=":material/hourglass:")


inside_app()
st.title("Race", anchor=False)
st.html(Path("pages/assets/race/board.css"))
queue = job_queue()
runs = [run for run in compared_runs(queue) if run.state == "done" and run.artifact_digest]
if not runs:
    st.markdown("There is no finished file to race yet. Run a few variants first.")
    st.page_link("pages/optimize.py", label="Optimize a model", icon=":material/tune:")
    st.stop()

header(queue, runs, "race")
first = runs[0]
frame = compared(queue.history, [run.id for run in runs])
shown = dict(zip(frame["artifact_digest"], zip(names(frame), frame["family"], strict=True), strict=True))
files = {f.digest: f for f in device_files(queue, frame, runs) if f.run.dataset.digest == first.dataset.digest}
picked = st.multiselect(
    "Who races", list(files), list(files)[:_AT_FIRST], format_func=lambda digest: files[digest].label,
    max_selections=MOST_RACERS, key="racers", bind="query-params",
)  # fmt: skip
if len(files) < len({run.artifact_digest for run in runs}):
    st.caption(f"Only files made for {first.dataset.name} race, as all of them answer the same example.")
if not picked:
    st.stop()

chosen = [files[digest] for digest in files if digest in picked]
racers = [Racer(file.run, file.is_baseline) for file in chosen]
lanes = [Lane(*shown[f.digest], f.artifact.size_bytes, f.is_baseline) for f in chosen]
left, right = st.columns([1, 3], gap="large")
with left:
    given = None
    with page_boundary():
        data = soon(queue, ("data", uri := first.dataset.uri), partial(queue.driver.inspect_dataset, uri), _READING)
        if data is not None:
            given = race_input.ask(queue, racers, data[1], own=session.sees_examples(first))
with right:
    if given is None:
        st.caption("The answers appear here.")
        st.stop()
    with st.spinner("They race …"):
        sight = queue.races.look(racers, given, PATIENCE)
    if sight.outcome is not None:
        race_board.board(lanes, sight.outcome)
        if st.button("Race again", icon=":material/replay:"):
            queue.races.again(racers, given)
            st.rerun()
    elif sight.problem:
        st.info(sight.problem, icon=":material/info:")
    else:
        st.fragment(waiting, run_every=_SECONDS)(queue, racers, given)
if sight.outcome is not None and given.kind != "row":
    with left:
        race_board.example(sight.outcome)
