"""A Dask worker's side: runs tasks in the same kind of child processes, with the same limits, as the app does itself.

A task comes as JSON. What it names by address is brought first: uploads, files of the app's machine, published data.
Events and the log go back as they come. A task that nobody wants any more is killed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers import uploads
from optimizers.engine import given
from optimizers.engine.executor import LocalExecutor
from optimizers.engine.versions import device, measuring_versions, work_versions
from optimizers.engine.worker import Task
from optimizers.errors import Cancelled, ParetoscopeError, Unexpected, WorkFailed
from optimizers.settings import Settings

if TYPE_CHECKING:
    from distributed import Worker

_PLUGIN = "paretoscope"
_SHORTEST_PAUSE = 0.3
_LOG_BLOCK = _LONGEST_EVENT = 1 << 16
_log = logging.getLogger(__name__)
_sites: weakref.WeakKeyDictionary[Worker, Site] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def work(payload: str) -> str:
    """The Dask task: runs one of our tasks on this worker; both are JSON.

    The answer also goes the way of events, which is there before the app could ask for it.

    Returns:
        ``{"result": …}``, ``{"error": …}`` as `ParetoscopeError.to_dict` has it, or ``{"again": true}`` where this
        worker was about to close and another one has to do it.
    """
    from distributed import get_worker

    told, worker = json.loads(payload), get_worker()
    try:
        answer = site_of(worker).work(told)
    except ParetoscopeError as error:
        answer = {"error": error.to_dict()}
    whole = json.dumps(answer)
    if len(whole) <= _LONGEST_EVENT:
        worker.log_event(told["topic"], json.dumps({"id": told["id"], "event": {"type": "answer", "whole": whole}}))
    return whole


def name_of_device() -> str:
    """What measurements made on this worker name as their device."""
    return device()


def site_of(worker: Worker) -> Site:
    """The site of a worker; made at its first task."""
    with _making:
        site = _sites.get(worker)
        if site is None:
            _sites[worker] = site = Site(worker, Settings())
    return site


class Site:
    """What one Dask worker needs for our tasks: child processes, and an ear for tasks that are not wanted any more."""

    def __init__(self, worker: Worker, settings: Settings) -> None:
        self.settings = settings.model_copy(update={"workers": worker.state.nthreads})
        self.executor = LocalExecutor(self.settings)
        self._worker = worker
        self._unwanted: set[str] = set()
        ready = threading.Event()

        def listen() -> None:
            worker.plugins[_PLUGIN] = self
            ready.set()

        worker.loop.add_callback(listen)  # Dask goes through its plugins in that thread
        ready.wait(10)

    def transition(self, key: str, start: str, finish: str, **kwargs: Any) -> None:
        """Called by Dask when a task changes its state; a running one that is released has been cancelled."""
        if start in ("executing", "long-running") and finish == "released":
            self._unwanted.add(key)

    def teardown(self, worker: Worker) -> None:
        """Called by Dask when the worker closes."""
        self.executor.close()

    def work(self, told: dict[str, Any]) -> dict[str, Any]:
        """Runs a task as `work` says."""
        from distributed import get_worker

        self._check(told)
        key = str(get_worker().get_current_task())
        task = Task(**told["task"])
        task = replace(task, log=str(self.settings.logs / Path(task.log).name))
        sender = _Sender(self._worker, told["topic"], told["id"], Path(task.log))
        try:
            task = replace(task, params=given.unpacked(task.params, told["given"], self.settings))
            self._bring(task, key)
            result = self.executor.run(task, sender.event, lambda: key in self._unwanted)
        except Cancelled:
            return {"again": key not in self._unwanted, "error": Cancelled("The run was cancelled.").to_dict()}
        finally:
            self._unwanted.discard(key)
            sender.log()
        return {"result": result}

    def _bring(self, task: Task, key: str) -> None:
        """Uploads, and data that Keras publishes, which only measuring processes may fetch."""
        for uri in given.strings(task.params):
            prefix, colon, rest = uri.partition(":")
            if not colon:
                continue
            if prefix == uploads.PREFIX:
                for kind in ("model", "data"):
                    with contextlib.suppress(ParetoscopeError):  # the task itself will tell
                        uploads.find(rest.partition("?")[0], kind, self.settings)
            if prefix == "keras" and task.pool != "light":
                fetch = Task("optimizers.engine.tasks:fetch", {"uri": uri}, "light", "interactive", task.log)
                self.executor.run(fetch, lambda event: None, lambda: key in self._unwanted)

    def _check(self, told: dict[str, Any]) -> None:
        """Raises `WorkFailed` where this worker cannot stand in for the app's machine."""
        name = self._worker.address
        for needed, here in ((told["measuring"], measuring_versions()), (told["work"], work_versions())):
            wrong = [f"{n} {here.get(n, 'missing')} instead of {v}" for n, v in needed.items() if here.get(n) != v]
            if wrong:
                raise WorkFailed(
                    f"The worker {name} has other libraries than the app ({', '.join(wrong)}); install the same there."
                )
        if told["store"] != identity(self.settings):
            raise WorkFailed(
                f"The worker {name} keeps its results elsewhere than the app; set the same PARETOSCOPE_STORE for both."
            )


class _Sender:
    """Sends what a task tells to the app, with the log as it grows; progress a few times a second at most."""

    def __init__(self, worker: Worker, topic: str, task: str, log: Path) -> None:
        self._worker, self._topic, self._task, self._log = worker, topic, task, log
        self._read = log.stat().st_size if log.exists() else 0
        self._sent = 0.0

    def event(self, event: dict[str, Any]) -> None:
        if event["type"] == "progress":
            if time.monotonic() - self._sent < _SHORTEST_PAUSE:
                return
            self._sent = time.monotonic()
            self.log()
        self._send(event)

    def log(self) -> None:
        for block in self._grown():
            self._send({"type": "log", "text": block})

    def _grown(self) -> Iterator[str]:
        if not self._log.exists():
            return
        with self._log.open("rb") as stream:
            stream.seek(self._read)
            while block := stream.read(_LOG_BLOCK):
                self._read += len(block)
                yield block.decode("utf-8", errors="replace")

    def _send(self, event: dict[str, Any]) -> None:
        self._worker.log_event(self._topic, json.dumps({"id": self._task, "event": event}))


def identity(settings: Settings) -> str:
    """What tells whether two processes keep their results in one place: a URL, or a mark in the folder."""
    if settings.store:
        return settings.store.rpartition("@")[2]
    mark = settings.results / "identity"
    if not mark.exists():
        settings.results.mkdir(parents=True, exist_ok=True)
        draft = settings.results / f"identity-{threading.get_ident()}-{time.monotonic_ns()}"
        draft.write_text(f"{time.time_ns()}", encoding="ascii")
        with contextlib.suppress(FileExistsError):
            mark.hardlink_to(draft)
        draft.unlink()
    return mark.read_text(encoding="ascii")


def in_words(problem: BaseException) -> ParetoscopeError:
    """What went wrong on the cluster itself, in one sentence."""
    if type(problem).__name__ == "KilledWorker":
        from optimizers.errors import WorkerDied

        return WorkerDied(
            "Every worker that tried this step was lost, perhaps for want of memory; see the logs of the workers.",
            code="workers-lost",
        )
    told = " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
    return Unexpected(f"The cluster failed unexpectedly ({told}); see the logs of its workers.")
