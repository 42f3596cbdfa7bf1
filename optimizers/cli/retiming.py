"""Timing the files of finished runs once more."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from optimizers.cli.common import Home, Json, Opened, app, print_json, run_named, say
from optimizers.engine.queue import JobQueue
from optimizers.engine.retiming import retime as timed_again
from optimizers.figures import format as fmt
from optimizers.history.frames import measurements_of
from optimizers.records import Measurement, Run
from optimizers.registry import metric


@app.command()
def retime(
    runs: Annotated[list[str], typer.Argument(help="Ids of finished runs.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Time files again, all of them in turn with their original; what was measured before is replaced.

    The exit status is 1 if the file of a run is gone.
    """
    with Opened(home) as queue:
        chosen = [run_named(queue, run_id) for run_id in runs]
        before = [_times(queue, run) for run in chosen]
        say("Timing; nothing else should be at work on this machine.")
        gone = {run.id for run in timed_again(queue.driver, chosen).gone}
        after = [{} if run.id in gone else _times(queue, run) for run in chosen]
    if as_json:
        told = zip(chosen, before, after, strict=True)
        print_json(
            [{"id": run.id, "recipe": run.recipe, "before": _plain(b), "after": _plain(a)} for run, b, a in told]
        )
        return
    for run, old, new in zip(chosen, before, after, strict=True):
        if as_json or run.id in gone:
            continue
        print(f"{run.recipe}  {run.id}")
        for name, m in new.items():
            was = f"  before: {_written(old[name])}" if name in old else ""
            print(f"    {name:18} {_written(m)}{was}")
        if any(m.disturbed == 1 for m in new.values()):
            print("    This machine was disturbed all the time: the speed-up may be off by more than its interval.")
    sys.exit(1 if gone else 0)


def _times(queue: JobQueue, run: Run) -> dict[str, Measurement]:
    return {name: m for name, m in measurements_of(queue.history, run).items() if m.device}


def _written(m: Measurement) -> str:
    declared = metric(m.metric)
    around = fmt.interval(declared, m.low, m.high)
    return fmt.value(declared, m.value) + (f" ({around})" if around else "")


def _plain(times: dict[str, Measurement]) -> dict[str, Any]:
    told = {"value", "unit", "low", "high", "n", "device", "threads", "others", "disturbed", "measured_at"}
    return {name: m.model_dump(mode="json", include=told) for name, m in times.items()}
