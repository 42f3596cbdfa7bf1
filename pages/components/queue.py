"""The one queue that all sessions of this app share."""

from __future__ import annotations

import threading

from optimizers.engine.queue import JobQueue
from optimizers.settings import Settings

_lock = threading.Lock()
_opened: JobQueue | None = None


def job_queue() -> JobQueue:
    """The queue, opened on first use. A process with TensorFlow warms up behind the first page."""
    global _opened
    with _lock:
        if _opened is None:
            _opened = JobQueue(Settings(), visited=True)
        return _opened


def opened_queue() -> JobQueue | None:
    """The queue where it is open already."""
    return _opened
