"""Two to four variants side by side: figures with intervals and differences, limits, and what became of the weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from optimizers import registry
from optimizers.declarations import INSIDE, Metric
from optimizers.figures import format as fmt
from optimizers.figures.tradeoff import Row, against
from optimizers.history.frames import metric_columns
from optimizers.ledger import Stage, losses, merged
from optimizers.qualifying import Judgement

_SIGNS = {"met": "✓", "within the uncertainty": "≈", "not met": "✗", "not measured": "–"}


def beside(
    frame: pd.DataFrame,
    places: Sequence[Hashable],
    called: Sequence[str],
    *,
    judgement: Judgement | None = None,
    stages: Mapping[Hashable, tuple[Stage, ...]] | None = None,
) -> pd.DataFrame:
    """One column per variant, one row per thing to compare; cells are Markdown, the best figure of a row is bold.

    Args:
        frame: A comparison.
        places: Which of its rows.
        called: What they are called, in the same order.
        judgement: Which files keep which limits.
        stages: The survival ledgers of files that have one.
    """
    known, rows = registry.metrics(), frame.loc[list(places)].to_dict("records")
    told: dict[str, list[str]] = {"Recipe": [f"`{row['variant']}`" for row in rows]}
    if judgement is not None:
        verdicts = [judgement.files[place].verdicts for place in places]
        told["Limits"] = ["; ".join(f"{_SIGNS[v.state]} {v.sentence}" for v in own) for own in verdicts]
    for name in metric_columns(frame):
        metric = known[name]
        if metric.rank < INSIDE and any(not fmt.missing(row[name]) for row in rows):
            told[metric.title] = _figures(metric, rows)
    ledgers = [(stages or {}).get(place, ()) for place in places]
    if any(ledgers):
        told["Zeros in the weights"] = [_zeros(own) for own in ledgers]
        told["Types of the layers"] = [_types(own) for own in ledgers]
        told["Destroyed on the way"] = [
            "; ".join(loss.sentence for loss in losses(own)) or "nothing" for own in ledgers
        ]
    return pd.DataFrame(told, index=list(called)).T


def _figures(metric: Metric, rows: Sequence[Row]) -> list[str]:
    values = [row[metric.name] for row in rows]
    present = [v for v in values if not fmt.missing(v)]
    best = min(present) if metric.direction == "lower" else max(present)
    alike = len(set(present)) == 1
    cells = []
    for row, value in zip(rows, values, strict=True):
        figure = fmt.value(metric, value)
        interval = fmt.interval(metric, row.get(f"{metric.name}_low"), row.get(f"{metric.name}_high"))
        change = "" if row["is_baseline"] else against(metric, row)
        parts = [
            f"**{figure}**" if value == best and not alike else figure,
            f":gray[:small[{interval}]]" if interval else "",
            change,
        ]
        cells.append(" ".join(filter(None, parts)))
    return cells


def _zeros(stages: tuple[Stage, ...]) -> str:
    rows = stages[-1].rows if stages else ()
    count = sum(row.values for row in rows)
    return f"{sum(row.sparsity * row.values for row in rows) / count:.0%}" if count else "–"


def _types(stages: tuple[Stage, ...]) -> str:
    if not stages:
        return "–"
    counts = Counter(row.dtype for row in merged(stages[-1].rows).values())
    return ", ".join(f"{number} {dtype}" for dtype, number in counts.most_common())
