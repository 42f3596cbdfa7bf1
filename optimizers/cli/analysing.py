"""Looking into the files that runs left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from optimizers import registry
from optimizers.cli.common import Home, Json, Opened, app, print_json, run_named, say
from optimizers.engine.analysing import Question, analyse
from optimizers.errors import InvalidParameter, NotApplicable
from optimizers.figures.format import bounds, cell
from optimizers.findings import Chart, Report, Table
from optimizers.params import fields


@app.command()
def analyze(
    run: Annotated[str, typer.Argument(help="Id of a finished run, as `run --json` tells it.")],
    what: Annotated[
        list[str] | None,
        typer.Option("--what", help="An analysis; can be repeated. All quick ones if left out."),
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE; can be repeated.")] = None,
    against: Annotated[str, typer.Option("--against", help="Run to compare with, not the baseline.")] = "",
    baseline: Annotated[bool, typer.Option("--baseline", help="Look at the baseline of the run.")] = False,
    files: Annotated[Path | None, typer.Option("--files", help="Folder for files that belong to a report.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Look into the file of a run: what is in it, why it is as small or as fast as it is."""
    names = what or [a.name for a in registry.analyses().values() if a.quick]
    given = dict(_pair(text) for text in setting or ())
    reports: dict[str, Any] = {}
    with Opened(home) as queue:
        subject = run_named(queue, run)
        reference = run_named(queue, against) if against else None
        for name in names:
            declared = registry.analysis(name)
            own = {f.name for f in fields(declared.params)}
            unknown = sorted(given.keys() - own)
            if what and len(names) == 1 and unknown:
                raise InvalidParameter(f"{name} has no parameter {unknown[0]!r}; it takes: {', '.join(own) or 'none'}.")
            question = Question(subject, name, {k: v for k, v in given.items() if k in own}, baseline, reference)
            try:
                report, key = analyse(queue.driver, question)
            except NotApplicable as error:
                say(f"{name}: {error.message}")
                reports[name] = {"problem": error.message}
                continue
            reports[name] = report.model_dump(mode="json")
            if files is not None:
                files.mkdir(parents=True, exist_ok=True)
                for file in report.files:
                    shutil.copyfile(queue.analyses.file(key, file), files / f"{name}-{file}")
            if not as_json:
                tell(declared.title, report)
    if as_json:
        print_json(reports)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidParameter(f"--set takes NAME=VALUE, got {text!r}.")
    return name, value


def tell(title: str, report: Report) -> None:
    """Prints a report: what it means first, then the numbers."""
    print(f"{title}\n{'-' * len(title)}")
    for sentence in report.sentences:
        print(" ".join(filter(None, (sentence.text, sentence.advice))))
    for fact in report.facts:
        around = f"  ({bounds(fact.low, fact.high, fact.unit)})" if fact.low is not None else ""
        print(f"    {fact.title}: {cell(fact.value, fact.unit)}{around}")
    for table in report.tables:
        _print_table(table)
    print()


def _print_table(table: Table) -> None:
    if table.chart is not None and table.chart.kind == "histogram":
        return  # bins are for drawing; --json has them
    if table.chart is not None and table.chart.kind == "matrix":
        heads, rows = _matrix(table, table.chart)
    else:
        columns = [c for c in table.columns if not c.picture]
        rows = [[cell(row.get(c.name), c.unit) for c in columns] for row in table.rows]
        heads = [c.title for c in columns]
    widths = [max(len(head), *(len(row[i]) for row in rows), 0) for i, head in enumerate(heads)]
    print(f"\n  {table.title}")
    print("    " + "  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)))
    for row in rows:
        print("    " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))
    if table.note:
        print(f"    {table.note}")


def _matrix(table: Table, chart: Chart) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a table that spans a matrix."""
    columns = {column.name: column for column in table.columns}
    across = list(dict.fromkeys(str(row[chart.x]) for row in table.rows))
    down = list(dict.fromkeys(str(row[chart.by]) for row in table.rows))
    told = {
        (str(row[chart.by]), str(row[chart.x])): cell(row.get(chart.y[0]), columns[chart.y[0]].unit)
        for row in table.rows
    }
    corner = f"{columns[chart.by].title} \\ {columns[chart.x].title}"
    return [corner, *across], [[name, *(told.get((name, other), "") for other in across)] for name in down]
