"""Paretoscope in the browser: ``streamlit run app.py``."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.components.boundary import page_boundary
from pages.components.session import keep_cookie
from pages.components.shell import navigation

page = navigation()
st.logo("pages/assets/logo.svg", size="large")
st.html(Path("pages/assets/style.css"))
with page_boundary():
    keep_cookie()
    page.run()
