"""Which files of a comparison are looked at: one, and up to three beside it. Chart, table and lists all change this."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from optimizers.figures.names import names
from optimizers.figures.tradeoff import identities
from pages.components.links import BESIDE, CHOSEN, FILE

MOST = 4
_BESIDE = "files_beside"
_PAGE = "page_of_files"
_KEPT = "file_looked_at"
"""Where a visit keeps the file that is looked at: a list's own value is gone as soon as its page is left."""


def settle(frame: pd.DataFrame) -> None:
    """Makes sure that what is looked at is compared here; at first what the address names, or a variant."""
    ids = identities(frame)
    asked, page = st.query_params.get(FILE, ""), st.context.url
    entered = st.session_state.get(_PAGE) != page
    here, kept = st.session_state.get(CHOSEN), st.session_state.get(_KEPT)
    variants = [i for i, base in zip(ids, frame["is_baseline"], strict=True) if not base]
    order = (asked, kept, here) if entered else (here, asked, kept)
    chosen = next((one for one in order if one in ids), (variants or ids)[0])
    if (entered and asked in ids) or kept not in ids:
        st.session_state[_BESIDE] = st.query_params.get(BESIDE, "").split(",")
    # Told anew every time: what another page's list of the same key says is not what this one begins with.
    st.session_state[CHOSEN] = st.session_state[_KEPT] = chosen
    st.session_state[_PAGE] = page
    first = st.session_state[CHOSEN]
    beside = [i for i in dict.fromkeys(st.session_state.get(_BESIDE, ())) if i in ids and i != first]
    st.session_state[_BESIDE] = beside[: MOST - 1]


def looked_at() -> list[str]:
    """Identities of the files that are looked at, the main one first."""
    return [st.session_state[CHOSEN], *st.session_state.get(_BESIDE, ())]


def look_at(ids: Sequence[str]) -> None:
    """Looks at these files, in a callback; those looked at before keep their place, and of too many the latest stay."""
    before = [i for i in looked_at() if i in ids]
    first, *rest = [*before, *(i for i in ids if i not in before)]
    st.session_state[CHOSEN] = first
    st.session_state[_BESIDE] = rest[-(MOST - 1) :]
    remember()


def look_first_at(one: str) -> None:
    """Looks at this file, in a callback; those beside it stay there."""
    st.session_state[CHOSEN] = one
    remember()


def remember() -> None:
    """Puts what is looked at into the address."""
    first, *rest = looked_at()
    st.query_params[FILE] = first
    if rest:
        st.query_params[BESIDE] = ",".join(rest)
    else:
        st.query_params.pop(BESIDE, None)


def choice(frame: pd.DataFrame) -> None:
    """The lists: the file that is looked at, and those beside it."""
    ids = identities(frame)
    called = dict(zip(ids, names(frame, full=True), strict=True))
    st.selectbox("Variant", ids, key=CHOSEN, format_func=called.__getitem__, on_change=remember)
    others = [i for i in ids if i != st.session_state[CHOSEN]]
    if others:
        st.multiselect(
            "Side by side with", others, key=_BESIDE, format_func=called.__getitem__, max_selections=MOST - 1,
            placeholder="Up to three others", on_change=remember,
        )  # fmt: skip
