"""Counts the seconds of measuring, and not those for which others are let go first."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import ParamSpec

P = ParamSpec("P")


class Stopwatch:
    """Runs from the beginning, except while something is being told: whoever is told may have the measuring wait."""

    def __init__(self) -> None:
        self._started, self._paused = monotonic(), 0.0

    def seconds(self) -> float:
        """How long it has been running."""
        return monotonic() - self._started - self._paused

    def stopped(self, told: Callable[P, None]) -> Callable[P, None]:
        """The function, for whose time the watch stands still."""

        def telling(*args: P.args, **kwargs: P.kwargs) -> None:
            before = monotonic()
            try:
                told(*args, **kwargs)
            finally:
                self._paused += monotonic() - before

        return telling
