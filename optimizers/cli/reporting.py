"""Reports, packs of evidence, their verification, and tables of results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from optimizers.cli.common import Home, Json, Opened, app, new_file, print_json, run_named, say
from optimizers.engine.queue import JobQueue

Runs = Annotated[list[str] | None, typer.Argument(help="Ids of runs; all finished ones if left out.")]
Out = Annotated[Path, typer.Option("--out", help="The file to write.")]
Title = Annotated[str, typer.Option("--title", help="Heading; made from model and data if left out.")]
Note = Annotated[str, typer.Option("--note", help="Words that stand under the heading.")]


@app.command()
def results(runs: Runs = None, out: Out = Path("results.csv"), home: Home = None) -> None:
    """Write every measurement of runs as one table: .csv, .json or .parquet."""
    from optimizers.report import results as tables

    form = tables.form_of(new_file(out))
    with Opened(home) as queue:
        table = tables.results(queue.history, _chosen(queue, runs))
    out.write_bytes(tables.encoded(table, form))
    say(f"{len(table)} measurements are in {out}.")


@app.command()
def report(
    runs: Runs = None, out: Out = Path("report.html"), title: Title = "", note: Note = "", home: Home = None
) -> None:
    """Write the comparison of runs as one HTML file that needs no network."""
    from optimizers.report.content import content
    from optimizers.report.html import document

    new_file(out)
    with Opened(home) as queue:
        told = content(queue.history, queue.store, _chosen(queue, runs), title)
    out.write_text(document(told, note=note), encoding="utf-8")
    say(f"The report is in {out}.")


@app.command()
def pack(
    runs: Runs = None,
    out: Out = Path("pack.zip"),
    title: Title = "",
    note: Note = "",
    without_data: Annotated[bool, typer.Option("--without-data", help="Leave the test examples out.")] = False,
    home: Home = None,
) -> None:
    """Write a ZIP of evidence: report, files, test examples, and what it takes to measure all of it again."""
    from optimizers.report.pack import write

    new_file(out)
    with Opened(home) as queue:
        made = write(queue.driver, _chosen(queue, runs), out, title=title, note=note, with_data=not without_data)
    files = sum(len(subject.files) for subject in made.subjects)
    say(f"{files} files are in {out}; `python -m optimizers verify {out}` measures them again.")


@app.command()
def verify(
    pack: Annotated[Path, typer.Argument(help="A pack of evidence.")],
    data: Annotated[str, typer.Option("--data", help="The data set, for packs without examples.")] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Measure size, hash and quality of every file in a pack again; exit status 1 if something differs."""
    from optimizers.report.verification import verify as verified

    with Opened(home) as queue:
        manifest, checks = verified(queue.driver, pack, data=data)
    if as_json:
        print_json({"title": manifest.title, "checks": [check.model_dump(mode="json") for check in checks]})
    else:
        for check in checks:
            both = (
                check.stated
                if check.verdict == "agrees"
                else f"{check.stated} stated, {check.found or 'nothing'} found"
            )
            print(f"{check.verdict:20} {check.file}  {check.what}: {both}  {check.why}".rstrip())
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in ("agrees", "differs")}
    others = len(checks) - sum(counts.values())
    agreed, differ = counts["agrees"], counts["differs"]
    say(f"{agreed} of {len(checks)} agree, {differ} differ, {others} otherwise; times are not compared.")
    sys.exit(1 if counts["differs"] or not counts["agrees"] else 0)


@app.command()
def mlflow(
    runs: Runs = None,
    to: Annotated[str, typer.Option("--to", help="A tracking store of MLflow.")] = "sqlite:///mlflow.db",
    experiment: Annotated[str, typer.Option("--experiment", help="Its name; model and data if left out.")] = "",
    home: Home = None,
) -> None:
    """Write runs to MLflow, with settings, measurements and files; what is there already stays as it is."""
    from optimizers.report.mlflow import export

    with Opened(home) as queue:
        count = export(queue.history, queue.store, _chosen(queue, runs), to, experiment)
    say(f"{count} runs were written to {to}.")


def _chosen(queue: JobQueue, runs: list[str] | None) -> list[str]:
    """The ids that were named, each of which must be known, or those of all finished runs, oldest first."""
    if runs:
        return [run_named(queue, run).id for run in runs]
    return [run.id for run in reversed(queue.history.runs(states=("done",)))]
