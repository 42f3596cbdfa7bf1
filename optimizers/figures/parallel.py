"""Several metrics side by side, one line per file: upwards is better on every axis."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.tradeoff import bounds, point_data, seeds_hint
from optimizers.qualifying import Judgement

MOST = 8
"""Axes that have room beside each other."""
_WRAP = 14


def parallel_data(frame: pd.DataFrame, metrics: Sequence[str], judgement: Judgement | None = None) -> pd.DataFrame:
    """As `optimizers.figures.tradeoff.point_data`, and for each metric its places:
    ``metric_place``, ``metric_place_low`` and ``metric_place_high``.

    Places are from 0, the worst value measured, to 1, the best one; 0.5 where all are the same. Those of an interval's
    ends may lie outside.
    """
    data = point_data(frame, {name: name for name in metrics}, judgement)
    for name in metrics:
        values = data[name].to_numpy(float)
        low, span = (values.min(), np.ptp(values)) if len(values) else (0.0, 0.0)
        ends = {
            "_place": values,
            "_place_low": values - data[f"{name}_minus"],
            "_place_high": values + data[f"{name}_plus"],
        }
        for suffix, value in ends.items():
            share = (np.asarray(value, float) - low) / span if span else np.full(len(values), 0.5)
            data[f"{name}{suffix}"] = share if registry.metric(name).direction == "higher" else 1 - share
    return data


def parallel(
    frame: pd.DataFrame,
    metrics: Sequence[str],
    *,
    chosen: Sequence[str] = (),
    judgement: Judgement | None = None,
) -> go.Figure:
    """The chart: full lines are on the Pareto front of all metrics drawn, dotted ones are beaten.

    Args:
        frame: A comparison.
        metrics: Names of 2 to ``MOST`` metrics, left to right.
        chosen: Identities of the files drawn in bold, the one that is looked at first.
        judgement: Which files keep which limits; the others are dimmed.
    """
    title = "Several metrics at once"
    data = parallel_data(frame, metrics, judgement)
    if data.empty or len(metrics) < 2:
        return theme.empty(title, "No file has all of these metrics measured yet.", height=460)
    figure = go.Figure()
    _draw_scales(figure, frame, data, metrics)
    data["bold"] = data["id"].isin(list(chosen))
    for _, some in data.sort_values("bold", kind="stable").groupby(["bold", "family", "state", "front"], sort=False):
        figure.add_trace(_lines(some, metrics))
    theme.legend(figure, data["family"])
    if judgement is not None:
        _draw_bounds(figure, frame, judgement, metrics)
    hint = (
        "Upwards is better everywhere. Full lines: on the Pareto front of all.<br>Dotted: beaten. Bars: 95% interval."
    )
    hint += seeds_hint(frame)
    return theme.layout(figure, title, hint, height=480).update_layout(margin={"t": 76 + 16 * hint.count("<br>")})


def _lines(data: pd.DataFrame, metrics: Sequence[str]) -> go.Scatter:
    """Lines of files that look alike, one after the other with gaps between."""
    first = data.iloc[0]
    look, bold = theme.look(str(first["family"])), bool(first["bold"])
    gap = [np.full(len(data), np.nan)]
    up = np.column_stack([*(data[f"{name}_place"] for name in metrics), *gap])
    ends = [np.column_stack([*(data[f"{name}_place_{end}"] for name in metrics), *gap]) for end in ("low", "high")]
    above, below = np.nan_to_num(np.maximum(*ends) - up), np.nan_to_num(up - np.minimum(*ends))
    per_file = len(metrics) + 1
    return go.Scatter(
        x=np.tile([*range(len(metrics)), None], len(data)).tolist(), y=[None if np.isnan(v) else v for v in up.ravel()],
        mode="lines+markers", name=look.label, showlegend=False, opacity=theme.OPACITY[first["state"]],
        line={"color": look.colour, "width": 4 if bold else 1.8, "dash": "solid" if first["front"] else "dot"},
        marker={"color": look.colour, "symbol": look.symbol, "size": 11 if bold else 8,
                "line": {"width": 1, "color": look.edge}},
        error_y={"type": "data", "array": above.ravel().tolist(), "arrayminus": below.ravel().tolist(),
                 "symmetric": False, "visible": bool((above + below).any()), "thickness": 1, "width": 3,
                 "color": look.colour},
        customdata=np.repeat(data["id"].to_numpy(), per_file)[:, None],
        hovertext=np.repeat(data["hover"].to_numpy(), per_file), hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _draw_scales(figure: go.Figure, frame: pd.DataFrame, data: pd.DataFrame, metrics: Sequence[str]) -> None:
    """An axis per metric with its best value at the top and its worst one at the bottom."""
    known, titles = registry.metrics(), []
    for number, name in enumerate(metrics):
        metric = known[name]
        line = {"color": theme.NEUTRAL, "width": 1}
        figure.add_shape(type="line", x0=number, x1=number, y0=0, y1=1, line=line, layer="below")
        values = frame.loc[data.index, name].astype(float)
        best, worst = (values.max(), values.min()) if metric.direction == "higher" else (values.min(), values.max())
        for place, value, side in ((1, best, "bottom"), (0, worst, "top")):
            figure.add_annotation(
                x=number, y=place, text=fmt.value(metric, value), showarrow=False, yanchor=side,
                yshift=10 if place else -10, font={"size": 11},
            )  # fmt: skip
        titles.append("<br>".join(textwrap.wrap(metric.title, _WRAP)))
    figure.update_xaxes(
        tickvals=[*range(len(metrics))], ticktext=titles, range=[-0.5, len(metrics) - 0.5], showgrid=False, ticks=""
    )
    reach = [data[f"{name}_place_{end}"] for name in metrics for end in ("low", "high")]
    low, high = min(map(min, reach)), max(map(max, reach))
    figure.update_yaxes(
        range=[max(-0.6, min(low, 0)) - 0.14, min(1.6, max(high, 1)) + 0.14],
        showticklabels=False,
        showgrid=False,
        ticks="",
    )


def _draw_bounds(figure: go.Figure, frame: pd.DataFrame, judgement: Judgement, metrics: Sequence[str]) -> None:
    """A short line on the axis of each metric that is limited."""
    for name, bound in bounds(frame, judgement):
        values = frame[name].astype(float)
        span = float(values.max() - values.min())
        if name in metrics and span and values.min() <= bound <= values.max():
            share = (bound - float(values.min())) / span
            place = share if registry.metric(name).direction == "higher" else 1 - share
            line: dict[str, Any] = {"color": theme.LIMIT, "width": 3}
            middle = list(metrics).index(name)
            figure.add_shape(type="line", x0=middle - 0.12, x1=middle + 0.12, y0=place, y1=place, line=line)
