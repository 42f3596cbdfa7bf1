"""What each step of a recipe bought."""

from __future__ import annotations

from typing import Annotated

import typer

from optimizers.cli.analysing import tell
from optimizers.cli.common import Home, Json, Opened, app, print_json, run_named, say
from optimizers.cli.running import follow
from optimizers.engine.lattice import lattice


@app.command()
def contributions(
    run: Annotated[str, typer.Argument(help="Id of a finished run, as `run --json` tells it.")],
    run_missing: Annotated[
        bool, typer.Option("--run-missing", help="First run the variants that leave out steps and are not known yet.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Bytes, milliseconds and points that each step of a run's recipe bought."""
    with Opened(home) as queue:
        subject = run_named(queue, run)
        found = lattice(queue.driver, subject)
        if run_missing and found.missing:
            say(f"Running {len(found.missing)} variants.")
            runs = queue.submit(subject.model.uri, subject.dataset.uri, found.recipes, seed=subject.seed)
            follow(queue, runs)
            found = lattice(queue.driver, subject)
        report = found.report()
        if as_json:
            print_json(report.model_dump(mode="json"))
        else:
            tell(f"What each step of {subject.recipe} bought", report)
