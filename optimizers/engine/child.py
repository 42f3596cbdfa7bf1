"""The process in which models are read, changed, converted and measured.

Run as ``python -m optimizers.engine.child EVENTS_FD POOL NICENESS [asks]``. Tasks come as JSON lines on standard input,
events go as JSON lines to the file descriptor. Standard output and error of a task go to its log. When standard input
ends, the owner is gone and so is this process, with all that it started and its scratch folder (``TMPDIR``).

With ``asks`` there is a larger store behind the folder of results. This process has neither its address nor the
network; it asks its owner to bring results and to publish them, and the answers come on standard input as well.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import queue
import re
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from optimizers.engine.confinement import (
    come_after_pages,
    no_core_dumps,
    no_network,
    reading_limits,
    too_much_memory,
)
from optimizers.engine.lanes import lane
from optimizers.engine.store import ask
from optimizers.engine.tasks import Reporter
from optimizers.engine.versions import device
from optimizers.errors import ParetoscopeError, Unexpected, from_dict
from optimizers.records import Artifact, digest_of
from optimizers.settings import Settings

_HOST_BUSY = "Waiting until the machine is free, so that timing is not disturbed."


class EventStream(Reporter):
    """Writes events, one JSON object a line. A task that tells its progress is between two pieces of its work."""

    def __init__(self, handle: int) -> None:
        self._stream = os.fdopen(handle, "w", encoding="utf-8")
        self._lock = threading.Lock()
        self.between: Callable[[], None] = lambda: None
        """Called between two pieces of the present task."""

    def emit(self, kind: str, **values: Any) -> None:
        with self._lock:
            self._stream.write(json.dumps({"type": kind, **values}, default=_plain) + "\n")
            self._stream.flush()
        if kind == "progress":
            self.between()


class Owner:
    """What is behind the folder of results, as far as the process that owns this one tells."""

    def __init__(self, events: EventStream, answers: queue.SimpleQueue[dict[str, Any]]) -> None:
        self._events, self._answers = events, answers
        self._lock = threading.Lock()

    def record(self, key: str) -> Artifact | None:
        found = self._ask("record", key=key)
        return None if found is None else Artifact.model_validate(found)

    def bring(self, artifact: Artifact, folder: Path) -> None:
        self._ask("bring", artifact=artifact.model_dump(mode="json"), folder=folder.name)

    def publish(self, artifact: Artifact, folder: Path) -> Artifact:
        told = self._ask("publish", artifact=artifact.model_dump(mode="json"), folder=folder.name)
        return Artifact.model_validate(told)

    def _ask(self, what: str, **values: Any) -> Any:
        with self._lock:
            self._events.emit("ask", what=what, **values)
            answer = self._answers.get()
        if answer["error"]:
            raise from_dict(answer["error"])
        return answer["value"]


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays as numbers and lists; other things as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def main() -> None:
    events = EventStream(int(sys.argv[1]))
    pool = sys.argv[2]
    come_after_pages(int(sys.argv[3]))
    no_core_dumps()
    if pool != "light":  # the measuring processes also fetch public data sets
        no_network()
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks, answers), daemon=True).start()
    if "asks" in sys.argv[4:]:
        ask(Owner(events, answers))
    if pool == "tensorflow":
        import optimizers.tf.summary  # noqa: F401  (TensorFlow is loaded before the first task arrives and counts)
    events.emit("ready")
    while True:
        _work(tasks.get(), events)


def _receive(tasks: queue.SimpleQueue[dict[str, Any]], answers: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        told = json.loads(line)
        (answers if "answer" in told else tasks).put(told.get("answer", told))
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    if os.getpgrp() == os.getpid():  # as the owner starts it: nobody else is in its group
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _work(task: dict[str, Any], events: EventStream) -> None:
    with _log_to(task["log"]):
        try:
            settings = Settings()
            come_after_pages(task["niceness"])
            strict = reading_limits(settings.reading_seconds, settings.reading_mib)
            with (
                lane(settings.locks, task["lane"], lambda: events.emit("waiting", why=_HOST_BUSY)) as events.between,
                strict if task["reading"] else contextlib.nullcontext(),
            ):
                events.emit("started")
                if task["lane"] == "alone":
                    _know_this_machine(settings)
                result = _function(task["function"])(events, **task["params"])
        except ParetoscopeError as error:
            events.emit("failed", error=error.to_dict())
        except Exception as problem:
            events.emit("failed", error=_in_words(problem, task["reading"]).to_dict())
        else:
            events.emit("done", result=result)


def _know_this_machine(settings: Settings) -> None:
    """What earlier timings have learned of this machine."""
    from optimizers.litert import strain

    strain.keep_in(settings.home / "machine" / f"{digest_of(device())[:16]}.json")


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _in_words(problem: Exception, reading: bool) -> ParetoscopeError:
    """A fault of ours as one sentence; the traceback goes to the log and into the detail."""
    detail = traceback.format_exc()
    print(detail, file=sys.stderr, flush=True)
    if reading and (isinstance(problem, MemoryError) or type(problem).__name__ == "ResourceExhaustedError"):
        return too_much_memory(Settings(), detail)
    if isinstance(problem, MemoryError):
        return Unexpected("The step ran out of memory.", code="memory", detail=detail)
    told = re.sub(r"(?:/[\w.+-]+)+/(?=[\w.+-])", "", f"{type(problem).__name__}: {problem}")  # no paths of this machine
    words = " ".join(told.split())[:300]
    return Unexpected(f"The step failed unexpectedly ({words}); the log has the details.", detail=detail)


@contextlib.contextmanager
def _log_to(path: str) -> Iterator[None]:
    """Sends everything that this process prints, native libraries included, to a file for a while."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    saved = os.dup(1), os.dup(2)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.enable(2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, handle in zip((1, 2), saved, strict=True):
            os.dup2(handle, number)
            os.close(handle)


if __name__ == "__main__":
    main()
