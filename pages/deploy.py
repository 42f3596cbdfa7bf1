"""Page: take one file along into an application, with programs that run it and what targets say about it."""

from __future__ import annotations

import streamlit as st

from optimizers.history.frames import comparison as compared
from pages.components import deploy, look, selection
from pages.components.compare_runs import compared_runs, header
from pages.components.queue import job_queue
from pages.components.shell import inside_app

inside_app()
st.title("Deploy", anchor=False)
queue = job_queue()
runs = compared_runs(queue)
frame = compared(queue.history, [run.id for run in runs])
if frame.empty:
    st.markdown("There is no finished file to deploy yet. Run a few variants first.")
    st.page_link("pages/optimize.py", label="Optimize a model", icon=":material/tune:")
    st.stop()

header(queue, runs, "deploy")
selection.settle(frame)
question = look.subject(frame, runs)
file = deploy.file_of(queue, question)
deploy.downloads(queue, question, file)
st.subheader("Where it can run, and what that costs", anchor=False)
deploy.targets(queue, question)
st.subheader("Programs that run it", anchor=False)
deploy.programs(file)
