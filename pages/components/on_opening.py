"""Expanders that are filled when they are opened, so that a page has less to draw before anybody looks at it."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def on_opening(label: str, key: str, icon: str | None = None, **look: Any) -> DeltaGenerator | None:
    """The expander to fill, or None while it is closed; ``look`` is handed on to ``st.expander``."""
    place = st.expander(label, key=key, icon=icon, on_change="rerun", **look)
    return place if place.open else None
