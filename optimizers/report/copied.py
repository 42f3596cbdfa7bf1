"""A comparison as text to paste: Markdown for a ticket, CSV for a spreadsheet."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.figures.cells import in_short
from optimizers.figures.names import names
from optimizers.figures.tradeoff import against
from optimizers.history.frames import metric_columns
from optimizers.qualifying import Judgement


def markdown(frame: pd.DataFrame, metrics: Sequence[str], judgement: Judgement | None = None) -> str:
    """One row per file: figures with units and what they changed, and which limits are kept."""
    known = [registry.metric(name) for name in metrics]
    heads = ["Variant", *(["Limits"] if judgement else []), *(metric.title for metric in known)]
    lines = [f"| {' | '.join(heads)} |", "|:--" * len(heads) + "|"]
    for (place, called), row in zip(
        zip(frame.index, names(frame, full=True), strict=True), frame.to_dict("records"), strict=True
    ):
        cells = [f"`{called}`", *([in_short(judgement.files[place])] if judgement else [])]
        for metric in known:
            change = "" if row["is_baseline"] else against(metric, row)
            cells.append(fmt.value(metric, row[metric.name]) + (f", {change}" if change else ""))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def csv(frame: pd.DataFrame, judgement: Judgement | None = None) -> str:
    """One row per file: every figure in its own unit with interval and difference; empty where nothing was measured."""
    first = ["variant", "model", "dataset", "seed", "run_id", "is_baseline", "artifact_digest", "device", "threads"]
    parts = ("", "_low", "_high", "_n", "_change", "_change_low", "_change_high")
    figures = [f"{name}{part}" for name in metric_columns(frame) for part in parts if f"{name}{part}" in frame]
    told = frame[[*first, *figures]]
    if judgement is not None:
        told = told.assign(limits=[judgement.files[place].state for place in frame.index])
    return told.to_csv(index=False)
