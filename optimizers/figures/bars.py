"""One metric across all variants, with the baseline's value as a line."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.names import names
from optimizers.figures.tradeoff import against, identity

COLUMNS = ("id", "label", "family", "is_baseline", "value", "minus", "plus", "text", "change")


def bar_data(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row per file in order, with the columns ``COLUMNS``; values in axis units, NaN if not measured."""
    if frame.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    declared = registry.metric(metric)
    values = frame[metric].astype(float) if metric in frame else pd.Series(float("nan"), index=frame.index)
    factor = fmt.scale(declared, values).factor
    rows = []
    for label, value, (_, row) in zip(names(frame), values, frame.iterrows(), strict=True):
        low, high = row.get(f"{metric}_low"), row.get(f"{metric}_high")
        rows.append(
            {
                "id": identity(row),
                "label": label,
                "family": row["family"],
                "is_baseline": bool(row["is_baseline"]),
                "value": value * factor,
                "minus": 0.0 if low is None or fmt.missing(low) else max(0.0, (value - low) * factor),
                "plus": 0.0 if high is None or fmt.missing(high) else max(0.0, (high - value) * factor),
                "text": fmt.value(declared, value),
                "change": "" if row["is_baseline"] else against(declared, row),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def bars(frame: pd.DataFrame, metric: str) -> go.Figure:
    """The chart: first variant on top, 95% intervals, and a dotted line at the baseline's value.

    Bars start at zero. Where all values lie close together, far from zero, points on a shorter axis take their place.
    """
    declared = registry.metric(metric)
    data = bar_data(frame, metric)
    if data.empty or data["value"].isna().all():
        return theme.empty(declared.title, fmt.NOT_MEASURED.capitalize() + ".")
    low, high = float((data["value"] - data["minus"]).min()), float((data["value"] + data["plus"]).max())
    from_zero = declared.needs != "predictions" or low < _FAR_FROM_ZERO * high
    places = [str(number) for number in range(len(data))]
    figure = go.Figure(_bar_trace(data, places) if from_zero else _point_trace(data, places))
    ends = (data["value"] + data["plus"]).fillna(low)
    if from_zero:  # beside the bar, not in it, where that goes to the left
        ends = ends.clip(lower=0.0)
    figure.add_trace(
        go.Scatter(
            x=ends, y=places, mode="text", text=[f" {text}" for text in data["text"]], textposition="middle right",
            textfont={"size": 12}, hoverinfo="skip", showlegend=False, cliponaxis=False,
        )
    )  # fmt: skip
    baselines = data[data["is_baseline"] & data["value"].notna()]
    if len(baselines) == 1:
        line = {"color": theme.NEUTRAL, "width": 1.5, "dash": "dot"}
        figure.add_vline(x=float(baselines["value"].iloc[0]), line=line)
    start = min(0.0, low) if from_zero else low - (high - low) * 0.1
    end = max(0.0, high) if from_zero else high
    unit = fmt.scale(declared, frame[metric].astype(float)).unit
    across: dict[str, Any] = {"range": [start, end + (end - start) * 0.3], "nticks": 5}
    down = {
        "tickvals": places, "ticktext": list(data["label"]), "range": [len(data) - 0.4, -0.6], "showgrid": False,
        "ticks": "",
    }  # fmt: skip
    theme.layout(
        figure, declared.title, theme.better(declared).capitalize(), height=100 + 32 * len(data), margin={"t": 54},
        xaxis=across | ({"title": {"text": unit}} if unit else {}), yaxis=down,
    )  # fmt: skip
    return figure


_FAR_FROM_ZERO = 0.5


def _bar_trace(data: pd.DataFrame, places: list[str]) -> go.Bar:
    looks = [theme.look(family) for family in data["family"]]
    edges = {"width": 1, "color": [look.edge for look in looks]}
    return go.Bar(
        x=data["value"].fillna(0),
        y=places,
        orientation="h",
        width=0.62,
        error_x=_intervals(data),
        marker={"color": [look.colour for look in looks], "line": edges},
        **_told(data),
    )


def _point_trace(data: pd.DataFrame, places: list[str]) -> go.Scatter:
    looks = [theme.look(family) for family in data["family"]]
    marker = {
        "size": 12,
        "color": [look.colour for look in looks],
        "symbol": [look.symbol for look in looks],
        "line": {"width": 1, "color": [look.edge for look in looks]},
    }
    return go.Scatter(x=data["value"], y=places, mode="markers", marker=marker, error_x=_intervals(data), **_told(data))


def _intervals(data: pd.DataFrame) -> dict[str, Any]:
    known = bool((data["minus"] + data["plus"]).gt(0).any())
    sides = {"array": data["plus"].to_list(), "arrayminus": data["minus"].to_list()}
    return {"type": "data", **sides, "symmetric": False, "visible": known, "thickness": 1.2, "width": 3,
            "color": theme.NEUTRAL}  # fmt: skip


def _told(data: pd.DataFrame) -> dict[str, Any]:
    told = [_hover(row) for _, row in data.iterrows()]
    marked = [[name] for name in data["id"]]  # a click says which file it is
    shown = {"hovertext": told, "hovertemplate": "%{hovertext}<extra></extra>", "showlegend": False}
    return shown | {"customdata": marked}


def _hover(row: pd.Series) -> str:
    return f"<b>{row['label']}</b><br>{row['text']}" + (f", {row['change']}" if row["change"] else "")
