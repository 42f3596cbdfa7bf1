"""Whether the app can do its work now: its store, its history, its disk."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizers.engine.queue import JobQueue

_NO_KEY = "0" * 64
_PATIENCE = 3.0
_lock = threading.Lock()
_underway: dict[str, Future[None]] = {}


@dataclass(frozen=True)
class Check:
    """One thing that was tried, and what is wrong with it in words."""

    name: str
    ok: bool
    detail: str = ""


def checks(queue: JobQueue) -> list[Check]:
    """What the app needs, each tried for real: a draft is written, the database is asked. Takes milliseconds.

    What does not answer within seconds counts as away, so that whoever asks gets an answer.
    """
    tried = {"history": queue.history.ping, "store": lambda: _store(queue), "disk": lambda: _disk(queue)}
    asked = {name: _asked(name, attempt) for name, attempt in tried.items()}
    deadline = time.monotonic() + _PATIENCE
    found = [_answered(name, future, deadline - time.monotonic()) for name, future in asked.items()]
    if queue.closing:
        found.append(Check("accepting", False, "The app is shutting down."))
    return found


def _asked(name: str, attempt: Callable[[], None]) -> Future[None]:
    """The attempt, under way in a thread of its own; the one before it, where that still has no answer."""
    with _lock:
        before = _underway.get(name)
        if before is not None and not before.done():
            return before
        future = _underway[name] = Future[None]()

    def ask() -> None:
        try:
            attempt()
        except Exception as problem:
            future.set_exception(problem)
        else:
            future.set_result(None)

    threading.Thread(target=ask, daemon=True, name=f"health-{name}").start()
    return future


def _answered(name: str, future: Future[None], seconds: float) -> Check:
    if not wait([future], max(0.0, seconds)).done:
        return Check(name, False, f"It has not answered for {_PATIENCE:g} seconds.")
    problem = future.exception()
    return Check(name, problem is None, f"{type(problem).__name__}: {problem}" if problem is not None else "")


def _store(queue: JobQueue) -> None:
    with queue.store.draft() as folder:
        (folder / "probe").write_bytes(b"probe")
    queue.store.get(_NO_KEY)


def _disk(queue: JobQueue) -> None:
    free, least = shutil.disk_usage(queue.settings.home).free, queue.settings.free_mib * 2**20
    if free < least:
        raise OSError(
            f"{free / 2**20:.0f} MiB are free below {queue.settings.home}, less than the {queue.settings.free_mib} MiB "
            "of PARETOSCOPE_FREE_MIB; delete old results or give it more room."
        )
