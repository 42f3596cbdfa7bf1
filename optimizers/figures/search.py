"""How a search stands: the front of what was tried, how the best came about, and which settings decide."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.tradeoff import tradeoff

MOST_SETTINGS = 10
_BAR = 34
_LABEL = 28
"""Characters in a line of a setting's name, so that bars have room beside it on a phone as well."""


def tried(frame: pd.DataFrame, x: str, y: str, chosen: str = "") -> go.Figure:
    """All files that a search has measured on validation data, with the front; ``chosen`` is the run to ring."""
    figure = tradeoff(frame, x, y, size=None, chosen=(chosen,) if chosen else ())
    figure.update_layout(title_text=f"{figure.layout.title.text} on validation data")
    return figure


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
