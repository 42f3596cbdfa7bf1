"""Colours, symbols and the common layout of all charts. One technique family looks the same wherever it is drawn.

Colours are Okabe and Ito's, which people with any kind of colour blindness can tell apart; symbols repeat it. Text
and background are left to whoever shows the figure, so that light and dark both work.

Source: M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from optimizers.declarations import Metric


@dataclass(frozen=True)
class Look:
    """How a family is drawn. ``edge`` is the darker outline that keeps pale colours visible on white."""

    label: str
    colour: str
    edge: str
    symbol: str


FAMILIES: dict[str, Look] = {
    "baseline": Look("Baseline", "#7D8590", "#545B66", "diamond"),
    "quantization": Look("Quantization", "#1F85C7", "#005A8F", "circle"),
    "pruning": Look("Pruning", "#D55E00", "#9C4500", "square"),
    "clustering": Look("Clustering", "#009E73", "#00704F", "triangle-up"),
    "distillation": Look("Distillation", "#CC79A7", "#9A4A77", "star"),
    "decomposition": Look("Decomposition", "#56B4E9", "#2B83B5", "hexagon"),
    "combined": Look("Combined", "#E69F00", "#A87300", "pentagon"),
}
OTHER = Look("Other", "#9A8FD6", "#665AA8", "cross")

NEUTRAL = "#7D8590"
"""Lines that belong to no family: visible on white and on near-black."""
GRID = "rgba(125, 133, 144, 0.22)"
FRONT = "#7D8590"
CHOSEN = "#15828D"
"""The ring of the file that is looked at: the app's own colour."""
LIMIT = "#C0392B"
OPACITY = {"met": 1.0, "within the uncertainty": 0.6, "not met": 0.18, "not measured": 0.18}
"""How files are dimmed that do not keep given limits, or not for sure."""

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": False,
    "modeBarButtonsToRemove": ["sendChartToCloud"],
    "scrollZoom": False,
    "showTips": False,
}
"""What to hand to plotly beside the figure: no logo, and no button that would send data anywhere."""


def exported(name: str, form: str = "png") -> dict[str, Any]:
    """What to hand to plotly with a chart that can be saved as a picture, twice as sharp as on the screen.

    Args:
        name: File name without its ending.
        form: ``png`` or ``svg``.
    """
    picture = {"format": form, "filename": name, "width": 1100, "height": 620, "scale": 1 if form == "svg" else 2}
    buttons = [["toImage"]]
    return CONFIG | {"displayModeBar": True, "modeBarButtons": buttons, "toImageButtonOptions": picture}


def look(family: str) -> Look:
    """How a family is drawn; one that nobody declared a look for has the look of ``OTHER``."""
    return FAMILIES.get(family, OTHER)


def better(metric: Metric) -> str:
    """Which direction is better, in words."""
    return "lower is better" if metric.direction == "lower" else "higher is better"


def axis_title(metric: Metric, unit: str) -> str:
    """``File size (KB), lower is better``."""
    named = f"{metric.title} ({unit})" if unit else metric.title
    return f"{named} · {better(metric)}"


def layout(figure: go.Figure, title: str, subtitle: str = "", *, height: int, **more: Any) -> go.Figure:
    """The figure with the common layout: title and subtitle at the left, quiet grid, legend underneath.

    Args:
        figure: Is changed.
        title, subtitle: In Plotly's HTML.
        height: In pixels.
        more: Of the layout, for this figure alone, such as ``xaxis={"title": {"text": "KB"}}``.
    """
    text = {"text": f"<b>{title}</b>", "x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 4, "l": 2}}
    if subtitle:
        text["subtitle"] = {"text": subtitle, "font": {"size": 12.5, "color": NEUTRAL}}
    known = figure.layout.to_plotly_json()
    axis = {"gridcolor": GRID, "zeroline": False, "automargin": True, "title": {"standoff": 10}}
    wanted: dict[str, Any] = {
        "title": text,
        "height": height,
        "margin": {"t": 62 + 13 * subtitle.count("<br>") if subtitle else 40, "r": 12, "b": 8, "l": 8},
        "legend": {"orientation": "h", "yanchor": "top", "y": -0.2, "xanchor": "left", "x": 0, "title": {"text": ""}},
        "hoverlabel": {"align": "left"},
        "dragmode": False,
    } | {name: axis for name in ("xaxis", "yaxis", *known) if name.startswith(("xaxis", "yaxis"))}
    wanted = _merged(wanted, more)
    # Plotly merges what is nested key by key, which takes eight times as long.
    figure.update_layout({name: _merged(known.get(name), value) for name, value in wanted.items()}, overwrite=True)
    return figure


def _merged(old: Any, new: Any) -> Any:
    """Settings of a part of a layout, with new ones on top."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {name: _merged(old.get(name), value) for name, value in new.items()}


def legend(figure: go.Figure, families: Iterable[str]) -> None:
    """Legend entries of one size; those of the data would be as large as their markers."""
    present = set(families)
    for family in [*FAMILIES, *sorted(present - set(FAMILIES))]:
        if family in present:
            drawn = look(family)
            edge = {"width": 1, "color": drawn.edge}
            marker = {"size": 10, "color": drawn.colour, "symbol": drawn.symbol, "line": edge}
            figure.add_trace(
                go.Scatter(x=[None], y=[None], mode="markers", name=drawn.label, marker=marker, hoverinfo="skip")
            )


def empty(title: str, why: str, *, height: int = 240) -> go.Figure:
    """A figure without data that says why there is none."""
    figure = layout(go.Figure(), title, height=height)
    figure.add_annotation(text=why, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 14})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure
