"""What the address bar says: model and data, and the runs looked at. Anything else in it is refused or left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import streamlit as st

from optimizers import uploads
from optimizers.datasets import drawn, keras_sets, preparation
from optimizers.engine import origins
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError, UnknownName, UserError
from optimizers.recipe import Recipe
from optimizers.records import SHARED
from pages.components import login, session
from pages.components.text import escaped

_RUN_ID = re.compile(r"[A-Za-z0-9]{1,40}")
_MOST_RUNS = 500
_CHOICE = "choice"
CHOSEN = "chosen_file"
"""Where a session keeps which file of a comparison is looked at."""
FILE, BESIDE, WHAT, AGAINST = "file", "beside", "what", "against"
"""Query parameters of the file and the analysis that are looked at, of files beside it, and what it is held against."""


class Choice(NamedTuple):
    """A model and the data that goes with it, as URIs."""

    model: str
    data: str


def choice(queue: JobQueue) -> Choice | None:
    """Model and data from the URL, else those this session looked at last; None when nothing was chosen.

    Raises:
        UserError: The URL names something that a browser may not ask for.
    """
    named = Choice(st.query_params.get("model", ""), st.query_params.get("data", ""))
    if not any(named):
        known: Choice | None = st.session_state.get(_CHOICE)
        if known is not None:
            st.query_params.update(known._asdict())
        return known
    allow(named.model, "model", queue)
    named = Choice(named.model, named.data or _data_of_sample(named.model))
    allow(named.data, "data", queue)
    choose(named)
    return named


def choice_or_told(queue: JobQueue) -> Choice | None:
    """As `choice`; what is wrong with it is told on the page and forgotten, as if nothing had been chosen."""
    try:
        return choice(queue)
    except ParetoscopeError as error:
        st.error(escaped(error.message), icon=":material/block:")
        forget_choice()
        return None


def choose(chosen: Choice) -> None:
    """Puts a choice into the URL and keeps it for the other pages."""
    st.session_state[_CHOICE] = chosen
    st.query_params.update(chosen._asdict())


def forget_choice() -> None:
    """Nothing is chosen any more."""
    st.session_state.pop(_CHOICE, None)
    for name in Choice._fields:
        st.query_params.pop(name, None)


def allow(uri: str, kind: str, queue: JobQueue) -> None:
    """Raises `UserError` unless the URI is a sample, a published data set or one of this browser's own uploads.

    Paths are never accepted.
    """
    prefix, _, rest = (preparation.split(uri)[0] if kind == "data" else uri).partition(":")
    noun = "model" if kind == "model" else "data set"
    if prefix == uploads.PREFIX:
        upload = uploads.find(rest, "model" if kind == "model" else "data", queue.settings)[1]
        if upload.scope != session.scope():
            where = "by another user" if login.required() else "in another browser"
            raise UnknownName(f"This file was uploaded {where}; upload it here to work with it.")
    elif prefix == drawn.PREFIX and kind == "data":
        if rest:  # without it, the page that shows the model finds out what suits it
            drawn.parse(rest)
    elif prefix == keras_sets.PREFIX and kind == "data":
        if origins.resolve_dataset(uri).scope != SHARED:
            raise UserError(
                f"In place of the published {uri} other files lie on this server; use the command line to work with "
                "them, or remove them, and the published ones are downloaded."
            )
    elif prefix == "sample" and rest:
        (origins.resolve_model if kind == "model" else origins.resolve_dataset)(uri)  # tells what there is
    else:
        raise UserError(f"The address names no {noun} that can be opened here; choose a sample or upload a file.")


def allow_models(recipe: Recipe, queue: JobQueue) -> None:
    """Raises `UserError` unless all models that a recipe names are samples or this browser's own uploads."""
    for uri in recipe.models():
        allow(uri, "model", queue)


def run_ids() -> list[str]:
    """Run ids from the URL, without repetitions; what cannot be an id is left out."""
    ids = st.query_params.get("runs", "").split(",")
    return list(dict.fromkeys(i for i in ids if _RUN_ID.fullmatch(i)))[:_MOST_RUNS]


def runs_query(ids: Iterable[str]) -> dict[str, str]:
    """Query parameters that show these runs."""
    return {"runs": ",".join(ids)}


def address(page: str, ids: Iterable[str]) -> str:
    """Full link to a page that shows these runs, and to the same picture of them where one is looked at.

    It is a relative one where the app's own address is unknown.
    """
    here = urlsplit(st.context.url or "")
    root = f"{here.scheme}://{here.netloc}{here.path.removesuffix('/').rpartition('/')[0]}" if here.netloc else ""
    known: list[tuple[str, str | None]] = []
    if page == "inspect":
        known = [(FILE, st.session_state.get(CHOSEN)), (WHAT, st.session_state.get(WHAT)),
                 (AGAINST, st.query_params.get(AGAINST))]  # fmt: skip
    elif page == "deploy":
        known = [(FILE, st.session_state.get(CHOSEN) or st.query_params.get(FILE))]
    elif page in ("compare", "race"):  # axes, limits, what is looked at: all of it is in the address
        names = [name for name in st.query_params if name != "runs"]
        known = [(name, value) for name in names for value in st.query_params.get_all(name)]
    more = "".join(f"&{name}={quote(value, safe=':,')}" for name, value in known if value)
    return f"{root}/{page}?runs={','.join(ids)}{more}"


def inspected(ids: Iterable[str], file: str) -> str:
    """Link from any page to the page Inspect with one file of a comparison."""
    return f"inspect?runs={','.join(ids)}&{FILE}={quote(file, safe=':')}"


def _data_of_sample(uri: str) -> str:
    from optimizers.models import sample

    entry = sample.manifest().get(uri.removeprefix("sample:"))
    return entry.dataset if entry else ""
