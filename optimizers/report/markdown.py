"""A comparison as a table in Markdown, to paste into a ticket or a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from optimizers import registry
from optimizers.report.content import Content


def table(told: Content) -> str:
    """One row per file: the metrics of the overview with their 95% intervals and differences to the baseline.

    Where recipes were repeated over seeds, a table of means and places follows for each metric that matters.
    """
    known = registry.metrics()
    heads = ["File", *(f"{known[name].title} ({known[name].direction} is better)" for name in told.overview)]
    lines = ["| " + " | ".join(heads) + " |", "|:--" * len(heads) + "|"]
    for file in told.files:
        seed = f", seed {file.seed}" if told.repeated else ""
        cells = [f"`{file.name}`{seed}" if not file.is_baseline else file.name]
        for name in told.overview:
            cell = file.cell(name)
            parts = (
                (cell.value, f"[{cell.interval}]" if cell.interval else "", cell.change) if cell else ("not measured",)
            )
            cells.append(" ".join(filter(None, parts)))
        lines.append(_row(cells))
    for one in told.repeated:
        lines += ["", f"**{one.title}.** {one.sentence}", "", _row(one.columns), "|:--" * len(one.columns) + "|"]
        lines += [_row(row) for row in one.rows]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
