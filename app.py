"""Paretoscope in the browser: ``streamlit run app.py``.

Streamlit imports this file once, for the server, and runs it as a script for every view of a page.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

if __name__ == "__main__":
    from pages.components import login
    from pages.components.boundary import page_boundary
    from pages.components.shell import navigation

    page = navigation()
    st.logo("pages/assets/logo.svg", size="large")
    st.html(Path("pages/assets/style.css"))
    with page_boundary():
        login.gate()
        page.run()
else:
    from serving import life, middleware, routes

    app = st.App(__file__, lifespan=life, middleware=middleware(), routes=routes())
