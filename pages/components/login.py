"""Signing in through an OpenID Connect provider, where the secrets have a section ``[auth]``; else nobody has to."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import streamlit as st

from optimizers import sessions

_PAGES = Path(__file__).parents[1]
_MOST_WANTED = 1000
_wanted: OrderedDict[str, tuple[str, dict[str, str]]] = OrderedDict()
"""Page and query string that a browser was at, by its cookie: a provider brings everybody back to the first page."""
_KEYS = ("client_id", "server_metadata_url")


def required() -> bool:
    """Whether this app has visitors sign in."""
    return "is_logged_in" in st.user


def identity() -> str | None:
    """Who has signed in, as provider and subject, which no other user can have; None where nobody has."""
    if not required() or not st.user["is_logged_in"]:
        return None
    subject = st.user.get("sub")
    return f"{st.user.get('iss') or st.user.get('provider') or ''}#{subject}" if subject else None


def name() -> str:
    """How the user is called on pages."""
    return str(next((st.user[key] for key in ("email", "preferred_username", "name", "sub") if st.user.get(key)), ""))


def providers() -> list[str]:
    """Names of the configured providers; an empty one stands for the only one, which has none."""
    auth = st.secrets.get("auth", {})
    named = [key for key, value in auth.items() if hasattr(value, "items") and any(key in value for key in _KEYS)]
    return ([""] if any(key in auth for key in _KEYS) else []) + named


def gate() -> None:
    """Lets nobody past who has to sign in and has not."""
    if not required():
        return
    if identity() is not None:
        _go_on()
        with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="account"):
            st.text(f"Signed in as {name()}", width="content")
            st.button("Sign out", icon=":material/logout:", type="tertiary", on_click=st.logout)
        return
    st.title("Paretoscope", anchor=False)
    st.markdown("Sign in to optimize models. What you upload and what you run belongs to your account.")
    for provider in providers():
        label = f"Sign in with {provider.title()}" if provider else "Sign in"
        st.button(label, icon=":material/login:", type="primary", on_click=_sign_in, args=(provider or None,),
                  key=f"login:{provider}")  # fmt: skip
    st.stop()


def _sign_in(provider: str | None) -> None:
    cookie, page = st.context.cookies.get(sessions.COOKIE), PurePosixPath(urlsplit(st.context.url or "").path).name
    if sessions.is_token(cookie) and (_PAGES / f"{page}.py").is_file():
        _wanted[str(cookie)] = page, dict(st.query_params)
        while len(_wanted) > _MOST_WANTED:
            _wanted.popitem(last=False)
    st.login(provider)


def _go_on() -> None:
    """To where the browser was when it went to sign in."""
    page, query = _wanted.pop(st.context.cookies.get(sessions.COOKIE) or "", ("", {}))
    if page:
        st.switch_page(f"pages/{page}.py", query_params=query)
