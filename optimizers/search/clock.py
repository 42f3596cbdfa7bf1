"""The time that a search spends."""

from __future__ import annotations

import time
from collections.abc import Callable

from optimizers.history.searches import Searches
from optimizers.search.records import Study

_KEPT_EVERY = 2.0
_ASKED_EVERY = 0.25


class Clock:
    """Counts what a search spends, and keeps it in the history now and then.

    Args:
        searches: Of the history.
        study: As it is when its work begins.
        closing: Whether the app ends.
    """

    def __init__(self, searches: Searches, study: Study, closing: Callable[[], bool]) -> None:
        self._searches, self._id, self._closing = searches, study.id, closing
        self._spent, self._last = study.spent, time.monotonic()
        self._kept = self._asked = self._last
        self._end = self._last + study.seconds - study.spent

    @property
    def left(self) -> float:
        """Seconds; 0 or less where the time is over."""
        return self._end - time.monotonic()

    def tick(self, study: Study, counts: bool) -> None:
        """Adds the time since the last call, if it counts; the search may have been given more meanwhile."""
        moment = time.monotonic()
        self._spent += moment - self._last if counts else 0.0
        self._last, self._end = moment, moment + study.seconds - self._spent
        if moment - self._kept > _KEPT_EVERY:
            self.keep()
            self._kept = moment

    def keep(self) -> None:
        """Puts the time spent into the history."""
        self._searches.update(self._id, spent=self._spent)

    def halted(self) -> bool:
        """Whether looking ahead has to end: the time is over, somebody stopped the search, or the app closes."""
        moment = time.monotonic()
        if moment - self._asked > _ASKED_EVERY:
            self._asked = moment
            if self._searches.study(self._id).state != "running":
                self._end = moment
        return self._closing() or moment >= self._end
