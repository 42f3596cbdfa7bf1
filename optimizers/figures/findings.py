"""Draws the tables of analyses as they declare it: bars, lines, or a matrix."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.findings import REFERENCE, Chart, Column, Table

_SERIES = ("#1F85C7", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7D8590")
"""Okabe and Ito's colours in an order in which neighbours differ most."""
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon")
_MOST_BARS = 40
_STEPS, _MOST_MARKS = (1, 2, 5, 10, 20, 50), 10
_LABELLED_CELLS = 15


def chart(table: Table) -> go.Figure | None:
    """The table's chart, or None where it declares none or has no rows to draw."""
    if table.chart is None or not table.rows:
        return None
    frame = pd.DataFrame(list(table.rows), columns=[column.name for column in table.columns])
    draw = {"bars": _bars, "lines": _lines, "matrix": _matrix}[table.chart.kind]
    return draw(table, frame)


def _bars(table: Table, frame: pd.DataFrame) -> go.Figure:
    told = table.chart
    assert told is not None
    shown = frame.head(_MOST_BARS)
    columns = {column.name: column for column in table.columns}
    factor, unit = _scale(columns[told.y[0]], frame[list(told.y)])
    colours = _colours(told.y)
    figure = go.Figure()
    for number, name in enumerate(told.y):
        values = pd.to_numeric(shown[name], errors="coerce")
        intervals = _intervals(shown, told.low, told.high, values, factor) if number == 0 else None
        figure.add_bar(
            x=values * factor,
            y=[str(x) for x in shown[told.x]],
            orientation="h",
            name=columns[name].title,
            marker={"color": colours[name]},
            error_x=intervals,
            hovertext=[f"{x}: {fmt.cell(_number(v), columns[name].unit)}" for x, v in _pairs(shown[told.x], values)],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=len(told.y) > 1,
        )
    rows = len(shown) * (1 if told.stacked else max(1, len(told.y) * 0.7))
    more = f"the first {_MOST_BARS} of {len(frame)}" if len(frame) > _MOST_BARS else ""
    theme.layout(figure, table.title, _subtitle(columns[told.y[0]], more), height=int(130 + 24 * rows))
    figure.update_layout(barmode="stack" if told.stacked else "group", bargap=0.28)
    figure.update_xaxes(
        title_text=unit or None,
        type="log" if told.log else "linear",
        rangemode="tozero",
        dtick=_whole_steps(columns[told.y[0]], shown[list(told.y)], told),
    )
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_layout(legend={"y": -70 / max(1, int(130 + 24 * rows) - 110)})
    return figure


def _lines(table: Table, frame: pd.DataFrame) -> go.Figure:
    told = table.chart
    assert told is not None
    columns = {column.name: column for column in table.columns}
    factor, unit = _scale(columns[told.y[0]], frame[list(told.y)])
    groups: list[tuple[str, pd.DataFrame]] = [("", frame)]
    if told.by:
        groups = [(str(name), rows) for name, rows in frame.groupby(told.by, sort=False)]
    colours = _colours(told.y if not told.by else range(len(groups) * len(told.y)))
    figure = go.Figure()
    for number, (group, name) in enumerate((g, y) for g in groups for y in told.y):
        label, rows = group
        values = pd.to_numeric(rows[name], errors="coerce")
        figure.add_scatter(
            x=list(rows[told.x]),
            y=values * factor,
            mode="lines+markers",
            name=" · ".join(filter(None, (label, columns[name].title if len(told.y) > 1 or not label else ""))),
            line={
                "color": colours[number if told.by else name],
                "dash": _DASHES[number // len(_SERIES) % len(_DASHES)],
            },
            marker={"symbol": _SYMBOLS[number % len(_SYMBOLS)], "size": 7},
            error_y=_intervals(rows, told.low, told.high, values, factor) if name == told.y[0] else None,
            showlegend=len(groups) * len(told.y) > 1,
        )
    theme.layout(figure, table.title, _subtitle(columns[told.y[0]]), height=340)
    figure.update_xaxes(title_text=_axis(columns[told.x]))
    if told.log_x:
        marked = sorted(set(frame[told.x]))
        figure.update_xaxes(type="log", tickvals=marked, ticktext=[fmt.count(value) for value in marked])
    figure.update_yaxes(title_text=unit or None, type="log" if told.log else "linear")
    return figure


def _matrix(table: Table, frame: pd.DataFrame) -> go.Figure:
    told = table.chart
    assert told is not None
    columns = {column.name: column for column in table.columns}
    names = list(dict.fromkeys(str(x) for x in frame[told.x]))
    rows = list(dict.fromkeys(str(x) for x in frame[told.by]))
    column = columns[told.y[0]]
    frame = frame.assign(**{told.x: frame[told.x].astype(str), told.by: frame[told.by].astype(str)})
    values = frame.pivot_table(index=told.by, columns=told.x, values=told.y[0], sort=False).reindex(
        index=rows, columns=names
    )
    signed = bool((values < 0).any(axis=None))
    span = _largest(values) or 1.0
    texts = [[fmt.cell(_number(v), column.unit) for v in row] for row in values.to_numpy()]
    figure = go.Figure(
        go.Heatmap(
            z=values.to_numpy(),
            x=names,
            y=rows,
            colorscale="RdBu" if signed else "Blues",
            zmin=-span if signed else 0,
            zmax=span,
            text=texts,
            texttemplate="%{text}" if len(names) <= _LABELLED_CELLS else None,
            hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    theme.layout(figure, table.title, _subtitle(column), height=150 + 28 * len(rows))
    figure.update_xaxes(title_text=columns[told.x].title, type="category", showgrid=False)
    figure.update_yaxes(title_text=columns[told.by].title, type="category", autorange="reversed", showgrid=False)
    return figure


def _colours(names: Iterable[str | int]) -> dict[str | int, str]:
    """One for each series; grey is for what the others are held against."""
    left = cycle(_SERIES)
    return {name: theme.NEUTRAL if name == REFERENCE else next(left) for name in names}


def _whole_steps(column: Column, values: pd.DataFrame, told: Chart) -> float | None:
    """Distance between the marks of an axis of few things that are counted, so that no mark falls between them."""
    if column.unit != "count" or told.log:
        return None
    rows = values.apply(pd.to_numeric, errors="coerce").fillna(0.0)
    top = float(rows.sum(axis=1).max() if told.stacked else _largest(rows))
    return next((float(step) for step in _STEPS if top / step <= _MOST_MARKS), None)


def _subtitle(column: Column, more: str = "") -> str:
    better = {"lower": "lower is better", "higher": "higher is better", None: ""}[column.better]
    return ", ".join(filter(None, (better, more))).capitalize()


def _axis(column: Column) -> str:
    return f"{column.title} ({column.unit})" if column.unit in ("ms", "s", "bits", "dB", "B") else column.title


def _scale(column: Column, values: pd.DataFrame) -> tuple[float, str]:
    """Factor and unit of an axis."""
    top = _largest(values) or 1.0
    if column.unit == "fraction":
        return 100.0, "%"
    steps = fmt.steps_of(column.unit)
    if steps:
        step = next((s for s in steps if top * s.factor >= 1), steps[-1])
        return step.factor, step.unit
    return 1.0, {"count": "", "x": "times", "1/s": "per second"}.get(column.unit, column.unit)


def _intervals(frame: pd.DataFrame, low: str, high: str, values: pd.Series, factor: float) -> dict[str, Any] | None:
    if not low or not high:
        return None
    plus = (pd.to_numeric(frame[high], errors="coerce") - values).clip(lower=0).fillna(0) * factor
    minus = (values - pd.to_numeric(frame[low], errors="coerce")).clip(lower=0).fillna(0) * factor
    return {"type": "data", "array": plus.to_list(), "arrayminus": minus.to_list(), "symmetric": False,
            "thickness": 1.2, "width": 3, "color": theme.NEUTRAL}  # fmt: skip


def _largest(values: pd.DataFrame) -> float:
    """The largest distance from zero among numbers of which some are missing."""
    numbers = values.apply(pd.to_numeric, errors="coerce").abs().to_numpy(dtype=float)
    return float(np.nanmax(numbers, initial=0.0))


def _pairs(names: pd.Series, values: pd.Series) -> Iterable[tuple[Any, Any]]:
    return zip(names, values, strict=True)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
