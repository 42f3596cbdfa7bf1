"""What a page has found out, kept for the visitor's next click until something is written to the history."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from optimizers.engine.queue import JobQueue

Found = TypeVar("Found")
SECONDS = 10.0
"""Longest time that what another process writes meanwhile is not seen."""
_MOST = 64
_KEY = "remembered"


@dataclass
class _Kept:
    changes: int
    since: float
    found: dict[Hashable, Any] = field(default_factory=dict)


def once(queue: JobQueue, key: Hashable, make: Callable[[], Found]) -> Found:
    """What ``make`` gives, made again only when the history has changed or some seconds have gone by.

    It is handed out again as it is, so nobody may change it.
    """
    kept, changes = st.session_state.get(_KEY), queue.history.changes
    stale = kept is None or kept.changes != changes or time.monotonic() - kept.since > SECONDS
    if stale or len(kept.found) >= _MOST:
        kept = st.session_state[_KEY] = _Kept(changes, time.monotonic())
    if key not in kept.found:
        kept.found[key] = make()
    found: Found = kept.found[key]
    return found
