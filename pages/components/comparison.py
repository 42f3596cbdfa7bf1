"""What stands out in a comparison, and metric by metric as bars."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.bars import bars
from optimizers.figures.highlights import best
from optimizers.figures.names import names
from optimizers.figures.tradeoff import speedup_of
from optimizers.history.frames import headline, metric_columns
from pages.components.compare_chart import file_stem
from pages.components.remembered import once

_MOST_BARS = 40
_FIRST_BARS = ("size_bytes", "compressed_bytes", "latency_ms")


def highlights(frame: pd.DataFrame) -> None:
    """The best variant in size, speed and quality, each with its difference to the baseline."""
    known, variants = registry.metrics(), frame[~frame["is_baseline"].astype(bool)]
    shown = list(best(frame, headline(frame)))
    called = dict(zip(frame.index, names(frame), strict=True))
    if not shown or len(variants) < 2:
        return
    for place, (word, name, leading) in zip(st.columns(len(shown)), shown, strict=True):
        metric = known[name]
        row = frame.loc[leading]
        change = fmt.change(metric, row.get(f"{name}_change"), speedup_of(row))
        place.metric(
            f"{word}: {called[leading]}", fmt.value(metric, row[name]), change or None, border=True,
            delta_color=_colour(metric.direction, row, name, change), delta_arrow="off",
        )  # fmt: skip


def _colour(direction: str, row: pd.Series, name: str, words: str) -> Any:
    change, low, high = (row.get(f"{name}_change{suffix}") for suffix in ("", "_low", "_high"))
    if change is None or fmt.missing(change) or change == 0 or words.startswith(("same", "±", fmt.INDISTINGUISHABLE)):
        return "off"
    if low is not None and high is not None and low <= 0 <= high:
        return "off"  # no difference is proven
    return "green" if (change < 0) == (direction == "lower") else "red"


def bar_charts(queue: JobQueue, frame: pd.DataFrame, what: Hashable) -> None:
    """One chart per metric, two in a row; of very many files the first ones. ``what`` tells one frame from another."""
    known, columns = registry.metrics(), metric_columns(frame)
    first = [name for name in (headline(frame), *_FIRST_BARS) if name in columns]
    picked = st.pills(
        "Metrics",
        columns,
        selection_mode="multi",
        default=first,
        key="bar_metrics",
        format_func=lambda n: known[n].title,
    )
    if len(frame) > _MOST_BARS:
        st.caption(f"The first {_MOST_BARS} of {len(frame)} files.")
        frame = frame.head(_MOST_BARS)
    for start in range(0, len(picked), 2):
        for place, name in zip(st.columns(2, gap="large"), picked[start : start + 2], strict=False):
            figure = once(queue, ("bars", name, what), partial(bars, frame, name))
            place.plotly_chart(
                figure, config=theme.exported(file_stem(frame, name)), key=f"bars-{name}",
                alt=f"{known[name].title} of every file, {theme.better(known[name])}",
            )  # fmt: skip
            place.caption(known[name].help)
