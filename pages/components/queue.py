"""The one queue that all sessions of this app share."""

from __future__ import annotations

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.settings import Settings


@st.cache_resource(show_spinner="Starting the engine")
def job_queue() -> JobQueue:
    """The queue, opened on first use. A process with TensorFlow warms up behind the first page."""
    return JobQueue(Settings(), prewarm=True)
