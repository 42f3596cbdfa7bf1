"""Whether the app can do its work now: its store, its history, its disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizers.engine.queue import JobQueue

_NO_KEY = "0" * 64


@dataclass(frozen=True)
class Check:
    """One thing that was tried, and what is wrong with it in words."""

    name: str
    ok: bool
    detail: str = ""


def checks(queue: JobQueue) -> list[Check]:
    """What the app needs, each tried for real: a draft is written, the database is asked. Takes milliseconds."""
    tried = {"history": queue.history.ping, "store": lambda: _store(queue), "disk": lambda: _disk(queue)}
    found = [_tried(name, attempt) for name, attempt in tried.items()]
    if queue.closing:
        found.append(Check("accepting", False, "The app is shutting down."))
    return found


def _tried(name: str, attempt: Callable[[], None]) -> Check:
    try:
        attempt()
    except Exception as problem:
        return Check(name, False, f"{type(problem).__name__}: {problem}")
    return Check(name, True)


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
