"""Repeats over seeds: each seed's value, the mean and its interval."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.names import short_names
from optimizers.repeats import Ranking, Repeats

COLUMNS = ("label", "family", "place", "seeds", "mean", "minus", "plus", "values", "text")


def repeats_data(ranking: Ranking, metric: str, families: dict[str, str]) -> pd.DataFrame:
    """One row per variant, best first, with the columns ``COLUMNS``; values in axis units.

    Args:
        ranking: Of one model on its data.
        metric: What it ranks by.
        families: Of the variants by name, for their colours.
    """
    declared, rows = registry.metric(metric), []
    factor = fmt.scale(declared, [value for place in ranking.places for value in place.repeats.values]).factor
    names = [place.repeats.name for place in ranking.places]
    for place, label in zip(ranking.places, short_names(names), strict=True):
        own = place.repeats
        low, high = own.interval or (own.mean, own.mean)
        rows.append(
            {
                "label": label,
                "family": families.get(own.name, "baseline"),
                "place": places(place.first, place.last),
                "seeds": own.n if own.chance else 0,
                "mean": own.mean * factor,
                "minus": (own.mean - low) * factor,
                "plus": (high - own.mean) * factor,
                "values": [value * factor for value in own.values] if own.n > 1 else [],
                "text": fmt.value(declared, own.mean),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def places(first: int, last: int) -> str:
    """``2`` or ``1–3``."""
    return f"{first}" if first == last else f"{first}–{last}"


def repeats(ranking: Ranking, metric: str, families: dict[str, str]) -> go.Figure:
    """The chart: variants from best to worst, a small point per seed, the mean with its 95% interval."""
    declared = registry.metric(metric)
    data = repeats_data(ranking, metric, families)
    title = f"{declared.title} over seeds"
    if data.empty:
        return theme.empty(title, fmt.NOT_MEASURED.capitalize() + ".")
    figure, rows = go.Figure(), [str(number) for number in range(len(data))]
    for row, (_, own) in zip(rows, data.iterrows(), strict=True):
        look = theme.look(own["family"])
        figure.add_scatter(
            x=own["values"], y=[row] * len(own["values"]), mode="markers", showlegend=False, hoverinfo="x",
            marker={"size": 6, "color": look.colour, "opacity": 0.45, "symbol": "circle"},
        )  # fmt: skip
        figure.add_scatter(
            x=[own["mean"]], y=[row], mode="markers", showlegend=False,
            error_x={"type": "data", "array": [own["plus"]], "arrayminus": [own["minus"]], "symmetric": False,
                     "thickness": 1.6, "width": 5, "color": look.edge},
            marker={"size": 11, "color": look.colour, "symbol": look.symbol, "line": {"width": 1, "color": look.edge}},
            hovertext=f"<b>{own['label']}</b><br>{own['text']}, place {own['place']}",
            hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip
    subtitle = f"Seeds, their mean and its 95% interval; {theme.better(declared)}"
    theme.layout(figure, title, subtitle, height=120 + 34 * len(data))
    unit = fmt.scale(declared, [value for place in ranking.places for value in place.repeats.values]).unit
    figure.update_xaxes(title_text=f"{declared.title} ({unit})" if unit else declared.title, nticks=6)
    figure.update_yaxes(
        tickvals=rows, ticktext=list(data["label"]), range=[len(data) - 0.4, -0.6], showgrid=False, ticks=""
    )
    return figure


def repeats_table(ranking: Ranking, metric: str) -> pd.DataFrame:
    """One row per variant, best first, in words."""
    declared, rows = registry.metric(metric), []
    for place in ranking.places:
        own = place.repeats
        rows.append(
            {
                "Place": places(place.first, place.last),
                "Variant": own.name,
                "Mean": fmt.value(declared, own.mean),
                "Spread": fmt.spread(declared, own.deviation) if own.deviation is not None else "",
                "95% interval": fmt.interval(declared, *own.interval) if own.interval else "",
                "Seeds": _seeds(own),
                "Not separated from": ", ".join(place.alike) or "none",
            }
        )
    return pd.DataFrame(rows)


def _seeds(own: Repeats) -> str:
    if not own.chance:
        return "any"
    return ", ".join(str(seed) for seed in sorted(own.by_seed))
