"""Locks between processes: latency is measured alone on its host, and nothing is computed twice at the same time.

The kernel gives a lock back when its holder dies, so ``kill -9`` leaves none behind.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Literal

from filelock import FileLock, Timeout

Lane = Literal["work", "alone", "interactive"]


@contextmanager
def lane(folder: Path, kind: Lane, on_wait: Callable[[], None] = lambda: None) -> Iterator[Callable[[], None]]:
    """Holds this host's lane, and yields what lets waiting people go first: to be called between pieces of the work.

    ``work`` shares it with other work, ``alone`` excludes everything else. Both pass a turnstile first, so that a
    stream of work cannot starve somebody who wants to be alone. ``interactive`` work is short and has a person waiting:
    it shares the lane without queueing at the turnstile, and who is alone interrupts their work for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mode = fcntl.LOCK_EX if kind == "alone" else fcntl.LOCK_SH
    with ExitStack() as stack:
        track = stack.enter_context((folder / "host-lane.lock").open("a"))
        people = stack.enter_context((folder / "host-people.lock").open("a"))
        if kind == "interactive":
            _flock(people, fcntl.LOCK_SH, on_wait)
            _flock(track, mode, on_wait)
        else:
            turnstile = stack.enter_context((folder / "host-turnstile.lock").open("a"))
            _flock(turnstile, fcntl.LOCK_EX, on_wait)
            _flock(track, mode, on_wait)
            if kind == "work":
                turnstile.close()
        yield (lambda: _give_way(track, people, on_wait)) if kind == "alone" else (lambda: None)


def _give_way(track: IO[str], people: IO[str], on_wait: Callable[[], None]) -> None:
    """Leaves the track, which is held alone, to the people that wait now, and takes it back after them."""
    try:
        fcntl.flock(people, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(track, fcntl.LOCK_UN)
        on_wait()
        fcntl.flock(people, fcntl.LOCK_EX)
        fcntl.flock(track, fcntl.LOCK_EX)
    fcntl.flock(people, fcntl.LOCK_UN)


def _flock(lock: IO[str], mode: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(lock, mode)


@contextmanager
def exclusive(folder: Path, name: str, check: Callable[[], None], on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds the lock of that name; while waiting, ``check`` is called many times a second and may raise."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock", thread_local=False)
    waiting = False
    while True:
        check()
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            if not waiting:
                on_wait()
            waiting = True
            time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()


def try_exclusive(folder: Path, name: str) -> FileLock | None:
    """The lock of that name, held, or None when somebody else holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
