"""Examples of a data set, as its preview describes them."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from optimizers.figures import theme

_COLOURS = ("#1F85C7", "#D55E00", "#009E73", "#CC79A7")
_DASHES = ("solid", "dash", "dot", "dashdot")


def sequences(preview: dict[str, Any]) -> go.Figure:
    """One row per column of the data and one line per example: raw values over the steps of a sequence.

    Args:
        preview: ``columns``, ``windows`` (each steps x columns) and ``labels``.
    """
    columns, windows = list(preview.get("columns", ())), list(preview.get("windows", ()))
    if not columns or not windows:
        return theme.empty("Examples", "There is no example to show.")
    names = [str(name).replace("_", " ") for name in columns]
    figure = make_subplots(rows=len(columns), cols=1, shared_xaxes=True, vertical_spacing=0.05, subplot_titles=names)
    for number, (window, label) in enumerate(zip(windows, preview["labels"], strict=True)):
        for place in range(len(columns)):
            figure.add_trace(
                go.Scatter(
                    x=list(range(1, len(window) + 1)),
                    y=[step[place] for step in window],
                    name=str(label),
                    legendgroup=str(number),
                    showlegend=place == 0,
                    mode="lines+markers",
                    marker={"size": 4},
                    line={"color": _COLOURS[number % 4], "dash": _DASHES[number % 4], "width": 2},
                    hovertemplate=f"{names[place]} %{{y:.4g}}<extra>{label}</extra>",
                ),
                row=place + 1,
                col=1,
            )
    theme.layout(figure, "Examples, one line each", height=110 * len(columns) + 90)
    figure.update_layout(legend={"y": -0.1}, margin={"t": 56})
    figure.update_annotations(font={"size": 12}, x=0, xanchor="left")
    figure.update_yaxes(nticks=4)
    figure.update_xaxes(title_text="Step", row=len(columns), col=1)
    return figure
