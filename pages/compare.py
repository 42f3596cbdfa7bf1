"""Page: size, speed and quality of the variants side by side, and the files themselves."""

from __future__ import annotations

import streamlit as st

from optimizers.history.frames import comparison as compared
from pages.components import comparison, seeds, selection
from pages.components.budget import budget_strip
from pages.components.compare_chart import chart
from pages.components.compare_runs import compared_runs, header, not_measured, still_running
from pages.components.compare_table import table
from pages.components.contributions import contributions
from pages.components.details import details
from pages.components.device_choice import device_choice
from pages.components.ledger import ledger
from pages.components.limits_bar import limits_bar
from pages.components.queue import job_queue
from pages.components.remembered import once
from pages.components.shell import inside_app
from pages.components.side_by_side import side_by_side
from pages.components.take_table import take_table
from pages.components.time_again import time_again

inside_app()
st.title("Compare", anchor=False)
queue = job_queue()
runs = compared_runs(queue)
if not runs:
    st.markdown("There is nothing to compare yet. Run a few variants; they appear here side by side.")
    st.page_link("pages/optimize.py", label="Optimize a model", icon=":material/tune:")
    st.stop()

header(queue, runs)
still_running(queue, runs)
device, ids = device_choice(queue, runs), [run.id for run in runs]
asked = (device, *ids)
frame = once(queue, ("comparison", *asked), lambda: compared(queue.history, ids, device))
if frame.empty:
    not_measured(runs)
    st.page_link("pages/runs.py", label="See the runs", icon=":material/pending_actions:")
    st.stop()

selection.settle(frame)
together = seeds.together(queue, frame, asked)
comparison.highlights(together.frame)
judgement = limits_bar(frame)
left, right = st.columns([3, 2], gap="large")
with right:  # first, since it starts over when a diagnosis is ready at once
    details(queue, frame, runs)
with left:
    drawn, judged = seeds.drawn(frame, together, judgement)
    chart(queue, drawn, judged, (len(drawn), *asked))
    time_again(queue, frame, runs)
    seeds.separated(queue, frame, asked)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("All figures", anchor=False, width="stretch")
        take_table(frame, judgement)
    table(queue, frame, runs, judgement)
    not_measured(runs)
side_by_side(queue, frame, runs, judgement)
budget_strip(queue, frame, runs)
seeds.over_seeds(queue, frame, asked)
ledger(queue, frame, runs)
contributions(queue, frame, runs)
