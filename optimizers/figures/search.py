"""How a search stands: the front of what was tried, how the best came about, and which settings decide."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping

import pandas as pd
import plotly.graph_objects as go

from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.tradeoff import tradeoff, tradeoff_data

MOST_SETTINGS = 10
_BAR = 34
_FEWEST_KEPT = 3
_LEAST_SPAN = 0.02
"""Of a value: what is kept may differ by less, and is not looked at more closely."""
_SQUEEZED = 5
"""Times the span of what is kept from which all files together leave it too little room."""
_LABEL = 28
"""Characters in a line of a setting's name, so that bars have room beside it on a phone as well."""


def tried(frame: pd.DataFrame, x: str, y: str, chosen: str = "", kept: Collection[str] = ()) -> go.Figure:
    """All files that a search has measured on validation data, with the front.

    A search tries what collapses, too, which would squeeze all else into a corner. The axes therefore show the
    neighbourhood of the baseline and of what keeps the limits, and say how many lie outside; a double click shows all.

    Args:
        frame: A comparison of the trials.
        x, y: Names of metrics.
        chosen: The run to ring.
        kept: Runs whose files keep all limits.
    """
    figure = tradeoff(frame, x, y, size=None, chosen=(chosen,) if chosen else ())
    figure.update_layout(title_text=f"{figure.layout.title.text} on validation data")
    data = tradeoff_data(frame, x, y, size=None)
    near = data[data["id"].isin({*kept, chosen}) | data["is_baseline"].astype(bool)]
    ranges = {axis: _near(data[axis], near[axis]) for axis in ("x", "y")}
    outside = sum(
        any(bounds is not None and not bounds[0] <= row[axis] <= bounds[1] for axis, bounds in ranges.items())
        for row in data.to_dict("records")
    )
    if outside:
        for axis, bounds in ranges.items():
            if bounds is not None:
                figure.update_layout({f"{axis}axis": {"range": bounds}})
        told = f"{fmt.count(outside)} file{'s lie' if outside > 1 else ' lies'} outside; a double click shows all."
        figure.layout.title.subtitle.text += f"<br>{told}"
        figure.layout.margin.t += 16
    return figure


def _near(values: pd.Series, kept: pd.Series) -> list[float] | None:
    """Bounds around what is kept, or None where all values lie near it."""
    if len(kept) < _FEWEST_KEPT:
        return None
    low, high = float(kept.min()), float(kept.max())
    room = max(high - low, _LEAST_SPAN * abs(high), 1e-12)
    if float(values.max() - values.min()) < _SQUEEZED * room:
        return None
    return [max(low - room, 0.0) if low >= 0 else low - room, high + room]


def importance_data(shares: Mapping[str, float]) -> pd.DataFrame:
    """One row per setting with the columns ``label`` and ``share``, the most important one last.

    Args:
        shares: By what people call a setting. Small ones are put together as ``All others``.
    """
    items = sorted(shares.items(), key=lambda item: -item[1])
    rows = items[:MOST_SETTINGS]
    rest = sum(share for _, share in items[MOST_SETTINGS:])
    if rest > 0:
        rows.append(("All others", rest))
    return pd.DataFrame(rows[::-1], columns=["label", "share"])


def importance_bars(shares: Mapping[str, float], objective: str) -> go.Figure:
    """How much each setting decides about an objective, as shares of 1."""
    title, data = f"What decides about {fmt.inside(objective)}", importance_data(shares)
    if data.empty:
        return theme.empty(title, "Too few trials so far to tell.")
    figure = go.Figure(
        go.Bar(
            x=data["share"], y=[_lines(label) for label in data["label"]], orientation="h",
            marker={"color": theme.look("quantization").colour},
            text=[fmt.percent(share) for share in data["share"]], textposition="outside", cliponaxis=False,
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )  # fmt: skip
    theme.layout(figure, title, "Share of the differences between trials", height=120 + _BAR * len(data))
    figure.update_xaxes(visible=False, range=[0, 1.6 * float(data["share"].max())])
    return figure


def _lines(label: str) -> str:
    return "<br>".join(textwrap.wrap(re.sub(r" \(.*?\)", "", label), _LABEL))
