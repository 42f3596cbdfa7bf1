"""What takes a page longer than a moment is awaited by a small part of it; the page itself stands meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

import streamlit as st

from optimizers.engine.queue import JobQueue
from pages.components.boundary import guarded

Found = TypeVar("Found")
PATIENCE = 0.4
"""Seconds for which a page waits itself: what takes no longer does not flicker."""
_SECONDS = 0.5
_TOLD = "told_before"


def soon(queue: JobQueue, key: Hashable, work: Callable[[], Found], words: str, *, keep: bool = False) -> Found | None:
    """What the work gives, or None while it is under way: then the words stand here, and the page comes again after it.

    Args:
        queue: Knows what is under way, whoever asked for it.
        key: Names the work.
        work: Runs in another thread, so it must not draw or ask for the visitor. It does not return None.
        words: What is being done, as a sentence.
        keep: Whether the answer stays in memory for those who ask again, because the engine does not remember it.

    Raises:
        ParetoscopeError: What the work raises. It is tried anew with the next visit.
    """
    told: set[Hashable] = st.session_state.setdefault(_TOLD, set())
    if key in told and not keep:  # the engine knows it; without the page's other parts their widgets would be reset
        with st.spinner(words):
            return work()
    place = st.empty()
    with place, st.spinner(words):
        found = queue.readings.ask(key, work, PATIENCE)
    if found is None:
        with place:
            st.fragment(_waiting, run_every=_SECONDS)(queue, key, words)
        return None
    told.add(key)
    if not keep:
        queue.readings.forget(key)
    place.empty()
    return found


@guarded
def _waiting(queue: JobQueue, key: Hashable, words: str) -> None:
    if queue.readings.knows(key):
        st.rerun(scope="app")
    st.caption(f":material/progress_activity: {words}")
