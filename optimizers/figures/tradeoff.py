"""Two metrics against each other, one marker per deployable file, with the Pareto front."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any, cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from optimizers import registry
from optimizers.declarations import INSIDE, Metric
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.names import names
from optimizers.figures.placement import in_lines, place_labels
from optimizers.history.frames import pareto
from optimizers.qualifying import Judgement, State

POINT_COLUMNS = ("id", "label", "family", "is_baseline", "front", "state", "best", "hover")
SMALLEST, LARGEST = 10.0, 28.0
"""Marker diameters in pixels. A marker's area is proportional to the third metric."""

_MOST_LABELS = 14
_RING = 11
"""Pixels by which the ring around a chosen file is larger than its marker."""
_MANY = 100
"""Points above which the text beside a point tells only of the axes."""


Row = Mapping[Any, Any] | pd.Series
"""A row of a comparison."""


def identity(row: Row) -> str:
    """What a chart's click gives back: the run, or ``baseline:`` and the file's key."""
    return str(row["run_id"]) or f"baseline:{row['artifact_key']}"


def identities(frame: pd.DataFrame) -> list[str]:
    """The identity of each row of a comparison."""
    pairs = zip(frame["run_id"], frame["artifact_key"], strict=True)
    return [str(run) or f"baseline:{key}" for run, key in pairs]


def point_data(frame: pd.DataFrame, axes: Mapping[str, str], judgement: Judgement | None = None) -> pd.DataFrame:
    """One row per file of which the metrics of all axes were measured, with the columns ``POINT_COLUMNS``.

    Behind them stand, for each axis, ``axis``, ``axis_minus`` and ``axis_plus``: value and 95% interval in the axis'
    units. The index is that of the frame.

    Args:
        frame: A comparison.
        axes: Names of axes and of their metrics; the front is that of all of them together.
        judgement: Which files keep which limits; without it all do, and none is the best.
    """
    known, wanted = registry.metrics(), list(axes.values())
    columns = [*POINT_COLUMNS, *(f"{axis}{part}" for axis in axes for part in ("", "_minus", "_plus"))]
    if frame.empty or not set(wanted) <= set(frame.columns):
        return pd.DataFrame(columns=columns)
    shown = frame[frame[wanted].notna().all(axis=1)]
    if shown.empty:
        return pd.DataFrame(columns=columns)
    files = judgement.files if judgement is not None else {}
    data = pd.DataFrame(
        {
            "id": identities(shown),
            "label": names(shown),
            "family": shown["family"].to_list(),
            "is_baseline": shown["is_baseline"].astype(bool).to_list(),
            "front": pareto(shown, wanted).to_list(),
            "state": [files[place].state if place in files else "met" for place in shown.index],
            "best": [judgement is not None and place == judgement.best for place in shown.index],
            "hover": _hovers(shown, wanted),
        },
        index=shown.index,
    )
    for axis, name in axes.items():
        factor = fmt.scale(known[name], shown[name]).factor
        value = shown[name].astype(float).to_numpy() * factor
        data[axis] = value
        for side, column, sign in (("minus", f"{name}_low", -1), ("plus", f"{name}_high", 1)):
            bound = shown[column].astype(float).to_numpy() * factor if column in shown else value
            data[f"{axis}_{side}"] = np.nan_to_num(np.clip((bound - value) * sign, 0, None))
    return data[columns]


def left_out(frame: pd.DataFrame, metrics: Sequence[str]) -> dict[str, list[str]]:
    """Names of the files that no chart of these metrics shows, by what was not measured of them."""
    titles, without = [fmt.inside(registry.metric(name).title) for name in metrics], defaultdict(list)
    for called, empty in zip(names(frame), frame[list(metrics)].isna().to_numpy(), strict=True):
        if empty.any():
            without[" and ".join(compress(titles, empty))].append(called)
    return dict(without)


def tradeoff_data(
    frame: pd.DataFrame, x: str, y: str, size: str | None = "latency_ms", judgement: Judgement | None = None
) -> pd.DataFrame:
    """As `point_data` with the axes ``x`` and ``y``, and ``size``, the marker's diameter in pixels.

    Args:
        frame: A comparison.
        x, y: Names of metrics.
        size: Metric told by the marker's area. None, or one that was not measured, leaves all markers alike.
        judgement: Which files keep which limits.
    """
    data = point_data(frame, {"x": x, "y": y}, judgement)
    return data.assign(size=_diameters(frame.loc[data.index], size) if len(data) else [])


def tradeoff(
    frame: pd.DataFrame,
    x: str,
    y: str,
    *,
    size: str | None = "latency_ms",
    chosen: Sequence[str] = (),
    judgement: Judgement | None = None,
) -> go.Figure:
    """The chart: ``y`` against ``x``, marker area for ``size``, dashed Pareto front, hollow markers where beaten.

    Args:
        frame: A comparison.
        x, y, size: Names of metrics.
        chosen: Identities of the files to ring, the one that is looked at first.
        judgement: Which files keep which limits; those that do not are dimmed, and bounds on an axis are drawn.
    """
    known = registry.metrics()
    title = f"{known[y].title} against {fmt.inside(known[x].title)}"
    data = tradeoff_data(frame, x, y, size, judgement)
    if data.empty:
        return theme.empty(title, "No file has both metrics measured yet.", height=420)
    sized = size in known and size in frame.columns and frame[size].notna().any()
    figure = go.Figure()
    _draw_front(figure, data, known[x], known[y])
    for (family, state), some in data.groupby(["family", "state"], sort=False):
        _draw_family(figure, some, str(family), cast(State, state))
    theme.legend(figure, data["family"])
    for place, identity in enumerate(chosen):
        _draw_chosen(figure, data[data["id"] == identity], first=place == 0)
    hint = f"Filled: on the Pareto front. Hollow: beaten on both.{_size_hint(known[cast(str, size)]) if sized else ''}"
    theme.layout(figure, title, hint + seeds_hint(frame), height=460)
    _axes(figure, frame, data, known[x], known[y])
    _draw_labels(figure, data, chosen)
    if judgement is not None:
        _draw_bounds(figure, frame, judgement, {"x": x, "y": y})
    return figure


def bounds(frame: pd.DataFrame, judgement: Judgement) -> list[tuple[str, float]]:
    """Metric and bound of each limit, in the metric's unit, where it is the same for all files."""
    baselines = frame[frame["is_baseline"].astype(bool)]
    found = []
    for limit in {v.limit: None for judged in judgement.files.values() for v in judged.verdicts}:
        name = limit.metric
        base = float(baselines[name].iloc[0]) if len(baselines) == 1 and name in frame else float("nan")
        bound = {"value": limit.bound, "difference": base + limit.bound, "ratio": base * limit.bound}[limit.kind]
        if name in frame and not fmt.missing(bound):
            found.append((name, bound))
    return found


def _draw_bounds(figure: go.Figure, frame: pd.DataFrame, judgement: Judgement, axes: Mapping[str, str]) -> None:
    for name, bound in bounds(frame, judgement):
        for axis in (axis for axis, metric in axes.items() if metric == name):
            at = bound * fmt.scale(registry.metric(name), frame[name].astype(float)).factor
            low, high = figure.layout[f"{axis}axis"].range
            if low < at < high:
                add = figure.add_vline if axis == "x" else figure.add_hline
                add(at, line={"color": theme.LIMIT, "width": 1.5, "dash": "dot"})


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


def _draw_family(figure: go.Figure, data: pd.DataFrame, family: str, state: State) -> None:
    look = theme.look(family)
    figure.add_trace(
        go.Scatter(
            x=data["x"],
            y=data["y"],
            mode="markers",
            name=look.label,
            showlegend=False,
            opacity=theme.OPACITY[state],
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


def _draw_chosen(figure: go.Figure, chosen: pd.DataFrame, *, first: bool) -> None:
    if chosen.empty:
        return
    ring = {
        "size": (chosen["size"] + _RING).to_list(),
        "symbol": "circle-open",
        "line": {"width": 2.5 if first else 1.5},
        "color": theme.CHOSEN if first else theme.NEUTRAL,
    }
    figure.add_trace(
        go.Scatter(x=chosen["x"], y=chosen["y"], mode="markers", marker=ring, hoverinfo="skip", showlegend=False)
    )


def _draw_labels(figure: go.Figure, data: pd.DataFrame, chosen: Sequence[str]) -> None:
    """Names beside points: of all where they are few, else of the best and the chosen ones."""
    said = data["state"].isin(("met", "within the uncertainty")) | data["id"].isin(list(chosen))
    if said.sum() > _MOST_LABELS:
        said = data["best"] | data["id"].isin(list(chosen))
    if not said.any():
        return
    ringed = data["id"].isin(list(chosen))
    bold = [f"<b>{n}</b>" if best else n for n, best in zip(map(in_lines, data["label"]), data["best"], strict=True)]
    named = data.assign(label=bold, size=data["size"] + _RING * ringed)
    named.loc[~said, "label"] = ""  # what has no name is in the way all the same
    named = named.loc[(2 * said + (said & ringed)).sort_values(ascending=False, kind="stable").index]
    named["place"] = place_labels(named, figure.layout.xaxis.range, figure.layout.yaxis.range)
    named = named[named["label"] != ""].dropna(subset=["place"])
    figure.add_trace(
        go.Scatter(
            x=named["x"], y=named["y"], mode="markers+text", text=named["label"], textposition=named["place"].to_list(),
            textfont={"size": 12}, hoverinfo="skip", showlegend=False, cliponaxis=False,
            marker={"size": (named["size"] + 4).to_list(), "color": "rgba(0,0,0,0)"},
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


def _hovers(frame: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    known = registry.metrics()
    told = [name for name in known if name in frame.columns and (known[name].rank < INSIDE or name in axes)]
    if len(frame) > _MANY:
        told = [name for name in told if name in axes]
    return [_hover(row, [known[name] for name in told]) for row in frame.to_dict("records")]


def _hover(row: Mapping[Any, Any], metrics: Sequence[Metric]) -> str:
    lines = [f"<b>{_wrapped(str(row['variant']))}</b>"]
    if row.get("seeds", 1) > 1:
        lines.append(f"Mean of {row['seeds']} seeds (lowest to highest)")
    for metric in metrics:
        name = metric.name
        line = f"{metric.title}: {fmt.value(metric, row[name])}"
        bounds = fmt.interval(metric, row.get(f"{name}_low"), row.get(f"{name}_high"))
        difference = "" if row["is_baseline"] else against(metric, row)
        lines.append(line + (f" ({bounds})" if bounds else "") + (f", {difference}" if difference else ""))
    return "<br>".join(lines)


def speedup_of(row: Row) -> tuple[float, float] | None:
    """Interval of the measured speed-up of a comparison's row, or None."""
    low, high = row.get("speedup_low"), row.get("speedup_high")
    return None if low is None or high is None or fmt.missing(low) or fmt.missing(high) else (float(low), float(high))


def against(metric: Metric, row: Row) -> str:
    """A comparison's row against its baseline, with the interval where the difference is paired."""
    name = metric.name
    told = fmt.change(metric, row.get(f"{name}_change"), speedup_of(row))
    bounds = fmt.change_interval(metric, row.get(f"{name}_change_low"), row.get(f"{name}_change_high"))
    return f"{told} ({bounds})" if told and bounds else told


def _wrapped(recipe: str) -> str:
    return recipe.replace("+", "<br>+ ")


def seeds_hint(frame: pd.DataFrame) -> str:
    """What the bars of means over seeds are, as another line; empty where there are none."""
    several = "seeds" in frame and bool((frame["seeds"] > 1).any())
    return "<br>Of several seeds: the mean, with bars from lowest to highest." if several else ""


def _size_hint(metric: Metric) -> str:
    word = "slower" if metric.unit == "ms" else f"more {fmt.inside(metric.title)}"
    return f"<br>Larger marker: {word}. Bars: 95% interval."
