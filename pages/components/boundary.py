"""The error boundary: a page shows sentences, never a traceback."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import streamlit as st

from optimizers.errors import ParetoscopeError

_log = logging.getLogger("paretoscope.pages")
P = ParamSpec("P")


@contextmanager
def page_boundary() -> Iterator[None]:
    """Shows errors of what runs inside: our own in their words, all others as one sentence, with details in the log."""
    try:
        yield
    except ParetoscopeError as error:
        st.error(error.message, icon=":material/error:")
    except Exception as problem:
        _log.exception("A page failed")
        st.error(
            f"This part of the page could not be shown ({type(problem).__name__}). Reload the page to try again; "
            "the details are in the app's log.",
            icon=":material/error:",
        )


def guarded(function: Callable[P, None]) -> Callable[P, None]:
    """The function inside a boundary of its own; for fragments, which also run without their page."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> None:
        with page_boundary():
            function(*args, **kwargs)

    return inside
