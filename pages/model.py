"""Page: choose a model and see what it is."""

from __future__ import annotations

import streamlit as st

from pages.components import links, model_view
from pages.components.queue import job_queue
from pages.components.sample_picker import picker
from pages.components.shell import inside_app

inside_app()
st.title("Choose a model", anchor=False)
queue = job_queue()
chosen = links.choice_or_told(queue)

left, right = st.columns([2, 3], gap="large")
with left:
    picker(queue, chosen)
with right:
    if chosen is None:
        st.subheader("See what small and fast costs", anchor=False)
        st.markdown(
            "1. **Choose a model** here, or bring your own with its data.\n"
            "2. **Toggle** quantization and pruning, one by one or combined.\n"
            "3. **Compare** size, latency and accuracy, all measured on the very files you can download."
        )
    else:
        model_view.model_and_data(queue, chosen)
