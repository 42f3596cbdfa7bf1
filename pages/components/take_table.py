"""The comparison to paste or to save: Markdown, CSV, and the chart as a picture."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from optimizers.figures.names import saved_as
from optimizers.history.frames import leading
from optimizers.qualifying import Judgement
from optimizers.report import copied
from pages.components.compare_chart import picture_format

_FIRST = ("size_bytes", "compressed_bytes", "latency_ms", "speedup")
_MOST_LINES = 60


def take_table(frame: pd.DataFrame, judgement: Judgement | None) -> None:
    """A menu that is filled when it is opened."""
    menu = st.popover("Copy and save", icon=":material/content_copy:", key="take_table", on_change="rerun")
    if not menu.open:
        return
    shown = [name for name in (*leading(frame), *_FIRST) if name in frame]
    with menu:
        picture_format()
        st.download_button(
            "CSV", data=copied.csv(frame, judgement), file_name=f"{saved_as(frame, 'comparison')}.csv",
            mime="text/csv", icon=":material/download:", on_click="ignore", key="table_csv",
            help="One row per file with every figure, its interval and its difference.",
        )  # fmt: skip
        st.markdown("**Markdown**, to paste into a ticket or a pull request:")
        st.code(copied.markdown(frame.head(_MOST_LINES), shown, judgement), language=None, height=160)
        st.markdown("**CSV**:")
        st.code(copied.csv(frame.head(_MOST_LINES), judgement), language=None, height=120)
