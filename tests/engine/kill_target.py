"""A process to be killed: continues what an earlier one left, and asks for more when everything is done."""

from __future__ import annotations

import sys
import time

from optimizers.engine.queue import JobQueue
from optimizers.recipe import parse
from optimizers.records import RunState
from optimizers.settings import Settings

RECIPES = ("magnitude_pruning(epochs=2)+int8", "magnitude_pruning(epochs=2)+float16", "int8(io=int8)", "dynamic_range")
OPEN: tuple[RunState, ...] = ("queued", "running", "interrupted")


def main() -> None:
    more = sys.argv[1] == "more"
    queue = JobQueue(Settings())
    for run in queue.history.runs(states=["failed"]):
        queue.retry(run.id)
    while True:
        if not queue.history.runs(states=OPEN):
            if not more:
                break
            seed = len(queue.history.runs())
            queue.submit("sample:mpg_mlp", "sample:auto_mpg", [parse(text) for text in RECIPES], seed=seed)
        time.sleep(0.05)
    queue.close()


if __name__ == "__main__":
    main()
