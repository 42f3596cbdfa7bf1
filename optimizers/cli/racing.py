"""Asking several files the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizers.cli.common import Home, Json, Opened, app, print_json, run_named
from optimizers.datasets.formats import csv_table
from optimizers.engine.queue import JobQueue
from optimizers.engine.racing import Racer, picture, race
from optimizers.errors import DataRefused, UserError
from optimizers.live.given import Given, Numbered, checked


@app.command("race")
def run_race(
    runs: Annotated[list[str], typer.Argument(help="Ids of finished runs on the same data.")],
    example: Annotated[
        int | None, typer.Option("--example", min=0, help="Place of an example in the test part.")
    ] = None,
    image: Annotated[Path | None, typer.Option("--picture", help="A picture file.")] = None,
    row: Annotated[Path | None, typer.Option("--row", help="A CSV file; its first row is asked.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Ask the files of runs and their baseline the same example, and time them on it in turn."""
    if (example is None) + (image is None) + (row is None) != 2:
        raise UserError("Give one of --example, --picture and --row.")
    with Opened(home) as queue:
        found = [run_named(queue, name) for name in runs]
        unfinished = next((run for run in found if run.state != "done" or not run.artifact_digest), None)
        if unfinished is not None:
            raise UserError(f"The run {unfinished.recipe!r} has no file that could answer: it is {unfinished.state}.")
        racers = [Racer(found[0], is_baseline=True), *(Racer(run) for run in found)]
        outcome = race(queue.driver, racers, _given(queue, example, image, row))
    if as_json:
        print_json(outcome.model_dump(mode="json", exclude={"picture"}))
        return
    for racer, answer in zip(racers, outcome.answers, strict=True):
        sure = f"  {answer.top[0].probability:.1%}" if answer.top else ""
        time = f"  {answer.ms:.4g} ms" if answer.ms is not None else ""
        print(f"{'baseline' if racer.is_baseline else racer.run.recipe}: {answer.problem or answer.text}{sure}{time}")
    if outcome.truth:
        print(f"truth: {outcome.truth}")


def _given(queue: JobQueue, example: int | None, image: Path | None, row: Path | None) -> Given:
    if example is not None:
        return Numbered(number=example)
    try:
        if image is not None:
            return picture(queue.driver, image.read_bytes(), image.name)
        assert row is not None, "one of the three is given"
        first = csv_table.first_row(row.read_bytes(), str(row))
    except OSError as error:
        raise DataRefused(f"{image or row} cannot be read: {error.strerror or error}.") from error
    return checked({"kind": "row", "values": {name: value for name, value in first.items() if name}})
