"""The two ways into the app for a stranger's file: straight to the readers, and as an upload through the queue."""

from __future__ import annotations

import io
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import psutil

from optimizers import uploads
from optimizers.engine.confinement import too_much_memory
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError, UserError
from optimizers.settings import Settings
from tests.hostile.files import HostileFile, faults_of_sentence


@dataclass(frozen=True)
class Answer:
    """What came of a file.

    Attributes:
        problem: What was raised; None when the file was read.
        seconds: Time until the answer.
        peak_mib: Most memory that the reading process held at a time, since it began with this file; 0 where unknown.
    """

    problem: BaseException | None = None
    seconds: float = 0.0
    peak_mib: float = 0.0

    def faults(self, file: HostileFile) -> list[str]:
        """What is wrong with this answer to that file, in words."""
        if self.problem is None:
            return [] if file.harmless else [f"{file.name}: was read"]
        if not isinstance(self.problem, UserError):
            return [f"{file.name}: {type(self.problem).__name__}: {str(self.problem)[:300]}"]
        found = [f"the message {what}: {self.problem.message!r}" for what in faults_of_sentence(self.problem.message)]
        if file.codes and self.problem.code not in file.codes:
            found.append(f"the code is {self.problem.code}: {self.problem.message!r}")
        return [f"{file.name}: {what}" for what in found]


def read(path: Path, kind: Literal["model", "data"]) -> None:
    """Everything that a worker does to describe a file, but for trying out a LiteRT file in a process of its own."""
    from optimizers.datasets.files import load_file
    from optimizers.litert.file import describe, is_litert
    from optimizers.tf.summary import summarize

    if kind == "data":
        load_file(path, name="data.npz")
    elif is_litert(path):
        with patch("optimizers.litert.file.loads", return_value=""):
            describe(path, "model.tflite")
    else:
        summarize(path, "model.keras")


def ask_reader(file: HostileFile, folder: Path) -> Answer:
    """Reads a file in this process, as a worker would."""
    path = folder / "content"
    path.write_bytes(file.content)
    started = time.monotonic()
    try:
        read(path, file.kind)
    except Exception as problem:
        if isinstance(problem, MemoryError) or type(problem).__name__ == "ResourceExhaustedError":
            problem = too_much_memory(Settings())  # as a worker tells it
        return Answer(problem, time.monotonic() - started)
    return Answer(None, time.monotonic() - started)


class FrontDoor:
    """Uploads files as a visitor does, and lets the queue's worker processes read them.

    Attributes:
        deaths: Names of files during which a worker process ended.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self.deaths: list[str] = []

    def ask(self, file: HostileFile) -> Answer:
        """Uploads a file and asks what it is. Every file comes from another visitor."""
        before = _workers()
        for process in before:
            _forget_peak(process)
        started = time.monotonic()
        problem: ParetoscopeError | None = None
        try:
            visitor = secrets.token_hex(8)
            uri = uploads.keep(io.BytesIO(file.content), file.name, file.kind, visitor, self._queue.settings)
            driver = self._queue.driver
            driver.inspect_model(uri) if file.kind == "model" else driver.inspect_dataset(uri)
        except ParetoscopeError as error:
            problem = error
        seconds = time.monotonic() - started
        ended = any(not process.is_running() or process.status() == psutil.STATUS_ZOMBIE for process in before)
        if ended and problem is not None:  # after many files that were read, a process is replaced on purpose
            self.deaths.append(file.name)
        return Answer(problem, seconds, max(map(_peak_mib, _workers()), default=0.0))


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "optimizers.engine.child" in child.cmdline()]


def _forget_peak(process: psutil.Process) -> None:
    """Lets the kernel count the peak anew. Source: ``man 5 proc``, ``clear_refs``."""
    path = Path(f"/proc/{process.pid}/clear_refs")
    if path.exists():
        path.write_text("5")


def _peak_mib(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
