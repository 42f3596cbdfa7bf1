"""What the commands share: the application, options, the queue behind it, and how things are told."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from optimizers.datasets import drawn
from optimizers.engine.queue import JobQueue
from optimizers.errors import UserError
from optimizers.records import Run
from optimizers.settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="See what it costs to make a neural network small and fast.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Recipes = Annotated[
    list[str],
    typer.Option("--recipe", help="Short form, preset or JSON file; settings may be lists. Can be repeated."),
]
Data = Annotated[
    str, typer.Option("--data", help="sample:NAME or a file, and its preparation; random inputs if there are no data.")
]
Home = Annotated[Path | None, typer.Option("--home", file_okay=False, help="Folder of the store and the history.")]


def data_for(queue: JobQueue, model: str, data: str) -> str:
    """The data named, or random inputs for the model where none are."""
    if data:
        return data
    uri = drawn.for_model(queue.driver.inspect_model(model)[1])
    say(f"No data were named, so variants are compared with the original on random inputs: {uri}")
    return uri


def run_named(queue: JobQueue, run_id: str) -> Run:
    """The run of that id.

    Raises:
        UnknownName: There is none.
        UserError: It is a trial of a search, whose figures are of validation data and stand beside no others.
    """
    run = queue.history.run(run_id)
    if run.part != "test":
        raise UserError(
            f"{run_id} is a trial of a search, measured on {run.part} data only. To measure its file on test data: "
            f"python -m optimizers search --continue {run.study} --certify NUMBER"
        )
    return run


class Opened:
    """A queue that is closed again, with its home chosen by ``--home``."""

    def __init__(self, home: Path | None) -> None:
        if home is not None:
            os.environ["PARETOSCOPE_HOME"] = str(home.expanduser().resolve())
        self.queue = JobQueue(Settings(), resume=False)

    def __enter__(self) -> JobQueue:
        return self.queue

    def __exit__(self, *problem: object) -> None:
        self.queue.close()


def new_file(path: Path) -> Path:
    """A file that can be written, asked before any work begins."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = f"{path} is a folder" if path.is_dir() else f"There is no folder {path.absolute().parent}"
        raise UserError(f"{what}; name a file in a folder that exists.")
    return path


def print_json(value: Any) -> None:
    """Writes a value to standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Writes a line to standard error."""
    print(text, file=sys.stderr, flush=True)
