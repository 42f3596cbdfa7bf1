"""What stands out in a comparison: the best file in size, speed and quality."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.figures.highlights import best
from optimizers.figures.names import names
from optimizers.figures.tradeoff import speedup_of
from optimizers.history.frames import headline


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
