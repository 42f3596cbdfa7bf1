"""Page: what is running, what has finished, what went wrong."""

from __future__ import annotations

import streamlit as st

from pages.components import links, session
from pages.components.queue import job_queue
from pages.components.run_board import run_board
from pages.components.shell import inside_app

inside_app()
st.title("Runs", anchor=False)
queue = job_queue()
asked = links.run_ids()
found = {run.id for run in queue.history.runs(asked)} if asked else set()
if "runs" in st.query_params and not found:
    st.warning("The address names no run that is known here. These are your own runs.", icon=":material/link_off:")

if found or session.my_runs(queue, limit=1):
    run_board(queue, [run_id for run_id in asked if run_id in found])
else:
    st.markdown("Nothing has been run in this browser yet.")
    st.page_link("pages/optimize.py", label="Optimize a model", icon=":material/tune:")
