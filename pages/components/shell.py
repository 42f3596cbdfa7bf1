"""The frame around every page: its list of pages, and the way back into it."""

from __future__ import annotations

from typing import Any

import streamlit as st

_IN_APP = "inside_app"


def navigation() -> Any:
    """The page that is asked for; draws the navigation on top."""
    st.set_page_config(page_title="Paretoscope", page_icon="pages/assets/icon.png", layout="wide")
    st.session_state[_IN_APP] = True
    return st.navigation(
        [
            st.Page("pages/start.py", title="Start", icon=":material/home:", default=True),
            st.Page("pages/model.py", title="Model", icon=":material/upload_file:"),
            st.Page("pages/optimize.py", title="Optimize", icon=":material/tune:"),
            st.Page("pages/search.py", title="Search", icon=":material/travel_explore:"),
            st.Page("pages/runs.py", title="Runs", icon=":material/pending_actions:"),
            st.Page("pages/compare.py", title="Compare", icon=":material/scatter_plot:"),
            st.Page("pages/inspect.py", title="Inspect", icon=":material/search_insights:"),
            st.Page("pages/race.py", title="Race", icon=":material/sports_score:"),
            st.Page("pages/device.py", title="This device", icon=":material/phone_android:"),
            st.Page("pages/deploy.py", title="Deploy", icon=":material/deployed_code:"),
            st.Page("pages/report.py", title="Report", icon=":material/description:"),
        ],
        position="top",
    )


def inside_app() -> None:
    """Starts over through ``app.py`` when a page was started by itself.

    A folder named ``pages`` makes Streamlit run its scripts directly, until ``st.navigation`` was called for the first
    time in the life of the server: that is, when the first visitor after a start comes along a deep link.
    """
    if not st.session_state.get(_IN_APP):
        navigation()
        st.rerun()
