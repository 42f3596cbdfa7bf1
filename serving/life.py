"""Start and end of the server. It ends within seconds, and what was running continues at the next start."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from anyio import to_thread
from streamlit import net_util

from optimizers.operation import logs, metrics
from optimizers.settings import Settings
from pages.components.queue import job_queue, opened_queue
from serving.sockets import send_at_once
from serving.warming import warm

_log = logging.getLogger("paretoscope.server")
_PATIENCE = 8.0
"""Seconds after which the process ends, whatever still hangs, for example a slow download."""


@asynccontextmanager
async def life(app: Any) -> AsyncIterator[None]:
    """Around everything that is served: logs and metrics, the engine at the start, and its end."""
    settings = Settings()
    logs.configure(settings.log)
    # Streamlit would ask a public server for this machine's address when a socket comes from an unknown origin.
    net_util.get_external_ip = lambda: None
    send_at_once()
    end_metrics: Callable[[], None] = lambda: None  # noqa: E731
    if settings.metrics_port:
        end_metrics = metrics.serve(opened_queue, settings.metrics_port, settings.metrics_address)
    _end_on_signals()
    threading.Thread(target=_open, name="opening", daemon=True).start()
    try:
        yield
    finally:
        await to_thread.run_sync(_close)
        end_metrics()


def _open() -> None:
    """Opens the engine before the first visitor comes, so that runs which were interrupted continue at once."""
    try:
        job_queue()
    except Exception:
        _log.exception("The engine could not be started; the next visit tries again")
    warm()


def _close() -> None:
    queue = opened_queue()
    if queue is not None:
        queue.close()


def _end_on_signals() -> None:
    """Work ends at the first sign, not only when the last connection is closed; and the process does so in any case."""
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def ending(number: int, frame: FrameType | None, before: Any = before) -> None:
            threading.Thread(target=_close, name="ending", daemon=True).start()
            patience = threading.Timer(_PATIENCE, os._exit, (128 + number,))
            patience.daemon = True
            patience.start()
            if callable(before):
                before(number, frame)

        try:
            signal.signal(number, ending)
        except ValueError:  # not in the main thread, such as in a test: whoever started this ends it
            return
