"""Working without data: random inputs, and the range that they are drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from optimizers.datasets import drawn
from optimizers.errors import UserError
from optimizers.records import DatasetRef, DatasetSummary, TensorSpec
from pages.components import links
from pages.components.text import escaped

ANY = f"{drawn.PREFIX}:"
"""Random inputs, whichever suit the model."""


def controls(dataset: DatasetRef, data: DatasetSummary, inputs: Sequence[TensorSpec]) -> None:
    """What is compared, and fields for the lowest and the highest number of each input; a change goes into the URL."""
    st.info(
        "There are no data, so no accuracy can be measured. Size and latency are, and how close every variant's "
        "answers are to the original's on random inputs; with real data that may differ.",
        icon=":material/casino:",
    )
    draws = drawn.parse(dataset.uri.removeprefix(ANY))
    with st.form("range", border=False):
        wanted = []
        for number, (draw, spec) in enumerate(zip(draws, inputs, strict=True)):
            name = f" of {escaped(spec.name)}" if len(draws) > 1 else " input"
            with st.container(horizontal=True):
                key = f"{number} of {dataset.uri}"
                low = st.number_input(f"Lowest{name}", value=draw.low, format="%g", width=220, key=f"low {key}")
                high = st.number_input(f"Highest{name}", value=draw.high, format="%g", width=220, key=f"high {key}")
            wanted.append(drawn.Draw(draw.shape, draw.dtype, low, high))
        if st.form_submit_button("Draw from this range" if len(draws) == 1 else "Draw from these ranges"):
            _change(wanted)
    st.caption(
        f"{data.n_test} inputs to compare answers and {data.n_train} to calibrate with, evenly spread over the range."
    )


def _change(draws: Sequence[drawn.Draw]) -> None:
    chosen, uri = st.session_state["choice"], drawn.uri_of(draws)
    try:
        drawn.parse(uri.removeprefix(ANY))
    except UserError as error:
        st.error(error.message, icon=":material/block:")
        return
    links.choose(chosen._replace(data=uri))
    st.rerun()
