"""The layers of a model as a graph from top to bottom, each coloured by what it holds or computes."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from math import log10
from typing import Any, Literal

import plotly.graph_objects as go

from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.records import LayerRow

Measure = Literal["parameters", "macs"]
_ROW, _MARGIN, _TALLEST = 34, 70, 6000
"""Pixels: between two layers, around the graph, and at most for all of it."""
_LONGEST = 28
_TITLES = {"parameters": "Parameters", "macs": "Multiply-accumulates"}


def parts(layers: Sequence[LayerRow]) -> list[str]:
    """Paths of the model and of the models nested in it that are joined, the outermost first (an empty path)."""
    joined = {row.path for row in layers if row.inputs}
    return [path for path in dict.fromkeys(row.path for row in layers) if path in joined]


def architecture(layers: Sequence[LayerRow], measure: Measure = "parameters", path: str = "") -> go.Figure:
    """The graph of one part: layers in rows by their distance from the inputs, lines for what flows between them.

    Args:
        layers: Of the whole model.
        measure: What the colour tells, on a logarithmic scale; grey where there is none of it.
        path: Which part, one of `parts`.
    """
    shown = {number: row for number, row in enumerate(layers) if row.path == path}
    if not any(row.inputs for row in shown.values()):
        return theme.empty("Architecture", "It is not known how the layers of this model are joined.")
    depth, across = _placed(shown)
    figure = go.Figure()
    lines = [
        point
        for number, row in shown.items()
        for source in row.inputs
        if source in shown and source != number
        for point in _line((across[source], depth[source]), (across[number], depth[number]))
    ]
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in lines], y=[y for _, y in lines], mode="lines", hoverinfo="skip",
            line={"color": theme.NEUTRAL, "width": 1}, showlegend=False,
        )
    )  # fmt: skip
    _draw(figure, shown, depth, across, measure)
    deepest = max(depth.values())
    height = min(_TALLEST, _MARGIN + _ROW * (deepest + 1))
    theme.layout(figure, "Architecture", f"Colour: {_TITLES[measure].lower()}. From the inputs down.", height=height)
    figure.update_xaxes(
        visible=False, range=[min(x for x, _ in [*lines, (0.0, 0)] if x is not None) - 0.3, max(across.values()) + 1.4]
    )
    figure.update_yaxes(visible=False, range=[deepest + 0.7, -0.7])
    figure.update_layout(dragmode="pan", hovermode="closest")
    return figure


def _placed(shown: dict[int, LayerRow]) -> tuple[dict[int, int], dict[int, float]]:
    """For each layer its row, one below the lowest that feeds it, and its place in the row, near what feeds it."""
    depth: dict[int, int] = {}
    for number, row in _in_order(shown):
        depth[number] = 1 + max((depth[i] for i in row.inputs if i in depth), default=-1)
    across: dict[int, float] = {}
    for level in range(max(depth.values()) + 1):
        here = [number for number in shown if depth[number] == level]
        wanted = {
            number: sum(known) / len(known)
            if (known := [across[i] for i in shown[number].inputs if i in across])
            else 0.0
            for number in here
        }
        here.sort(key=lambda number: (wanted[number], number))
        middle = sum(wanted.values()) / len(here)
        for place, number in enumerate(here):
            across[number] = middle + place - (len(here) - 1) / 2
    return depth, across


def _line(start: tuple[float, int], end: tuple[float, int]) -> list[tuple[float | None, float | None]]:
    """Points of a straight line to the next row, or of a bow around the rows between; a gap follows."""
    rows = end[1] - start[1]
    bow = 0.0 if rows <= 1 else min(1.2, 0.25 + 0.06 * rows)
    points: list[tuple[float | None, float | None]] = []
    for step in range(13 if bow else 2):
        t = step / (12 if bow else 1)
        points.append((start[0] + t * (end[0] - start[0]) - 4 * bow * t * (1 - t), start[1] + t * rows))
    return [*points, (None, None)]


def _mean(places: list[float]) -> float:
    return sum(places) / len(places) if places else 0.0


def _in_order(shown: dict[int, LayerRow]) -> list[tuple[int, LayerRow]]:
    """Each layer after those that feed it; a layer that is called twice may feed itself, which does not count."""
    before = {number: {i for i in row.inputs if i in shown and i != number} for number, row in shown.items()}
    try:
        return [(number, shown[number]) for number in TopologicalSorter(before).static_order()]
    except CycleError:
        return list(shown.items())


def _draw(
    figure: go.Figure,
    shown: dict[int, LayerRow],
    depth: dict[int, int],
    across: dict[int, float],
    measure: Measure,
) -> None:
    amounts = {number: getattr(row, measure) or 0 for number, row in shown.items()}
    top = max(amounts.values())
    look = {"symbol": "square", "size": 15, "line": {"width": 1, "color": theme.NEUTRAL}}
    for some in (False, True):
        numbers = [number for number in shown if bool(amounts[number]) is some]
        if not numbers:
            continue
        colour: dict[str, Any] = {"color": "rgba(125, 133, 144, 0.35)"}
        if some:
            logs = [log10(amounts[number]) for number in numbers]
            ticks = sorted({round(min(logs)), round(max(logs)), round(sum(logs) / len(logs))})
            bar = {
                "title": {"text": _TITLES[measure]}, "thickness": 10, "len": min(1.0, 260 / (_ROW * len(shown) + 60)),
                "y": 1, "yanchor": "top", "tickvals": ticks, "ticktext": [fmt.count(10**tick) for tick in ticks],
            }  # fmt: skip
            colour = {"color": logs, "colorscale": "Cividis", "colorbar": bar, "cmin": min(logs), "cmax": log10(top)}
        figure.add_trace(
            go.Scatter(
                x=[across[n] for n in numbers], y=[depth[n] for n in numbers], mode="markers+text",
                marker=look | colour, text=[_short(shown[n].name) for n in numbers], textposition="middle right",
                textfont={"size": 12}, hovertext=[_told(shown[n]) for n in numbers],
                hovertemplate="%{hovertext}<extra></extra>", showlegend=False, cliponaxis=False,
            )
        )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _told(row: LayerRow) -> str:
    shape = " × ".join("any" if size is None else str(size) for size in row.output_shape) or "1"
    macs = "not known" if row.macs is None else fmt.count(row.macs)
    return (
        f"<b>{_plain(row.name)}</b><br>{_plain(row.kind)}<br>Output {shape}<br>"
        f"Parameters {fmt.count(row.parameters)}<br>Multiply-accumulates {macs}"
    )


def _plain(text: str) -> str:
    """Words without the signs that Plotly takes for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
