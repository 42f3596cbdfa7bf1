"""A PostgreSQL server for tests, where its programs are installed (Debian: apt-get install postgresql)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.processes import end_with_parent


def programs() -> Path | None:
    """The folder of initdb and postgres, or None where there is none."""
    found = shutil.which("initdb")
    known = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in known if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


class Server:
    """A server in a folder of its own, reached through a socket in it. It can be killed and started again."""

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        self._bin, self.folder = bin_folder, folder
        # The server refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")
        self._data = folder / "data"
        initdb = [bin_folder / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **self._as)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        options = ["-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *options],
                cwd=self.folder, stdout=log, stderr=log, preexec_fn=end_with_parent, **self._as,
            )  # fmt: skip
        engine = sa.create_engine(self.url("postgres"))
        for _ in range(300):
            try:
                engine.connect().close()
                break
            except sa.exc.OperationalError:
                time.sleep(0.1)
        engine.dispose()

    def stop(self, how: int = signal.SIGINT) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        name = f"d{time.monotonic_ns()}"
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)


@contextmanager
def postgres() -> Iterator[Server]:
    """A server; the test is skipped where PostgreSQL is not installed."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed here (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="paretoscope-pg-", dir="/tmp"))
    try:
        server = Server(found, folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
