"""Training seen over its steps: the live curve of a run, and the history that a stage reports when it is done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from optimizers.figures import theme

_COLOURS = ("#1F85C7", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "solid")
Point = tuple[int, float]


def live_loss(points: Sequence[Point], validated: Sequence[Point] = (), figure_name: str = "") -> go.Figure:
    """Small curves without axes: loss so far, and what the epochs validated. Without points they are empty, as high.

    Args:
        points: Training step and loss.
        validated: Training step and figure on the validation part, drawn on a scale of its own.
        figure_name: What that figure is called, such as ``val_accuracy``.
    """
    figure = go.Figure()
    if points:
        steps, losses = zip(*points, strict=True)
        figure.add_trace(
            go.Scatter(
                x=steps, y=losses, mode="lines", line={"color": _COLOURS[0], "width": 2}, fill="tozeroy",
                fillcolor="rgba(31, 133, 199, 0.12)", name="loss",
            )
        )  # fmt: skip
    if validated:
        steps, values = zip(*validated, strict=True)
        figure.add_trace(
            go.Scatter(
                x=steps, y=values, mode="lines+markers", line={"color": _COLOURS[1], "width": 2, "dash": "dot"},
                marker={"size": 4}, yaxis="y2", name=in_words(figure_name),
            )
        )  # fmt: skip
    figure.update_layout(
        height=92, margin={"t": 34, "r": 2, "b": 2, "l": 2}, dragmode=False, showlegend=True,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "font": {"size": 11}},
        yaxis2={"overlaying": "y", "visible": False, "fixedrange": True},
    )  # fmt: skip
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure


def in_words(name: str) -> str:
    """``val_accuracy`` as ``validation accuracy``, and others without underscores."""
    return re.sub("^val_", "validation ", name).replace("_", " ")


def history_data(history: Mapping[str, Any]) -> pd.DataFrame:
    """A training history in long form: ``series``, ``epoch`` (from 1), ``value``; what is no list is left out."""
    rows = [
        {"series": name, "epoch": number, "value": float(value)}
        for name, values in history.items()
        if isinstance(values, list | tuple)
        for number, value in enumerate(values, start=1)
        if isinstance(value, int | float)
    ]
    return pd.DataFrame(rows, columns=["series", "epoch", "value"])


def training_loss(
    history: Mapping[str, Any], title: str = "Loss while training", learned_from: str = "labels"
) -> go.Figure:
    """The losses of a finished stage by epoch, training and validation; lower is better.

    Args:
        history: Of the stage.
        title: Of the chart.
        learned_from: Validation is held against the labels; where training was held against something else, the
            legend says so, as the two are not to be compared then.
    """
    labels = _LABELS | _LABELS_AND.get(learned_from, {})
    data = history_data(history)
    data = data[data["series"].str.contains("loss")] if not data.empty else data
    if data.empty:
        return theme.empty(title, "This step did not train.", height=200)
    figure = go.Figure()
    for number, (series, part) in enumerate(data.groupby("series", sort=False)):
        figure.add_trace(
            go.Scatter(
                x=part["epoch"], y=part["value"], name=labels.get(str(series), str(series).replace("_", " ")),
                mode="lines+markers" if len(part) < 40 else "lines",
                line={"color": _COLOURS[number % 6], "width": 2, "dash": _DASHES[number % 6]},
                hovertemplate="Epoch %{x}: %{y:.4g}",
            )
        )  # fmt: skip
    theme.layout(figure, title, "Lower is better", height=300)
    figure.update_layout(legend={"y": -0.42})
    figure.update_xaxes(title_text="Epoch")
    figure.update_yaxes(title_text="Loss")
    return figure


_LABELS = {"loss": "training", "val_loss": "validation"}
_LABELS_AND = {
    "original": {"loss": "training, to the original's answers", "val_loss": "validation, to the labels"},
    "both": {"loss": "training, to labels and original", "val_loss": "validation, to the labels"},
}
