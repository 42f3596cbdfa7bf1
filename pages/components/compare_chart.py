"""The comparison as charts: in the plane, in space, with many axes, or as bars; clicked marks are looked at."""

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
from optimizers.figures.names import saved_as
from optimizers.figures.parallel import MOST, parallel
from optimizers.figures.space import tradeoff_3d
from optimizers.figures.tradeoff import left_out, tradeoff
from optimizers.history.frames import headline, metric_columns
from optimizers.qualifying import Judgement
from pages.components import selection
from pages.components.metric_bars import metric_bars
from pages.components.text import escaped

PLANE, SPACE, MANY, BARS = "2-D", "3-D", "Parallel", "Bars"
"""Views; in the address they are named as on the page."""
_FIRST = ("size_bytes", "compressed_bytes", "latency_ms", "peak_memory_bytes")
_PICTURE = "picture"


def chart(queue: JobQueue, frame: pd.DataFrame, judgement: Judgement | None, what: Hashable) -> None:
    """Metrics against each other, to be chosen, with what keeps the limits in full colour, or each by itself as bars.

    ``what`` tells one frame from another.
    """
    view = st.segmented_control(
        "View", [PLANE, SPACE, MANY, BARS], default=PLANE, key="view", label_visibility="collapsed", required=True,
        bind="query-params",
    )  # fmt: skip
    if view == BARS:
        metric_bars(queue, frame, what, st.session_state.get(_PICTURE, "png"), _clicked)
        return
    looked_at, known = selection.looked_at(), registry.metrics()
    if view == MANY:
        axes = _many(frame)
        figure = parallel(frame, axes, chosen=looked_at, judgement=judgement)
    else:
        axes = _axes(frame, view or PLANE)
        if view == SPACE:
            figure = tradeoff_3d(frame, axes, chosen=looked_at, judgement=judgement)
        else:
            figure = tradeoff(frame, axes[0], axes[1], size=axes[2] or None, chosen=looked_at, judgement=judgement)
    titles = ", ".join(known[name].title for name in axes if name)
    stem = saved_as(frame, "-".join(filter(None, axes)))
    st.plotly_chart(
        figure, config=theme.exported(stem, st.session_state.get(_PICTURE, "png")),
        key="tradeoff", on_select=partial(_clicked, "tradeoff") if view != SPACE else "ignore", selection_mode="points",
        alt=f"{titles}: one mark per file, also in the table below",
    )  # fmt: skip
    how = (
        "Drag to turn. Choose a file in the list or in the table."
        if view == SPACE else "Click a mark to look at its file. Lists and table put up to four side by side."
    )  # fmt: skip
    apart = "latency_ms" in axes and "speedup" in frame and frame["timed_at"].nunique() > 1
    st.caption(how + (" Files were timed in different minutes: the speed-up says which is faster." if apart else ""))
    if without := left_out(frame, axes[:2] if (view or PLANE) == PLANE else axes):
        told = "; ".join(f"{fmt.listed(files)} (no {lacking})" for lacking, files in without.items())
        st.caption(f"Not in this chart: {escaped(told)}.")


def picture_format() -> None:
    """The format of the picture that the chart's camera saves."""
    st.segmented_control(
        "Picture", ["png", "svg"], default="png", key=_PICTURE, format_func=str.upper, required=True,
        help="What the camera at the top right of the chart saves.",
    )  # fmt: skip


def _axes(frame: pd.DataFrame, view: str) -> list[str]:
    known, columns, quality = registry.metrics(), metric_columns(frame), headline(frame)
    defaults = {"x": "size_bytes", "y": quality or columns[0], "size": "latency_ms"}
    labels = {"x": "Across", "y": "Up", "size": "Marker size" if view == PLANE else "Deep"}
    chosen: dict[str, Any] = {}
    for place, (axis, label) in zip(st.columns(3), labels.items(), strict=True):
        options: list[str] = [*columns] if axis != "size" else ["none", *columns]
        default = defaults[axis] if defaults[axis] in options else options[0]
        chosen[axis] = place.selectbox(
            label, options, options.index(default), key=axis, bind="query-params",
            format_func=lambda name: known[name].title if name in known else "All alike",
        )  # fmt: skip
    third = "" if chosen["size"] == "none" else str(chosen["size"])
    if view == PLANE:
        return [str(chosen["x"]), str(chosen["y"]), third]
    return [str(chosen["x"]), third or "size_bytes", str(chosen["y"])]


def _many(frame: pd.DataFrame) -> list[str]:
    known, columns = registry.metrics(), metric_columns(frame)
    first = [name for name in (headline(frame), *_FIRST) if name in columns]
    picked = st.multiselect(
        "Axes", columns, default=first, key="axes", format_func=lambda name: known[name].title, max_selections=MOST,
        bind="query-params",
    )  # fmt: skip
    return list(picked)


def _clicked(key: str) -> None:
    """Looks at the files whose marks were clicked in the chart of this key."""
    found = [point.get("customdata") for point in st.session_state[key].selection.points]
    ids = [d["0"] if isinstance(d, dict) else d[0] if isinstance(d, list | tuple) else d for d in found if d]
    if ids:
        selection.look_at(list(dict.fromkeys(map(str, ids))))
