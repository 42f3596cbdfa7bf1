"""Tasks that misbehave in the ways real ones do."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from optimizers.engine.store import open_store
from optimizers.errors import NotApplicable, ParetoscopeError
from optimizers.settings import Settings


def echo(report: Any, *, value: Any) -> Any:
    report.emit("progress", step=1, of=1, metrics={"loss": 0.5})
    return {"value": value, "pid": os.getpid()}


def start_another(report: Any) -> list[int]:
    """Numbers of this process and of one that it has started and that does not end by itself."""
    return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]


def refuse(report: Any) -> None:
    raise NotApplicable("This model has no layer to prune.")


def fault(report: Any) -> None:
    raise ZeroDivisionError("division by\nzero")


def segfault(report: Any) -> None:
    ctypes.string_at(0)


def leave(report: Any) -> None:
    os._exit(3)


def die(report: Any, *, number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def sleep(report: Any, *, seconds: float, mark: str = "") -> None:
    if mark:
        Path(mark).touch()
    time.sleep(seconds)


def meet(report: Any, *, mark: str, others: list[str]) -> int:
    """Number of this process, once all the others have come."""
    Path(mark).touch()
    while not all(Path(other).exists() for other in others):
        time.sleep(0.02)
    return os.getpid()


def eat(report: Any, *, mib: int) -> None:
    held = bytearray(mib * 2**20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    time.sleep(30)


def environment(report: Any) -> dict[str, str]:
    return dict(os.environ)


def say(report: Any, *, text: str) -> None:
    print(text)
    os.write(2, b"native noise\n")


def appended(report: Any, *, path: str, text: str, seconds: float) -> None:
    """Writes when it starts and when it ends, to show what overlaps."""
    with Path(path).open("a") as stream:
        stream.write(f"+{text}")
    time.sleep(seconds)
    with Path(path).open("a") as stream:
        stream.write(f"-{text}")


def appended_in_pieces(report: Any, *, path: str, text: str, seconds: float, pieces: int) -> None:
    """As `appended`, and tells after each piece how far it is."""
    for piece in range(pieces):
        appended(report, path=path, text=text, seconds=seconds / pieces)
        report.emit("progress", step=piece + 1, of=pieces, metrics={})


def allocate(report: Any, *, mib: int) -> int:
    return len(bytearray(mib * 2**20))


def compute(report: Any) -> None:
    while True:
        pass


def write(report: Any, *, mib: int) -> int:
    with tempfile.TemporaryFile() as stream:
        return sum(stream.write(bytes(2**20)) for _ in range(mib))


def leave_behind(report: Any) -> str:
    handle, path = tempfile.mkstemp(suffix=".py")
    os.close(handle)
    return path


def families(report: Any) -> dict[str, str]:
    """What opening a socket of each family gives."""
    found = {}
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        try:
            socket.socket(family).close()
            found[family.name] = "opened"
        except OSError as error:
            found[family.name] = type(error).__name__
    return found


def lost(report: Any, *, path: str) -> None:
    Path(path).read_bytes()


def stored(report: Any, *, key: str, content: str) -> dict[str, Any]:
    """What is known under a key; where nothing is, it is stored."""
    store = open_store(Settings())
    known = store.get(key)
    if known is not None:
        return {"known": True, "content": store.path(known).read_text()}
    with store.draft() as out:
        (out / "content").write_text(content)
        store.commit(out, key, "summary", "content", {})
    return {"known": False}


def publish_a_link(report: Any, *, key: str) -> str:
    """Tries to have a file published that is not in the draft; tells what that gives."""
    store = open_store(Settings())
    with store.draft() as out:
        (out / "content").symlink_to("/etc/hostname")
        try:
            store.commit(out, key, "summary", "content", {})
        except ParetoscopeError as error:
            return type(error).__name__
    return "published"


def slow_echo(report: Any, *, mark: str, seconds: float, value: Any) -> Any:
    """Marks its start and its end in a file that outlives the process."""
    with Path(mark).open("a") as stream:
        stream.write("+")
    time.sleep(seconds)
    with Path(mark).open("a") as stream:
        stream.write("-")
    return {"value": value}


def kill_owner(report: Any) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
