"""What the server sends is not held back by the kernel."""

from __future__ import annotations

import socket

from serving.sockets import send_at_once


def test_connections_to_a_socket_as_streamlit_opens_it_send_at_once():
    with socket.socket(family=socket.AF_INET) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        send_at_once()
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert listening.fileno() >= 0, "it stays open"


def test_nothing_listens():
    send_at_once()
