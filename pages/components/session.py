"""Who is looking: a user who has signed in, else a browser with a secret token in a cookie. A restart loses nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import streamlit as st

from optimizers import quotas, sessions
from optimizers.engine.queue import JobQueue
from optimizers.grid import trials
from optimizers.recipe import Recipe
from optimizers.records import SHARED, Run, RunState
from pages.components import login

_STATE = "session_token"
LOOKED_AT = "runs_looked_at"
"""Where a visit keeps which runs are compared, so that all pages show the same ones."""
_MOST = 200
"""Runs that pages look at without being asked for more."""


def token() -> str:
    """The user who has signed in, else the token from this browser's cookie, or one for this visit where none came."""
    user = login.identity()
    if user is not None:
        return user
    if _STATE not in st.session_state:
        cookie = st.context.cookies.get(sessions.COOKIE)
        st.session_state[_STATE] = cookie if sessions.is_token(cookie) else sessions.new_token()
    return str(st.session_state[_STATE])


def scope() -> str:
    """Scope of this visitor's uploads and of the runs on them."""
    return sessions.scope_of(token())


def sees_examples(run: Run) -> bool:
    """Whether this visitor may look at single examples of a run's data: of public data, or of their own."""
    return run.dataset.scope in (SHARED, scope())


def submit(
    queue: JobQueue,
    model: str,
    data: str,
    recipes: Sequence[Recipe],
    *,
    seed: int | Sequence[int] = 0,
    asked: bool = True,
) -> list[Run]:
    """Queues runs for this visitor, as far as their quota goes. Raises what `JobQueue.submit` and `quotas.check` do.

    They are listed as this visitor's and looked at next, unless nobody ``asked`` for them: then they are listed only
    where they are on the visitor's own uploads.
    """
    count = len(recipes if isinstance(seed, int) else trials(recipes, seed))
    with sessions.in_turn(scope()):
        started = sessions.remembered(token(), queue.settings)
        if asked:
            quotas.check(queue.history, queue.store, queue.settings, scope(), started, count)
        else:
            quotas.check_runs(queue.history, queue.settings, scope(), started, count)
        runs = queue.submit(model, data, recipes, seed=seed)
        if asked:
            remember(queue, runs)
    if asked:
        st.session_state.pop(LOOKED_AT, None)
    return runs


def remember(queue: JobQueue, runs: Iterable[Run]) -> None:
    """Notes that this browser asked for these runs."""
    sessions.remember(token(), [run.id for run in runs], queue.settings)


def my_runs(
    queue: JobQueue, *, text: str = "", states: Sequence[RunState] | None = None, limit: int | None = _MOST
) -> list[Run]:
    """Runs on this browser's uploads, and sample runs that it started itself; newest first, found as `History.runs`."""
    started = sessions.remembered(token(), queue.settings)
    return queue.history.runs(scopes=[scope()], also=started, text=text, states=states, limit=limit)


def my_counts(queue: JobQueue, text: str = "") -> Counter[RunState]:
    """How many of these runs are in each state."""
    return queue.history.counts(scopes=[scope()], also=sessions.remembered(token(), queue.settings), text=text)
