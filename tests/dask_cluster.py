"""A Dask cluster of processes on loopback, whose parts can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.processes import end_with_parent

ROOT = Path(__file__).parents[1]


class Cluster:
    """A scheduler and as many workers as are added.

    Args:
        folder: For logs and Dask's own scratch files.
        environment: Settings of all workers, beside this process' environment.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        quiet = {"DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "60s", "PYTHONPATH": str(ROOT)}
        self._environment = {**os.environ, **quiet, **environment}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Starts the scheduler, again if need be, at the same address; returns when it listens."""
        options = ["--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard", "--no-show"]
        self.scheduler = self._start("scheduler", ["distributed.cli.dask_scheduler", *options])
        for _ in range(600):
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self.scheduler
            time.sleep(0.1)
        raise AssertionError("the scheduler does not listen; see its log")

    def add_worker(
        self, threads: int = 1, resources: str = "", nanny: bool = False, **environment: str
    ) -> subprocess.Popen[bytes]:
        options = ["--nthreads", str(threads), "--no-dashboard", "--host", "127.0.0.1"]
        options += ["--resources", resources] if resources else []
        options += [] if nanny else ["--no-nanny"]
        options += ["--local-directory", str(self._folder), "--memory-limit", "0"]
        worker = self._start("worker", ["distributed.cli.dask_worker", self.address, *options], environment)
        self.workers.append(worker)
        return worker

    def wait_for(self, count: int) -> None:
        """Returns when so many workers are there."""
        from distributed import Client

        with Client(self.address, set_as_default=False, timeout=30) as client:
            client.wait_for_workers(count, timeout=120)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            kill(process)

    def _start(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                env={**self._environment, **(environment or {})},
                cwd=ROOT,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9, also for what a nanny would leave behind."""
    if process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        for child in below:
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                if "dask" in " ".join(child.cmdline()):
                    child.kill()
    process.wait()
