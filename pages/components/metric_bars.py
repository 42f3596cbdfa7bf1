"""The comparison metric by metric, as bars."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.figures import theme
from optimizers.figures.bars import bars
from optimizers.figures.names import saved_as
from optimizers.history.frames import headline, metric_columns
from pages.components.remembered import once

_MOST = 40
_FIRST = ("size_bytes", "compressed_bytes", "latency_ms")


def metric_bars(
    queue: JobQueue, frame: pd.DataFrame, what: Hashable, picture: str, clicked: Callable[[str], None]
) -> None:
    """One chart per metric, of very many files the first ones.

    ``what`` tells one frame from another, ``picture`` is the format that the camera saves, and ``clicked`` is called
    with the key of a chart in which files were chosen.
    """
    known, columns = registry.metrics(), metric_columns(frame)
    first = [name for name in (headline(frame), *_FIRST) if name in columns]
    picked = st.multiselect(
        "Metrics", columns, default=first, key="metrics", format_func=lambda name: known[name].title,
        placeholder="Choose at least one", bind="query-params",
    )  # fmt: skip
    if len(frame) > _MOST:
        st.caption(f"The first {_MOST} of {len(frame)} files.")
        frame = frame.head(_MOST)
    for name in picked:
        figure, key = once(queue, ("bars", name, what), partial(bars, frame, name)), f"bars-{name}"
        st.plotly_chart(
            figure, config=theme.exported(saved_as(frame, name), picture), key=key,
            on_select=partial(clicked, key), selection_mode="points",
            alt=f"{known[name].title} of every file, {theme.better(known[name])}",
        )  # fmt: skip
        st.caption(known[name].help)
