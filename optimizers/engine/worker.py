"""The owner's side of a worker process: start it, give it tasks, follow its events, end it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from optimizers import errors
from optimizers.engine.answering import answers_of
from optimizers.engine.confinement import too_much_memory
from optimizers.engine.lanes import Lane
from optimizers.engine.store import forget_drafts
from optimizers.settings import Settings

Pool = Literal["tensorflow", "light", "reader"]
"""With TensorFlow; without it, for measuring; without it and without network, for data of strangers."""

OnEvent = Callable[[dict[str, Any]], None]

_ROOT = Path(__file__).resolve().parents[2]
_PASSED_ON = ("PATH", "HOME", "KERAS_HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TZ")
_TICK = 0.1
_START_UP_BYTES = 1 << 30
"""What importing TensorFlow may add to the memory of a process that has just started."""
_DYING_SECONDS = 1.0
"""For which a process that was killed is waited for."""
_INTERACTIVE_MINUTES = 5.0
"""Longest time that somebody waits for a page to read a file."""


@dataclass(frozen=True)
class Task:
    """Work for a worker process: a function, as ``module:name``, and its JSON parameters."""

    function: str
    params: dict[str, Any]
    pool: Pool
    lane: Lane
    log: str
    reading: bool = False
    """A stranger's file is read for the first time: stricter limits."""
    here: bool = False
    """It names files of this machine that are nowhere else, so it runs here even where there is a cluster."""


class Worker:
    """One warm process. It is used by one thread at a time and thrown away after a crash or a cancel.

    Args:
        niceness: Already while it starts, which with TensorFlow takes seconds of a processor.
    """

    def __init__(self, pool: Pool, settings: Settings, niceness: int = 0) -> None:
        self.pool = pool
        self.tasks_done = 0
        self.niceness = niceness
        """From its next task on, see `optimizers.engine.confinement.come_after_pages`; it never becomes less."""
        self._settings = settings
        self._answers = answers_of(settings)
        self._buffer = b""
        self._started_with = 0
        self._killed = False
        self._scratch = tempfile.mkdtemp(prefix="paretoscope-")
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self._events, writing = os.pipe()
        command = [sys.executable, "-m", "optimizers.engine.child", str(writing), pool, str(niceness)]
        self._process = subprocess.Popen(
            [*command, *(["asks"] if self._answers else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writing,),
            env=_environment(settings) | {"TMPDIR": self._scratch},
            cwd=_ROOT,
            start_new_session=True,
        )
        os.close(writing)

    @property
    def alive(self) -> bool:
        return not self._killed and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def resident_bytes(self) -> int:
        """Memory that the process holds now; 0 when it is gone."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def run(self, task: Task, on_event: OnEvent, cancelled: Callable[[], bool]) -> Any:
        """The task's result.

        Raises:
            Cancelled: ``cancelled`` became true; the process has been killed.
            WorkerDied: The process crashed, took too long or too much memory.
            ReadingStopped: The same, where the task was to read a stranger's file.
            ParetoscopeError: What the task itself raised.
        """
        self._tell(asdict(task) | {"niceness": self.niceness}, task)
        started, self._started_with = time.monotonic(), self.resident_bytes()
        while True:
            for event in self._read(task):
                if event["type"] == "done":
                    self.tasks_done += 1
                    return event["result"]
                if event["type"] == "failed":
                    raise errors.from_dict(event["error"])
                if event["type"] == "ask":
                    assert self._answers is not None, "only those ask who were told to"
                    self._tell({"answer": self._answers.to(event)}, task)
                else:
                    on_event(event)
            if cancelled():
                self.kill()
                raise errors.Cancelled("The run was cancelled.")
            self._check_limits(started, task)

    def kill(self) -> None:
        """Ends the process and everything it started, at once."""
        if self._killed:
            return
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._killed = True
        try:
            self._process.wait(_DYING_SECONDS)
        except subprocess.TimeoutExpired:  # giving its memory back takes a process that comes after all others long
            with contextlib.suppress(RuntimeError):  # while Python itself ends
                threading.Thread(target=self._process.wait, name="dying").start()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._events >= 0:
            os.close(self._events)
            self._events = -1
        shutil.rmtree(self._scratch, ignore_errors=True)
        forget_drafts(self._settings, self.pid)

    def _tell(self, what: dict[str, Any], task: Task) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._death(task) from None

    def _read(self, task: Task) -> list[dict[str, Any]]:
        """Events that arrived within a tick; raises when the process is gone."""
        ready, _, _ = select.select([self._events], [], [], _TICK)
        if not ready:
            return []
        block = os.read(self._events, 1 << 16)
        if not block:
            raise self._death(task)
        *lines, self._buffer = (self._buffer + block).split(b"\n")
        return [json.loads(line) for line in lines]

    def _check_limits(self, started: float, task: Task) -> None:
        minutes, most = self._settings.task_minutes, self._settings.memory_mib
        way_out = " (PARETOSCOPE_TASK_MINUTES raises the limit)"
        if task.lane == "interactive" and minutes > _INTERACTIVE_MINUTES:
            minutes, way_out = _INTERACTIVE_MINUTES, ""
        held = self.resident_bytes()
        if task.reading and held > self._started_with + (self._settings.reading_mib << 20) + _START_UP_BYTES:
            self.kill()
            raise too_much_memory(self._settings)
        if time.monotonic() - started > minutes * 60:
            self.kill()
            raise errors.WorkerDied(
                f"The step was stopped because it took longer than {minutes:g} minutes{way_out}.", code="time"
            )
        if held > most * 2**20:
            self.kill()
            raise errors.WorkerDied(
                f"The step was stopped because it needed more than {most} MiB of memory "
                "(PARETOSCOPE_MEMORY_MIB raises the limit).",
                code="memory",
            )

    def _death(self, task: Task) -> errors.WorkerDied | errors.ReadingStopped:
        code = self._process.wait()
        if task.reading:
            return self._reading_death(-code)
        what = "TensorFlow's process" if self.pool == "tensorflow" else "The measuring process"
        if code < 0:
            name = signal.Signals(-code).name
            reason = {
                "SIGSEGV": "crashed (segmentation fault)",
                "SIGABRT": "gave up (abort)",
                "SIGKILL": "was killed from outside, perhaps for want of memory (SIGKILL)",
                "SIGBUS": "crashed (bus error)",
                "SIGFPE": "crashed (arithmetic error)",
            }.get(name, f"was ended by {name}")
            return errors.WorkerDied(
                f"{what} {reason} during this step; other runs are not affected.", code=name.lower()
            )
        return errors.WorkerDied(f"{what} ended with status {code} during this step; see the log.", code="exit")

    def _reading_death(self, number: int) -> errors.ReadingStopped:
        seconds = self._settings.reading_seconds
        if number == signal.SIGXCPU:
            return errors.ReadingStopped(
                f"This file was not read because that takes more than {seconds:g} seconds of computing time "
                "(PARETOSCOPE_READING_SECONDS raises the limit); use a smaller model or fewer examples.",
                code="time",
            )
        return errors.ReadingStopped(
            "This file could not be read: the process reading it crashed, perhaps because the file is damaged or needs "
            f"more than {self._settings.reading_mib} MiB of memory; save it again, smaller if you can.",
            code="crash",
        )


def _environment(settings: Settings) -> dict[str, str]:
    """What a worker may know of its surroundings: where things are, and no secrets."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {
        f"PARETOSCOPE_{name.upper()}": str(value)
        for name, value in settings.model_dump().items()
        if name in type(settings).model_fields and name not in settings.PRIVATE
    }
    fixed = {
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": "tensorflow",
    }
    return kept | own | fixed
