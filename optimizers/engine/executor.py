"""Where tasks are computed: the contract, and the local implementation (nothing to install)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from optimizers.engine.versions import device
from optimizers.engine.worker import OnEvent, Pool, Task, Worker
from optimizers.errors import Cancelled
from optimizers.settings import Settings

_RECYCLE_TASKS = 40
_RECYCLE_BYTES = 3 * 2**30
_KEPT_FOR_VISITORS: dict[Pool, int] = {"tensorflow": 1, "light": 2, "reader": 2}
"""Idle processes more than work alone would need; with TensorFlow each takes half a GiB."""
_FOR_VISITORS = 2
"""Tasks in each pool that visitors wait for and that are done at the same time. With three of them, beside trainings on
two processors, pages of new browsers took up to 3.1 seconds."""
_WAITED_FOR, _WORK = 5, 10
"""Niceness of reading models, which takes seconds of both processors while pages wait for nothing, and of trainings."""


class Executor(Protocol):
    """Runs tasks in worker processes. Safe to use from many threads."""

    def run(self, task: Task, on_event: OnEvent, cancelled: Callable[[], bool]) -> Any:
        """The task's result; blocks. Raises what `Worker.run` raises."""

    def devices(self) -> frozenset[str]:
        """Names of the machines on which latency is measured; empty while none is there."""

    def close(self) -> None:
        """Ends all worker processes; tasks that are still running raise."""


class LocalExecutor:
    """Supervises worker processes on this machine and keeps them warm between tasks.

    Args:
        settings: ``workers`` and one more is the number of processes per pool that may work at the same time.
        visited: There are pages whose visitors wait. What they wait for is done by processes that have never trained,
            converted or evaluated and so do not come after all else, and one of them with TensorFlow is always warm.
            They have places of their own, however much work is under way.
    """

    def __init__(self, settings: Settings, *, visited: bool = False) -> None:
        self._settings, self._visited = settings, visited
        self._idle: dict[Pool, list[Worker]] = {"tensorflow": [], "light": [], "reader": []}
        places = settings.workers + 1
        self._slots = {
            (pool, waited_for): threading.BoundedSemaphore(_FOR_VISITORS if waited_for and visited else places)
            for pool in self._idle
            for waited_for in (True, False)
        }
        self._lock = threading.Lock()
        self._closed = False
        self._kept = {pool: places + (_KEPT_FOR_VISITORS[pool] if visited else 0) for pool in self._idle}
        if visited:
            self._idle["tensorflow"].append(Worker("tensorflow", settings, _WAITED_FOR))

    def run(self, task: Task, on_event: OnEvent, cancelled: Callable[[], bool]) -> Any:
        slot = self._slots[task.pool, task.lane == "interactive"]
        while not slot.acquire(timeout=0.1):
            if cancelled() or self._closed:
                raise Cancelled("The run was cancelled.")
        try:
            worker = self._take(task)
            try:
                worker.niceness = max(worker.niceness, self._niceness(task))
                return worker.run(task, on_event, lambda: cancelled() or self._closed)
            finally:
                self._give_back(worker)
        finally:
            slot.release()

    def devices(self) -> frozenset[str]:
        return frozenset({device()})

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle = [worker for workers in self._idle.values() for worker in workers]
            self._idle = {pool: [] for pool in self._idle}
        for worker in idle:
            worker.kill()

    def _take(self, task: Task) -> Worker:
        pool, niceness = task.pool, self._niceness(task)
        most = niceness if self._visited else _WORK
        with self._lock:
            if self._closed:
                raise Cancelled("The run was cancelled because the app is shutting down.")
            for worker in [worker for worker in self._idle[pool] if not worker.alive]:
                self._idle[pool].remove(worker)
                worker.kill()
            idle = self._idle[pool]
            able = [worker for worker in idle if worker.niceness <= most]
            if not able:
                return Worker(pool, self._settings, niceness)
            worker = max(able, key=lambda one: one.niceness)
            idle.remove(worker)
            taken_away = niceness == _WORK and all(one.niceness == _WORK for one in idle)
            if self._visited and pool == "tensorflow" and taken_away:
                idle.append(Worker(pool, self._settings, _WAITED_FOR))
            return worker

    def _niceness(self, task: Task) -> int:
        """How far a process that does this comes after pages from then on. Timing never does: it would be wrong."""
        if task.lane == "work" and (self._visited or task.pool == "tensorflow"):
            return _WORK
        return _WAITED_FOR if self._visited and task.pool == "tensorflow" else 0

    def _give_back(self, worker: Worker) -> None:
        """Keeps it warm. Where that makes too many, one that has worked goes: it can do less than the others."""
        worn = worker.tasks_done >= _RECYCLE_TASKS or worker.resident_bytes() >= _RECYCLE_BYTES
        with self._lock:
            idle, parting = self._idle[worker.pool], worker
            if worker.alive and not worn and not self._closed:
                idle.append(worker)
                if len(idle) <= self._kept[worker.pool]:
                    return
                parting = max(idle, key=lambda one: one.niceness)
                idle.remove(parting)
        parting.kill()
