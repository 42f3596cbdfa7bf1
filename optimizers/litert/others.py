"""How many of the machine's cores others kept busy while something was timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import psutil

_NOT_COUNTED = ("idle", "iowait", "guest", "guest_nice")
"""Times of guests are among the others already."""


class Others:
    """Adds up what all processors did in some stretches of time, less what one process and its children did.

    Processors of all who share the machine are counted where the system tells of them, as in containers on Linux, and
    time that a hypervisor gave to other machines counts as theirs.

    Args:
        process: Id of the process that times; its children count once it has waited for them.
    """

    def __init__(self, process: int) -> None:
        self._process = psutil.Process(process)
        self._busy = self._seconds = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A stretch that counts."""
        started, every, own = monotonic(), _all_busy(), _busy(self._process)
        try:
            yield
        finally:
            self._seconds += monotonic() - started
            self._busy += _all_busy() - every - (_busy(self._process) - own)

    @property
    def cores(self) -> float | None:
        """On average, at least 0; None where nothing was watched."""
        return max(0.0, self._busy / self._seconds) if self._seconds else None


def _all_busy() -> float:
    """Seconds that all processors have worked so far."""
    told = psutil.cpu_times()._asdict()
    return float(sum(seconds for name, seconds in told.items() if name not in _NOT_COUNTED))


def _busy(process: psutil.Process) -> float:
    """Seconds of a process and of its children that have ended, and were waited for."""
    try:
        told = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(told.user + told.system + getattr(told, "children_user", 0.0) + getattr(told, "children_system", 0.0))
