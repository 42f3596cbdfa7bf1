"""Tasks that misbehave in the ways real ones do."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any

from optimizers.errors import NotApplicable


def echo(report: Any, *, value: Any) -> Any:
    report.emit("progress", step=1, of=1, metrics={"loss": 0.5})
    return {"value": value, "pid": os.getpid()}


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
