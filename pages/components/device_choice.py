"""Which device's times are shown; part of the address, so that a link shows the same."""

from __future__ import annotations

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.history.devices import Device, devices
from optimizers.records import Run
from pages.components.remembered import once

_QUERY, _KEY = "device", "timed_on"
HOW = {"host": "measured by this app", "browser": "measured in a browser", "import": "imported from a log"}
"""Who measured, as people read it."""


def device_choice(queue: JobQueue, runs: list[Run]) -> str:
    """The device whose times are shown: that of the address, else the machine that the app runs on.

    Nothing is drawn where there is no choice. Empty where nothing was timed.
    """
    ids = [run.id for run in runs]
    found = once(queue, ("devices", *ids), lambda: devices(queue.history, ids))
    known = {device.name: device for device in found}
    if not known:
        return ""
    names = list(known)
    asked = st.query_params.get(_QUERY, "")
    if asked not in known:
        st.query_params.pop(_QUERY, None)
        asked = names[0]
    if len(names) == 1:
        return asked
    st.session_state[_KEY] = asked
    st.selectbox("Times of", names, key=_KEY, format_func=lambda name: _told(known[name]), on_change=_changed)
    return asked


def show(device: str) -> None:
    """Puts a device into the address."""
    st.query_params[_QUERY] = device


def _changed() -> None:
    show(st.session_state[_KEY])


def _told(device: Device) -> str:
    return f"{device.name} ({HOW[device.source]}, {device.files} file{'s' if device.files > 1 else ''})"
