"""Page: a comparison as one file for people who were not there, with the evidence and the numbers behind it."""

from __future__ import annotations

import streamlit as st

from optimizers.history.frames import comparison as compared
from pages.components import take_along
from pages.components.compare_runs import compared_runs, header, not_measured
from pages.components.queue import job_queue
from pages.components.shell import inside_app

inside_app()
st.title("Report", anchor=False)
queue = job_queue()
runs = compared_runs(queue)
if compared(queue.history, [run.id for run in runs]).empty:
    st.markdown("There is nothing to report yet. Run a few variants; the report tells how they compare.")
    st.page_link("pages/optimize.py", label="Optimize a model", icon=":material/tune:")
    st.stop()

header(queue, runs, "report")
told = take_along.report(queue, runs)
not_measured(runs)
st.subheader("The numbers", anchor=False)
take_along.tables(queue, runs, told)
