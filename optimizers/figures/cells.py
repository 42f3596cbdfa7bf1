"""A comparison as a table whose numbers sort as numbers: one unit per column, and how each column is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from optimizers import registry
from optimizers.declarations import Metric
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.names import names
from optimizers.qualifying import Judged, Judgement

LIMITS = "Limits"


@dataclass(frozen=True)
class Column:
    """How a column is drawn: as ``text``, as a ``number``, or as a number with a ``bar`` that is full at ``top``.

    ``format`` is what ``printf`` takes.
    """

    kind: Literal["text", "number", "bar"]
    help: str = ""
    format: str = ""
    top: float = 0.0
    pinned: bool = False


def cells(
    frame: pd.DataFrame, metrics: list[str], judgement: Judgement | None = None
) -> tuple[pd.DataFrame, dict[str, Column]]:
    """The table, with the index of the frame, and its columns by heading.

    Each metric has a column in one unit for all rows; beside it stands the difference to the baseline where there is
    one: points for shares, percent for sizes and counts. Times are compared by the speed-up, told in words.
    """
    told: dict[str, Column] = {}
    shown = pd.DataFrame(index=frame.index)
    if judgement is not None:
        shown[LIMITS] = [in_short(judgement.files[place]) for place in frame.index]
        told[LIMITS] = Column("text", "Whether the file keeps all limits; else those that it does not.")
    shown["Variant"] = names(frame)
    told["Variant"] = Column("text", pinned=True)
    known = registry.metrics()
    for name in metrics:
        metric, values = known[name], frame[name].astype(float)
        scale = fmt.scale(metric, values)
        heading = f"{metric.title} ({scale.unit})" if scale.unit not in ("", "x") else metric.title
        shown[heading] = values * scale.factor
        told[heading] = _figures(metric, scale.unit, shown[heading])
        if name == "speedup":
            shown["Speed"] = _speeds(frame)
            told["Speed"] = Column("text", "Against the baseline, timed in turn with it.")
        change = _changes(frame, metric)
        if change is not None:
            beside = f"{metric.title} vs. baseline"
            shown[beside], told[beside] = change
    return shown, told


def in_short(judged: Judged) -> str:
    """Like ``✓ all met``, ``≈ accuracy`` (the uncertainty is too large to tell) or ``✗ file size``."""
    if judged.qualifies:
        return "✓ all met"
    sign = "≈" if judged.state == "within the uncertainty" else "✗"
    worst = [v for v in judged.missing if v.state == judged.state]
    return f"{sign} {', '.join(dict.fromkeys(fmt.inside(v.limit.declared.title) for v in worst))}"


def _figures(metric: Metric, unit: str, values: pd.Series) -> Column:
    top = float(values.max()) if values.notna().any() else 0.0
    told = f"{metric.help} {theme.better(metric).capitalize()}."
    digits = 0 if metric.unit == "count" or unit == "bytes" else 2 if unit in ("%", "x") or top < 100 else 1
    written = f"%.{digits}f{'x' if metric.unit == 'x' else ''}" if digits else "localized"
    if metric.unit in ("B", "ms") and top > 0:
        return Column("bar", told, f"%.{digits}f", top)
    return Column("number", told, written if top >= 1 or metric.percent else "%.4f" if top >= 0.01 else "%.3g")


def _changes(frame: pd.DataFrame, metric: Metric) -> tuple[pd.Series, Column] | None:
    if metric.unit == "x" or (metric.needs == "timing" and metric.unit != "B"):
        return None
    change = frame[f"{metric.name}_change"].astype(float).mask(frame["is_baseline"].astype(bool))
    if change.isna().all():
        return None
    if metric.needs != "predictions":
        return change * 100, Column("number", "Percent more (+) or less (−) than the baseline.", "%+.1f%%")
    if metric.percent:
        return change * 100, Column("number", "Points above (+) or below (−) the baseline.", "%+.2f pt")
    top = float(frame[metric.name].abs().max())
    digits = 1 if top >= 100 else 2 if top >= 10 else 4
    return change, Column("number", "Above (+) or below (−) the baseline, in the metric's unit.", f"%+.{digits}f")


def _speeds(frame: pd.DataFrame) -> list[str | None]:
    ends = zip(frame["speedup"], frame["speedup_low"], frame["speedup_high"], strict=True)
    return [
        None if fmt.missing(ratio) else fmt.speed(ratio, low, high).replace(" from the baseline", "")
        for ratio, low, high in ends
    ]
