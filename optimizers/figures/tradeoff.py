"""Two metrics against each other, one marker per deployable file, with the Pareto front."""

from __future__ import annotations

import math
from typing import Any, cast

import pandas as pd
import plotly.graph_objects as go

from optimizers import registry
from optimizers.declarations import Metric
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.names import short_names
from optimizers.figures.placement import place_labels
from optimizers.history.frames import pareto

COLUMNS = (
    "id", "label", "family", "is_baseline",
    "x", "x_minus", "x_plus", "y", "y_minus", "y_plus", "size", "front", "hover",
)  # fmt: skip
SMALLEST, LARGEST = 10.0, 28.0
"""Marker diameters in pixels. A marker's area is proportional to the third metric."""

_MOST_LABELS = 14


def identity(row: pd.Series) -> str:
    """What a chart's click gives back: the run, or ``baseline:`` and the file's key."""
    return str(row["run_id"]) or f"baseline:{row['artifact_key']}"


def tradeoff_data(frame: pd.DataFrame, x: str, y: str, size: str | None = "latency_ms") -> pd.DataFrame:
    """One row per file of which both metrics were measured, with the columns ``COLUMNS``; values in axis units.

    Args:
        frame: A comparison.
        x, y: Names of metrics.
        size: Metric told by the marker's area. None, or one that was not measured, leaves all markers alike.
    """
    known = registry.metrics()
    if frame.empty or not {x, y} <= set(frame.columns):
        return pd.DataFrame(columns=list(COLUMNS))
    shown = frame[frame[x].notna() & frame[y].notna()]
    if shown.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    labels = short_names(list(shown["variant"]), list(shown["seed"]))
    data = pd.DataFrame(
        {
            "id": [identity(row) for _, row in shown.iterrows()],
            "label": ["baseline" if base else n for n, base in zip(labels, shown["is_baseline"], strict=True)],
            "family": shown["family"].to_list(),
            "is_baseline": shown["is_baseline"].astype(bool).to_list(),
            "front": pareto(shown, [x, y]).to_list(),
            "size": _diameters(shown, size),
            "hover": [_hover(row) for _, row in shown.iterrows()],
        }
    )
    for axis, name in (("x", x), ("y", y)):
        factor = fmt.scale(known[name], shown[name]).factor
        value = shown[name].astype(float).to_numpy() * factor
        data[axis] = value
        for side, column, sign in (("minus", f"{name}_low", -1), ("plus", f"{name}_high", 1)):
            bound = shown[column].astype(float).to_numpy() * factor if column in shown else value
            data[f"{axis}_{side}"] = pd.Series((bound - value) * sign).clip(lower=0).fillna(0.0)
    return data[list(COLUMNS)]


def tradeoff(frame: pd.DataFrame, x: str, y: str, *, size: str | None = "latency_ms", chosen: str = "") -> go.Figure:
    """The chart: ``y`` against ``x``, marker area for ``size``, dashed Pareto front, hollow markers where beaten.

    Args:
        frame: A comparison.
        x, y, size: Names of metrics.
        chosen: Identity of the file to ring.
    """
    known = registry.metrics()
    title = f"{known[y].title} against {fmt.inside(known[x].title)}"
    data = tradeoff_data(frame, x, y, size)
    if data.empty:
        return theme.empty(title, "No file has both metrics measured yet.", height=420)
    sized = size in known and size in frame.columns and frame[size].notna().any()
    figure = go.Figure()
    _draw_front(figure, data, known[x], known[y])
    for family in data["family"].unique():
        _draw_family(figure, data[data["family"] == family], family)
    _draw_legend(figure, data)
    _draw_chosen(figure, data[data["id"] == chosen])
    hint = f"Filled: on the Pareto front. Hollow: beaten on both.{_size_hint(known[cast(str, size)]) if sized else ''}"
    theme.layout(figure, title, hint, height=460)
    _axes(figure, frame, data, known[x], known[y])
    _draw_labels(figure, data)
    return figure


def _draw_front(figure: go.Figure, data: pd.DataFrame, x: Metric, y: Metric) -> None:
    front = data[data["front"]].sort_values(["x", "y"], ascending=[True, y.direction == "higher"])
    if len(front) < 2:
        return
    figure.add_trace(
        go.Scatter(
            x=front["x"], y=front["y"], mode="lines", name="Pareto front", hoverinfo="skip",
            line={"color": theme.FRONT, "width": 1.5, "dash": "dash"},
        )
    )  # fmt: skip


def _draw_family(figure: go.Figure, data: pd.DataFrame, family: str) -> None:
    look = theme.look(family)
    figure.add_trace(
        go.Scatter(
            x=data["x"],
            y=data["y"],
            mode="markers",
            name=look.label,
            showlegend=False,
            customdata=data[["id"]].to_numpy(),
            hovertext=data["hover"],
            hovertemplate="%{hovertext}<extra></extra>",
            error_x=_bars(data, "x", look.colour),
            error_y=_bars(data, "y", look.colour),
            marker={
                "size": data["size"].to_list(),
                "color": [look.colour if front else "rgba(125, 133, 144, 0.10)" for front in data["front"]],
                "symbol": look.symbol,
                "opacity": 1,
                "line": {"width": [1.2 if front else 2 for front in data["front"]],
                         "color": [look.edge if front else look.colour for front in data["front"]]},
            },
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
        )
    )  # fmt: skip


def _draw_legend(figure: go.Figure, data: pd.DataFrame) -> None:
    """Legend entries of one size; those of the data would be as large as their markers."""
    for family in theme.FAMILIES:
        if family in set(data["family"]):
            look = theme.look(family)
            marker = {"size": 10, "color": look.colour, "symbol": look.symbol, "line": {"width": 1, "color": look.edge}}
            figure.add_trace(
                go.Scatter(x=[None], y=[None], mode="markers", name=look.label, marker=marker, hoverinfo="skip")
            )


def _draw_chosen(figure: go.Figure, chosen: pd.DataFrame) -> None:
    if chosen.empty:
        return
    ring = {
        "size": (chosen["size"] + 11).to_list(),
        "symbol": "circle-open",
        "line": {"width": 2},
        "color": theme.NEUTRAL,
    }
    figure.add_trace(
        go.Scatter(x=chosen["x"], y=chosen["y"], mode="markers", marker=ring, hoverinfo="skip", showlegend=False)
    )


def _draw_labels(figure: go.Figure, data: pd.DataFrame) -> None:
    if len(data) > _MOST_LABELS:
        return
    ranges = figure.layout.xaxis.range, figure.layout.yaxis.range
    named = data.copy()
    named["place"] = place_labels(data, ranges[0], ranges[1])
    named = named.dropna(subset=["place"])
    figure.add_trace(
        go.Scatter(
            x=named["x"], y=named["y"], mode="markers+text", text=named["label"], textposition=named["place"].to_list(),
            textfont={"size": 12}, marker={"size": (named["size"] + 4).to_list(), "color": "rgba(0,0,0,0)"},
            hoverinfo="skip", showlegend=False, cliponaxis=False,
        )
    )  # fmt: skip


def _axes(figure: go.Figure, frame: pd.DataFrame, data: pd.DataFrame, x: Metric, y: Metric) -> None:
    for axis, metric, update in (("x", x, figure.update_xaxes), ("y", y, figure.update_yaxes)):
        unit = fmt.scale(metric, frame[metric.name]).unit
        low, high = (data[axis] - data[f"{axis}_minus"]).min(), (data[axis] + data[f"{axis}_plus"]).max()
        pad = (high - low) * 0.16 or abs(high) * 0.05 or 1.0
        from_zero = metric.unit in ("B", "ms") and low >= 0
        top = high + (max(pad, high * 0.16) if from_zero else pad)
        update(title_text=theme.axis_title(metric, unit), range=[0 if from_zero else low - pad, top])


def _bars(data: pd.DataFrame, axis: str, colour: str) -> dict[str, Any]:
    plus, minus = data[f"{axis}_plus"], data[f"{axis}_minus"]
    shown = bool((plus + minus).gt(0).any())
    return {
        "type": "data", "array": plus.to_list(), "arrayminus": minus.to_list(), "symmetric": False, "visible": shown,
        "thickness": 1.2, "width": 3, "color": colour,
    }  # fmt: skip


def _diameters(frame: pd.DataFrame, size: str | None) -> list[float]:
    if size is None or size not in frame.columns or not frame[size].notna().any():
        return [16.0] * len(frame)
    top = float(frame[size].max())
    return [
        SMALLEST if fmt.missing(v) or top <= 0 else max(SMALLEST, LARGEST * math.sqrt(v / top))
        for v in frame[size].astype(float)
    ]


def _hover(row: pd.Series) -> str:
    known = registry.metrics()
    lines = [f"<b>{_wrapped(str(row['variant']))}</b>"]
    for name in [n for n in known if n in row.index]:
        metric = known[name]
        line = f"{metric.title}: {fmt.value(metric, row[name])}"
        bounds = fmt.interval(metric, row.get(f"{name}_low"), row.get(f"{name}_high"))
        difference = "" if row["is_baseline"] else against(metric, row)
        lines.append(line + (f" ({bounds})" if bounds else "") + (f", {difference}" if difference else ""))
    return "<br>".join(lines)


def speedup_of(row: pd.Series) -> tuple[float, float] | None:
    """Interval of the measured speed-up of a comparison's row, or None."""
    low, high = row.get("speedup_low"), row.get("speedup_high")
    return None if low is None or high is None or fmt.missing(low) or fmt.missing(high) else (float(low), float(high))


def against(metric: Metric, row: pd.Series) -> str:
    """A comparison's row against its baseline, with the interval where the difference is paired."""
    name = metric.name
    told = fmt.change(metric, row.get(f"{name}_change"), speedup_of(row))
    bounds = fmt.change_interval(metric, row.get(f"{name}_change_low"), row.get(f"{name}_change_high"))
    return f"{told} ({bounds})" if told and bounds else told


def _wrapped(recipe: str) -> str:
    return recipe.replace("+", "<br>+ ")


def _size_hint(metric: Metric) -> str:
    word = "slower" if metric.unit == "ms" else f"more {fmt.inside(metric.title)}"
    return f"<br>Larger marker: {word}. Bars: 95% interval."
