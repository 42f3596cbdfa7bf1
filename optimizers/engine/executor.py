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
        settings: ``workers`` is the number of processes per pool that may work at the same time.
        prewarm: Start one TensorFlow process right away, so that the first visitor does not wait for its import.
    """

    def __init__(self, settings: Settings, *, prewarm: bool = False) -> None:
        self._settings = settings
        self._idle: dict[Pool, list[Worker]] = {"tensorflow": [], "light": [], "reader": []}
        self._slots = {pool: threading.BoundedSemaphore(settings.workers + 1) for pool in self._idle}
        self._lock = threading.Lock()
        self._closed = False
        if prewarm:
            self._idle["tensorflow"].append(Worker("tensorflow", settings))

    def run(self, task: Task, on_event: OnEvent, cancelled: Callable[[], bool]) -> Any:
        slot = self._slots[task.pool]
        while not slot.acquire(timeout=0.1):
            if cancelled() or self._closed:
                raise Cancelled("The run was cancelled.")
        try:
            worker = self._take(task.pool)
            try:
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

    def _take(self, pool: Pool) -> Worker:
        with self._lock:
            if self._closed:
                raise Cancelled("The run was cancelled because the app is shutting down.")
            while self._idle[pool]:
                worker = self._idle[pool].pop()
                if worker.alive:
                    return worker
                worker.kill()
            return Worker(pool, self._settings)

    def _give_back(self, worker: Worker) -> None:
        fresh = worker.tasks_done < _RECYCLE_TASKS and worker.resident_bytes() < _RECYCLE_BYTES
        with self._lock:
            if worker.alive and fresh and not self._closed:
                self._idle[worker.pool].append(worker)
                return
        worker.kill()
