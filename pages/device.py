"""Page: time the files of a comparison in this browser, open it on a phone, bring in benchmarks from elsewhere."""

from __future__ import annotations

import streamlit as st

from optimizers.history.frames import comparison as compared
from pages.components import device_choice, device_results, device_timing, import_benchmark, phone
from pages.components.compare_runs import compared_runs, header
from pages.components.queue import job_queue
from pages.components.shell import inside_app

inside_app()
st.title("This device", anchor=False)
queue = job_queue()
runs = [run for run in compared_runs(queue) if run.state == "done" and run.artifact_digest]
if not runs:
    st.markdown("There is no finished file to time yet. Run a few variants first.")
    st.page_link("pages/optimize.py", label="Optimize a model", icon=":material/tune:")
    st.stop()

header(queue, runs, "device")
frame = compared(queue.history, [run.id for run in runs])
left, right = st.columns([3, 2], gap="large")
with left:
    device_timing.timing(queue, frame, runs)
    st.subheader("Times", anchor=False)
    chosen = device_choice.device_choice(queue, runs)
    device_results.results(compared(queue.history, [run.id for run in runs], chosen), chosen)
with right:
    phone.phone([run.id for run in runs])
    import_benchmark.import_benchmark(queue, frame, runs)
