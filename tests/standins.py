"""Stand-ins for the tasks of runs: real child processes, store, history and scheduler, but nothing is trained.

They are for questions about the engine itself: what it costs, and what it survives.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from optimizers.engine.executor import Executor
from optimizers.engine.store import open_store
from optimizers.engine.worker import OnEvent, Task
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor

MODEL, DATA = "sample:digits_cnn", "sample:optdigits"
_TASKS = "optimizers.engine.tasks:"


class StandIns:
    """An executor that gives stand-ins to another one instead of the tasks of runs on `MODEL`; others as they are.

    Args:
        executor: The other one.
        seconds: How long a step takes.
        busy: Whether it computes all the while, on one thread, or sleeps. Computing is counted in processor time.
        ledger: A file to which every step that ran to its end adds its key.
    """

    def __init__(
        self, executor: Executor, seconds: float = 0.0, *, busy: bool = False, ledger: Path | None = None
    ) -> None:
        self._executor, self._seconds, self._busy = executor, seconds, busy
        self._ledger = str(ledger or "")

    def run(self, task: Task, on_event: OnEvent, cancelled: Callable[[], bool]) -> Any:
        text = json.dumps(task.params)
        if task.function.startswith(_TASKS) and ("digits" in text or task.function.endswith("rehearse")):
            params = {
                "name": task.function.removeprefix(_TASKS),
                "params": task.params,
                "seconds": self._seconds,
                "busy": self._busy,
                "ledger": self._ledger,
            }
            task = replace(task, function="tests.standins:stand_in", params=params, pool="light")
        return self._executor.run(task, on_event, cancelled)

    def devices(self) -> frozenset[str]:
        return self._executor.devices()

    def close(self) -> None:
        self._executor.close()


def stand_in(report: Any, *, name: str, params: dict[str, Any], seconds: float, busy: bool, ledger: str) -> Any:
    """The task: what `FakeExecutor` does, in a worker process."""
    settings = Settings()

    def work() -> Any:
        return FakeExecutor(settings).do(name, lambda event: None, lambda: False, params)

    if name != "run_stage":
        return work()
    known = open_store(settings).get(params["key"])
    if known is not None:
        return known.model_dump(mode="json")
    if busy:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
    else:
        time.sleep(seconds)
    found = work()
    if ledger:
        with Path(ledger).open("a", encoding="ascii") as stream:
            stream.write(f"{params['key']}\n")
    return found
