"""Working without data: random inputs, and the range that they are drawn from."""

from __future__ import annotations

import streamlit as st

from optimizers.datasets import drawn
from optimizers.errors import UserError
from optimizers.records import DatasetRef, DatasetSummary
from pages.components import links

ANY = f"{drawn.PREFIX}:"
"""Random inputs, whichever suit the model."""


def controls(dataset: DatasetRef, data: DatasetSummary) -> None:
    """What is compared, and fields for the lowest and the highest number; a change goes into the URL."""
    st.info(
        "There are no data, so no accuracy can be measured. Size and latency are, and how close every variant's "
        "answers are to the original's on random inputs; with real data that may differ.",
        icon=":material/casino:",
    )
    draw = drawn.parse(dataset.uri.removeprefix(ANY))
    with st.form("range", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        low = st.number_input("Lowest input", value=draw.low, format="%g", width=160)
        high = st.number_input("Highest input", value=draw.high, format="%g", width=160)
        if st.form_submit_button("Draw from this range"):
            _change(drawn.Draw(draw.shape, draw.dtype, low, high))
    st.caption(
        f"{data.n_test} inputs to compare answers and {data.n_train} to calibrate with, evenly spread over the range."
    )


def _change(draw: drawn.Draw) -> None:
    chosen = st.session_state["choice"]
    try:
        drawn.parse(draw.uri.removeprefix(ANY))
    except UserError as error:
        st.error(error.message, icon=":material/block:")
        return
    links.choose(chosen._replace(data=draw.uri))
    st.rerun()
