"""One metric across all variants, with the baseline's value as a line."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.names import short_names
from optimizers.figures.tradeoff import identity, speedup_of

COLUMNS = ("id", "label", "family", "is_baseline", "value", "minus", "plus", "text", "change")


def bar_data(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row per file in order, with the columns ``COLUMNS``; values in axis units, NaN if not measured."""
    if frame.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    declared = registry.metric(metric)
    values = frame[metric].astype(float) if metric in frame else pd.Series(float("nan"), index=frame.index)
    factor = fmt.scale(declared, values).factor
    labels = short_names(list(frame["variant"]), list(frame["seed"]))
    rows = []
    for label, value, (_, row) in zip(labels, values, frame.iterrows(), strict=True):
        low, high = row.get(f"{metric}_low"), row.get(f"{metric}_high")
        rows.append(
            {
                "id": identity(row),
                "label": "baseline" if row["is_baseline"] else label,
                "family": row["family"],
                "is_baseline": bool(row["is_baseline"]),
                "value": value * factor,
                "minus": 0.0 if low is None or fmt.missing(low) else max(0.0, (value - low) * factor),
                "plus": 0.0 if high is None or fmt.missing(high) else max(0.0, (high - value) * factor),
                "text": fmt.value(declared, value),
                "change": ""
                if row["is_baseline"]
                else fmt.change(declared, row.get(f"{metric}_change"), speedup_of(row)),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def bars(frame: pd.DataFrame, metric: str) -> go.Figure:
    """The chart: horizontal bars, first variant on top, 95% intervals, and a dotted line at the baseline's value."""
    declared = registry.metric(metric)
    data = bar_data(frame, metric)
    if data.empty or data["value"].isna().all():
        return theme.empty(declared.title, fmt.NOT_MEASURED.capitalize() + ".")
    unit = fmt.scale(declared, frame[metric].astype(float)).unit
    high = float((data["value"].fillna(0) + data["plus"]).max())
    places = [f"{number}" for number in range(len(data))]
    figure = go.Figure(
        go.Bar(
            x=data["value"].fillna(0),
            y=places,
            orientation="h",
            showlegend=False,
            width=0.62,
            error_x={"type": "data", "array": data["plus"].to_list(), "arrayminus": data["minus"].to_list(),
                     "symmetric": False, "thickness": 1.2, "width": 3, "color": theme.NEUTRAL},
            marker={"color": [theme.look(family).colour for family in data["family"]],
                    "line": {"width": 1, "color": [theme.look(family).edge for family in data["family"]]}},
            hovertext=[_hover(row) for _, row in data.iterrows()],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )  # fmt: skip
    for place, (_, row) in zip(places, data.iterrows(), strict=True):
        end = 0.0 if fmt.missing(row["value"]) else row["value"] + row["plus"]
        figure.add_annotation(
            x=max(end, 0.0),
            y=place,
            text=f"{row['text']}",
            xanchor="left",
            showarrow=False,
            xshift=5,
            font={"size": 12},
        )
    baselines = data[data["is_baseline"] & data["value"].notna()]
    if len(baselines) == 1:
        figure.add_vline(
            x=float(baselines["value"].iloc[0]), line={"color": theme.NEUTRAL, "width": 1.5, "dash": "dot"}
        )
    theme.layout(figure, declared.title, theme.better(declared).capitalize(), height=92 + 34 * len(data))
    low = min(0.0, float((data["value"] - data["minus"]).min()))
    figure.update_xaxes(range=[low, high * 1.28 if high > 0 else 1], title_text=unit or None, nticks=5)
    figure.update_yaxes(tickvals=places, ticktext=list(data["label"]), autorange="reversed", showgrid=False)
    return figure


def _hover(row: pd.Series) -> str:
    return f"<b>{row['label']}</b><br>{row['text']}" + (f", {row['change']}" if row["change"] else "")
