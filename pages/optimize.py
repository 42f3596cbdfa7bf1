"""Page: toggle techniques, see which variants that makes, run them."""

from __future__ import annotations

import streamlit as st

from pages.components import builder, links
from pages.components.cards import cards
from pages.components.launch import launch
from pages.components.model_strip import choices, layers_of, model_strip
from pages.components.preflight import preflight
from pages.components.queue import job_queue
from pages.components.shell import inside_app

inside_app()
st.title("Optimize", anchor=False)
queue = job_queue()
chosen = links.choice_or_told(queue)
if chosen is None:
    st.markdown("Choose a model first; then its techniques appear here.")
    st.page_link("pages/model.py", label="Choose a model", icon=":material/arrow_back:")
    st.stop()

if not model_strip(queue, chosen):
    st.stop()
left, right = st.columns([3, 2], gap="large")
with left:
    steps = cards(choices(queue, chosen))
with right:
    variants = builder.plan(steps, layers_of(queue, chosen))
    seeds = launch(queue, chosen, variants)
    preflight(queue, chosen, variants, seeds)
