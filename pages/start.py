"""Page: the way in."""

from __future__ import annotations

import streamlit as st

from pages.components import start
from pages.components.queue import job_queue
from pages.components.shell import inside_app

inside_app()
if "model" in st.query_params:  # where models were shown in former versions: old links lead there
    st.switch_page("pages/model.py", query_params=st.query_params.to_dict())
queue = job_queue()
start.hero(queue)
start.latest(queue)
st.subheader("How it goes", anchor=False)
for place, (icon, title, words) in zip(
    st.columns(3),
    (
        ("upload_file", "Choose a model", "A sample, or your own .keras, .h5, SavedModel or .tflite with its data."),
        ("tune", "Toggle optimizations", "One by one or chained; what each will do is told before anything runs."),
        ("scatter_plot", "Compare and take along", "See what each costs, look inside, and deploy the file you prefer."),
    ),
    strict=True,
):
    with place.container(border=True, height="stretch"):
        st.markdown(f":material/{icon}: **{title}**  \n{words}")
