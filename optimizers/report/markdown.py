"""A comparison as a table in Markdown, to paste into a ticket or a pull request."""

from __future__ import annotations

from optimizers import registry
from optimizers.report.content import Content


def table(told: Content) -> str:
    """One row per file: the metrics of the overview with their 95% intervals and differences to the baseline."""
    known = registry.metrics()
    heads = ["File", *(f"{known[name].title} ({known[name].direction} is better)" for name in told.overview)]
    lines = ["| " + " | ".join(heads) + " |", "|:--" * len(heads) + "|"]
    for file in told.files:
        cells = [f"`{file.name}`" if not file.is_baseline else file.name]
        for name in told.overview:
            cell = file.cell(name)
            parts = (
                (cell.value, f"[{cell.interval}]" if cell.interval else "", cell.change) if cell else ("not measured",)
            )
            cells.append(" ".join(filter(None, parts)))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
