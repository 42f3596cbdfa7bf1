"""Page: look into one file, layer by layer and operator by operator, against the baseline or another variant."""

from __future__ import annotations

import streamlit as st

from optimizers.history.frames import comparison as compared
from pages.components import look, selection
from pages.components.compare_runs import compared_runs, header
from pages.components.queue import job_queue
from pages.components.shell import inside_app

inside_app()
st.title("Inspect", anchor=False)
queue = job_queue()
runs = compared_runs(queue)
frame = compared(queue.history, [run.id for run in runs])
if frame.empty:
    st.markdown("There is no finished file to look into yet. Run a few variants first.")
    st.page_link("pages/optimize.py", label="Optimize a model", icon=":material/tune:")
    st.stop()

look.settle_analysis()
selection.settle(frame)
header(queue, runs, "inspect")
question = look.subject(frame, runs)
look.reports(queue, question)
