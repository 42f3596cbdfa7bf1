"""The control for trying several values of a setting."""

from __future__ import annotations

from typing import Any

import streamlit as st

from optimizers.errors import ParetoscopeError
from optimizers.params import ParamField, ParamSet, Scalar, fields
from pages.components.forms import Choices
from pages.components.values import offered, read, shown, suggested

_MOST_SETTINGS = 4


def several_values(owner: str, params: type[ParamSet], given: dict[str, Any], choices: Choices) -> dict[str, Any]:
    """Draws the choice of settings that take several values, and returns all settings with lists in their places."""
    declared = {f.name: f for f in fields(params)}
    if not declared:
        return given
    kept = st.session_state.get(setting_key(owner)) or []
    with st.expander("Try several values", key=f"several:{owner}", expanded=bool(kept), icon=":material/grid_view:"):
        picked = st.multiselect(
            "Settings", list(declared), key=setting_key(owner), persist_state="session",
            format_func=lambda name: declared[name].label, placeholder="Which settings to vary",
            max_selections=_MOST_SETTINGS,
            help="Every combination of their values becomes one recipe.",
        )  # fmt: skip
        found = dict(given)
        for name in picked:
            values = _values(owner, declared[name], choices)
            if values:
                found[name] = values if len(values) > 1 else values[0]
    return {name: found[name] for name in declared if name in found}


def setting_key(owner: str) -> str:
    """Under which the session keeps which settings of a technique take several values."""
    return f"several-settings:{owner}"


def value_key(owner: str, name: str) -> str:
    """Under which the session keeps the values of such a setting, as they are shown."""
    return f"several-values:{owner}.{name}"


def _values(owner: str, field: ParamField, choices: Choices) -> list[Scalar]:
    key = value_key(owner, field.name)
    kept = st.session_state.get(key)
    options = list(dict.fromkeys([*(shown(field, v) for v in offered(field, choices)), *(kept or [])]))
    picked = st.multiselect(
        field.label, options, None if kept is not None else [shown(field, v) for v in suggested(field, choices)],
        key=key, persist_state="session", accept_new_options=field.kind not in ("bool", "choice", "model"),
        placeholder="Values to try", help=_help(field),
    )  # fmt: skip
    try:
        return read(field, picked)
    except ParetoscopeError as error:
        st.caption(f":red[:material/block: {error.message}]")
        return []


def _help(field: ParamField) -> str:
    typed = "" if field.kind in ("bool", "choice", "model") else " Others can be typed"
    spans = ", also as a span: 10 to 90 in 5." if field.kind in ("int", "float") else "."
    return f"{field.help}{typed}{spans if typed else ''}"
