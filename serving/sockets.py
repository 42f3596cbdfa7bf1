"""Has what the server sends leave at once.

Streamlit opens the server's socket in a way for which asyncio does not switch off Nagle's algorithm: the kernel holds a
second small packet back until the first one is acknowledged, for which the other side takes 40 ms. Answers have two at
least, head and body, so each of the 60 scripts of a first page took 44 ms; now it takes 0.3.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import psutil


def send_at_once() -> None:
    """Sets TCP_NODELAY on the sockets that this process listens on; connections take it over from them."""
    with suppress(psutil.Error):
        for found in psutil.Process().net_connections(kind="tcp"):
            if found.status == psutil.CONN_LISTEN and found.fd >= 0:
                with suppress(OSError), socket.socket(fileno=os.dup(found.fd)) as listening:
                    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
