"""Three metrics against each other, to be turned, with the files that no other one beats in all three."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.placement import PLOT, place_labels
from optimizers.figures.tradeoff import point_data, seeds_hint
from optimizers.qualifying import Judgement

AXES = ("x", "y", "z")
_SYMBOLS = {"triangle-up": "diamond", "star": "circle", "hexagon": "circle", "pentagon": "diamond", "cross": "square"}
"""Only three symbols can be hollow in space; colours tell the others apart, as do names beside marks."""
_MOST_LABELS = 14
_CAMERA = {"eye": {"x": 1.7, "y": 1.7, "z": 0.8}, "center": {"x": 0.0, "y": 0.0, "z": -0.15}}
_ROOM = "\N{NO-BREAK SPACE}" * 4
_GRID, _TEXT = "rgba(125, 133, 144, 0.5)", "#737B87"
"""What is drawn in space cannot take the colours of the page: both are told from white as well as from near-black."""
_HALF_VIEW = 0.41
"""Tangent of half of the angle that the camera sees."""


def tradeoff_3d(
    frame: pd.DataFrame,
    metrics: Sequence[str],
    *,
    chosen: Sequence[str] = (),
    judgement: Judgement | None = None,
) -> go.Figure:
    """The chart: filled markers are on the Pareto front of the three metrics, hollow ones are beaten.

    Args:
        frame: A comparison.
        metrics: Names of three metrics: across, deep, and up.
        chosen: Identities of the files to mark, the one that is looked at first.
        judgement: Which files keep which limits; the others are dimmed.
    """
    known = [registry.metric(name) for name in metrics]
    title = f"{known[2].title} against {fmt.inside(known[0].title)} and {fmt.inside(known[1].title)}"
    data = point_data(frame, dict(zip(AXES, metrics, strict=True)), judgement)
    if data.empty:
        return theme.empty(title, "No file has all three metrics measured yet.", height=520)
    figure = go.Figure()
    groups = data.groupby(["family", "state", "front"], sort=False)
    for (family, state, front), some in groups:
        figure.add_trace(_points(some, str(family), theme.OPACITY[str(state)], bool(front)))
    for family in theme.FAMILIES:
        if family in set(data["family"]):
            figure.add_trace(_legend(family))
    figure.add_trace(_rings(data, chosen))
    figure.add_trace(_labels(data, chosen))
    better = ", ".join(f"{fmt.inside(metric.title)} {theme.better(metric).split()[0]}" for metric in known)
    hint = f"Better: {better}.<br>Filled: on the Pareto front of all three. Hollow: beaten."
    theme.layout(figure, title, hint + seeds_hint(frame), height=520)
    figure.update_layout(legend={"y": 0})
    scene: dict[str, Any] = {
        "aspectmode": "cube",
        "camera": _CAMERA,
        "dragmode": "turntable",
    }
    for axis, metric in zip(AXES, known, strict=True):
        unit = fmt.scale(metric, frame[metric.name]).unit
        named = f"{metric.title} ({unit})" if unit else metric.title
        scene[f"{axis}axis"] = {
            "title": {"text": named}, "gridcolor": _GRID, "zeroline": False,
            "showbackground": False, "linecolor": theme.NEUTRAL,
        }  # fmt: skip
    figure.update_layout(scene=scene, margin={"t": 80, "l": 0, "r": 0, "b": 0}, dragmode="turntable")
    return figure


def _legend(family: str) -> go.Scatter3d:
    look = theme.look(family)
    marker = {"size": 10, "color": look.colour, "symbol": _SYMBOLS.get(look.symbol, look.symbol)}
    return go.Scatter3d(x=[None], y=[None], z=[None], mode="markers", name=look.label, marker=marker, hoverinfo="skip")


def _points(data: pd.DataFrame, family: str, opacity: float, front: bool) -> go.Scatter3d:
    look = theme.look(family)
    symbol = _SYMBOLS.get(look.symbol, look.symbol)
    bars = {f"error_{axis}": _bars(data, axis, look.colour) for axis in AXES}
    return go.Scatter3d(
        **{axis: data[axis].to_list() for axis in AXES}, **bars, mode="markers", opacity=opacity, showlegend=False,
        hovertext=data["hover"].to_list(), hovertemplate="%{hovertext}<extra></extra>", name=look.label,
        customdata=data[["id"]].to_numpy(),
        marker={"size": 7, "color": look.colour, "symbol": symbol if front else f"{symbol}-open",
                "line": {"width": 1, "color": look.edge}},
    )  # fmt: skip


def _bars(data: pd.DataFrame, axis: str, colour: str) -> dict[str, Any]:
    plus, minus = data[f"{axis}_plus"], data[f"{axis}_minus"]
    return {
        "type": "data", "array": plus.to_list(), "arrayminus": minus.to_list(), "symmetric": False,
        "visible": bool((plus + minus).gt(0).any()), "thickness": 1.5, "width": 2, "color": colour,
    }  # fmt: skip


def _rings(data: pd.DataFrame, chosen: Sequence[str]) -> go.Scatter3d:
    ringed = data[data["id"].isin(list(chosen))]
    colours = [theme.CHOSEN if identity == chosen[0] else theme.NEUTRAL for identity in ringed["id"]]
    return go.Scatter3d(
        **{axis: ringed[axis].to_list() for axis in AXES}, mode="markers", hoverinfo="skip", showlegend=False,
        marker={"size": 15, "symbol": "circle-open", "color": colours, "line": {"width": 3}},
    )  # fmt: skip


def _labels(data: pd.DataFrame, chosen: Sequence[str]) -> go.Scatter3d:
    """Names where there is room for them as the chart is first seen."""
    said = data[data["best"] | data["id"].isin(list(chosen)) | (len(data) <= _MOST_LABELS) & (data["state"] == "met")]
    across, up = _seen(data)
    flat = pd.DataFrame({"x": across, "y": up, "label": data["label"], "size": 12.0, "front": False}, index=data.index)
    ordered = [*said.index, *data.index.difference(said.index)]  # those without a name are only in the way
    view = _HALF_VIEW * PLOT[0] / PLOT[1]
    named = flat.loc[ordered].assign(label=[*said["label"], *[""] * (len(data) - len(said))])
    places = place_labels(named, (-view, view), (-_HALF_VIEW, _HALF_VIEW))[: len(said)]
    said = said.assign(place=pd.Series(places, said.index, object)).dropna(subset=["place"])
    texts = [f"<b>{n}</b>" if best else n for n, best in zip(said["label"], said["best"], strict=True)]
    texts = [_aside(text, place) for text, place in zip(texts, said["place"], strict=True)]
    return go.Scatter3d(
        **{axis: said[axis].to_list() for axis in AXES}, mode="text", text=texts, textposition=said["place"].to_list(),
        hoverinfo="skip", showlegend=False, textfont={"size": 11, "color": _TEXT},
    )  # fmt: skip


def _aside(text: str, place: str) -> str:
    """With room for the mark, which in space a text does not keep clear of by itself."""
    if place.endswith("center"):
        return text
    return f"{_ROOM}{text}" if place.endswith("right") else f"{text}{_ROOM}"


def _seen(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where the points are in the first view, to the right and up, as tangents of the angle to its middle."""
    points = data[list(AXES)].to_numpy(float)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - low) / np.where(high > low, high - low, 1.0) - 0.5
    eye, centre = (np.array(list(_CAMERA[which].values())) for which in ("eye", "center"))
    ahead = (centre - eye) / np.linalg.norm(centre - eye)
    right = np.cross(ahead, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    away = points - eye
    depth = away @ ahead
    return away @ right / depth, away @ np.cross(right, ahead) / depth
