"""Draws the tables of analyses as they declare it: bars, lines, a matrix, histograms, a waterfall."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.findings import REFERENCE, Chart, Column, Table

_SERIES = ("#1F85C7", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7D8590")
"""Okabe and Ito's colours in an order in which neighbours differ most."""
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon")
_MOST_BARS = 40
_LONGEST_LABEL = 34
_STEPS, _MOST_MARKS = (1, 2, 5, 10, 20, 50), 10
_LABELLED_CELLS = 15
_MOST_PANELS, _PANELS_IN_A_ROW, _PANEL_HEIGHT, _PANEL_GAP = 12, 2, 140, 60
_WIDE = 5.0
_MOST_ABOVE = 1.5
"""An interval that reaches this many times as far as the largest value leaves the chart, lest all lines lie flat."""


def chart(table: Table) -> go.Figure | None:
    """The table's chart, or None where it declares none or has no rows to draw."""
    if table.chart is None or not table.rows:
        return None
    frame = pd.DataFrame(list(table.rows), columns=[column.name for column in table.columns])
    return (_panels if table.chart.panels else _DRAWN[table.chart.kind])(table, frame)


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
    if told.low and not told.stacked and len(told.y) == 1:  # where a bar has no length, its end is seen as well
        ends = pd.to_numeric(shown[told.y[0]], errors="coerce") * factor
        figure.add_scatter(
            x=ends,
            y=[str(x) for x in shown[told.x]],
            mode="markers",
            marker={"color": colours[told.y[0]], "size": 7},
            hoverinfo="skip",
            showlegend=False,
        )
    rows = len(shown) * (1 if told.stacked else max(1, len(told.y) * 0.7))
    more = f"the first {_MOST_BARS} of {len(frame)}" if len(frame) > _MOST_BARS else ""
    theme.layout(figure, table.title, _subtitle([columns[y] for y in told.y], more), height=int(130 + 24 * rows))
    figure.update_layout(barmode="stack" if told.stacked else "group", bargap=0.28)
    figure.update_xaxes(
        title_text=_quantity(told, columns, unit),
        type="log" if told.log else "linear",
        rangemode="tozero",
        dtick=_whole_steps(columns[told.y[0]], shown[list(told.y)], told),
    )
    labels = list(dict.fromkeys(str(x) for x in shown[told.x]))
    figure.update_yaxes(
        autorange="reversed",
        type="category",
        showgrid=False,
        tickvals=labels,
        ticktext=[x if len(x) <= _LONGEST_LABEL else f"{x[: _LONGEST_LABEL - 1].rstrip()}…" for x in labels],
    )
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
    theme.layout(figure, table.title, _subtitle([columns[y] for y in told.y]), height=340)
    figure.update_xaxes(title_text=_axis(columns[told.x]))
    if told.log_x:
        marked = sorted(set(frame[told.x]))
        figure.update_xaxes(type="log", tickvals=marked, ticktext=[fmt.count(value) for value in marked])
    figure.update_yaxes(title_text=_quantity(told, columns, unit), type="log" if told.log else "linear")
    if told.log and _spread(frame[list(told.y)]) > _WIDE:
        figure.update_yaxes(dtick="D2")  # else Plotly shortens what is between two powers of ten to one digit
    top = _largest(frame[list(told.y)]) or 0.0
    if told.high and not told.log and (_largest(frame[[told.high]]) or 0.0) > _MOST_ABOVE * top:
        figure.update_yaxes(range=[None, _MOST_ABOVE * top * factor])
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
    theme.layout(figure, table.title, _subtitle([column]), height=150 + 28 * len(rows))
    figure.update_xaxes(title_text=columns[told.x].title, type="category", showgrid=False)
    figure.update_yaxes(title_text=columns[told.by].title, type="category", autorange="reversed", showgrid=False)
    return figure


def _panels(table: Table, frame: pd.DataFrame) -> go.Figure:
    """Small panels, each with one line or one stepped outline per column of ``y``."""
    told = table.chart
    assert told is not None
    columns = {column.name: column for column in table.columns}
    steps = told.kind == "histogram"
    measured = (told.x,) if steps else told.y
    factor, unit = _scale(columns[measured[0]], frame[list(measured)])
    groups = list(frame.groupby(told.panels, sort=False)) if told.panels else [("", frame)]
    shown = groups[:_MOST_PANELS]
    across = min(_PANELS_IN_A_ROW, len(shown))
    rows = -(-len(shown) // across)
    figure = make_subplots(
        rows, across, subplot_titles=[str(name) for name, _ in shown], horizontal_spacing=0.12,
        vertical_spacing=_PANEL_GAP / max(1, rows * _PANEL_HEIGHT), shared_yaxes=False if steps else "all",
    )  # fmt: skip
    colours = _colours(told.y)
    for place, (_, part) in enumerate(shown):
        at = {"row": place // across + 1, "col": place % across + 1}
        for number, name in enumerate(told.y):
            draw = _outline if steps else _line
            intervals = _intervals(part, told.low, told.high, _numbers(part[name]), factor) if number == 0 else None
            figure.add_trace(
                draw(part, told, name, factor).update(
                    name=columns[name].title,
                    legendgroup=name,
                    showlegend=place == 0 and len(told.y) > 1,
                    line={"color": colours[name], "dash": "dot" if name == REFERENCE else "solid", "width": 1.8},
                    error_y=intervals,
                ),
                **at,
            )
        if steps and told.log:
            figure.update_yaxes(range=[np.log10(_floor(part, told)), 0.1], **at)
    more = f"the first {_MOST_PANELS} of {len(groups)}" if len(groups) > _MOST_PANELS else ""
    height = 110 + _PANEL_HEIGHT * rows
    theme.layout(figure, table.title, _subtitle([columns[y] for y in told.y], more), height=height)
    figure.update_layout(margin={"t": 84}, legend={"y": -50 / max(1, height - 100)})
    figure.update_annotations(font={"size": 12})
    figure.update_xaxes(nticks=5)
    figure.update_yaxes(type="log" if told.log else "linear", tickformat="~%" if steps else "", nticks=4)
    quantity = _quantity(told, columns, unit)
    below = quantity if steps and told.axis else columns[told.x].title
    for place in range(max(0, len(shown) - across), len(shown)):  # the lowest of each column
        figure.update_xaxes(title_text=below, row=place // across + 1, col=place % across + 1)
    figure.update_yaxes(title_text="Share" if steps else quantity, col=1)
    if not steps:
        figure.update_xaxes(dtick=1)
    return figure


def _line(part: pd.DataFrame, told: Chart, name: str, factor: float) -> go.Scatter:
    return go.Scatter(
        x=list(part[told.x]),
        y=list(_numbers(part[name]) * factor),
        mode="lines+markers",
        marker={"symbol": "square" if name == REFERENCE else "circle", "size": 6},
        hovertemplate="%{x:.4g}: %{y:.4g}<extra>%{fullData.name}</extra>",
    )


def _outline(part: pd.DataFrame, told: Chart, name: str, factor: float) -> go.Scatter:
    """Steps over bins; on a logarithmic scale empty ones lie on the lower edge of the panel."""
    starts, shares = [float(x) * factor for x in part[told.x]], _numbers(part[name]).fillna(0.0)
    drawn = shares.clip(lower=_floor(part, told)) if told.log else shares
    last = 2 * starts[-1] - starts[-2] if len(starts) > 1 else starts[-1]
    return go.Scatter(
        x=[*starts, last],
        y=[*drawn, drawn.iloc[-1]],
        customdata=[*shares, shares.iloc[-1]],
        mode="lines",
        line={"shape": "hv"},
        hovertemplate="from %{x:.4g}: %{customdata:.2%}<extra>%{fullData.name}</extra>",
    )


def _floor(part: pd.DataFrame, told: Chart) -> float:
    """Half the smallest share that there is in a panel."""
    there = _positive(part[list(told.y)])
    return float(there.min()) / 2 if there.size else 0.5


def _numbers(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values, errors="coerce").astype(float)


def _waterfall(table: Table, frame: pd.DataFrame) -> go.Figure:
    told = table.chart
    assert told is not None
    column = {column.name: column for column in table.columns}[told.y[0]]
    values = pd.to_numeric(frame[told.y[0]], errors="coerce")
    factor, unit = _scale(column, frame[[told.y[0]]])
    good, bad = (_SERIES[2], _SERIES[3]) if column.better else (_SERIES[0], _SERIES[5])
    fewer, more = (good, bad) if column.better != "higher" else (bad, good)
    steps = [*values.diff().iloc[1:]]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=[*(str(x) for x in frame[told.x]), "Together"],
            x=[v * factor for v in (values.iloc[0], *steps, 0.0)],
            measure=["absolute", *["relative"] * len(steps), "total"],
            decreasing={"marker": {"color": fewer}},
            increasing={"marker": {"color": more}},
            totals={"marker": {"color": theme.NEUTRAL}},
            connector={"line": {"color": theme.NEUTRAL, "width": 1}},
            text=[_level(values.iloc[0], column), *(_step(v, column) for v in steps), _level(values.iloc[-1], column)],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text}<extra></extra>",
            showlegend=False,
        )
    )
    theme.layout(figure, table.title, _subtitle([column]), height=164 + 34 * len(frame))
    top = _largest(values.to_frame()) * factor or 1.0
    quantity = _quantity(told, {column.name: column}, unit)
    figure.update_xaxes(title_text=quantity, range=[-0.2 * top, 1.25 * top])  # room for what stands beside bars
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    return figure


def _level(value: float, column: Column) -> str:
    return fmt.cell(_number(value), column.unit)


def _step(value: float, column: Column) -> str:
    """A change with its sign."""
    if column.unit == "fraction":
        return fmt.cell(_number(value), "points")
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{fmt.cell(abs(value), column.unit)}"


_DRAWN: dict[str, Callable[[Table, pd.DataFrame], go.Figure]] = {
    "bars": _bars,
    "lines": _lines,
    "matrix": _matrix,
    "histogram": _panels,
    "waterfall": _waterfall,
}


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


def _subtitle(columns: Iterable[Column], more: str = "") -> str:
    directions = {column.better for column in columns if column.better}
    better = f"{directions.pop()} is better" if len(directions) == 1 else ""
    return ", ".join(filter(None, (better, more))).capitalize()


def _axis(column: Column) -> str:
    return f"{column.title} ({column.unit})" if column.unit in ("ms", "s", "bits", "dB", "B") else column.title


def _quantity(told: Chart, columns: Mapping[str, Column], unit: str) -> str | None:
    """What stands at an axis of values: what they are of, and their unit."""
    known = told.axis or (columns[told.y[0]].title if len(told.y) == 1 else "")
    if not known:
        return unit or None
    return known if unit in ("", "times", "per second") else f"{known} ({unit})"


def _scale(column: Column, values: pd.DataFrame) -> tuple[float, str]:
    """Factor and unit of an axis."""
    top = _largest(values) or 1.0
    if column.unit == "fraction":
        return 100.0, "%"
    if column.unit == "points":
        return 100.0, "points"
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


def _positive(values: pd.DataFrame) -> np.ndarray:
    """The positive numbers among all cells, shape (n,)."""
    numbers = values.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    return np.asarray(numbers[np.isfinite(numbers) & (numbers > 0)])


def _spread(values: pd.DataFrame) -> float:
    """How many times as large as the smallest positive number the largest is; 1 where there is none."""
    positive = _positive(values)
    return float(positive.max() / positive.min()) if positive.size else 1.0


def _pairs(names: pd.Series, values: pd.Series) -> Iterable[tuple[Any, Any]]:
    return zip(names, values, strict=True)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
