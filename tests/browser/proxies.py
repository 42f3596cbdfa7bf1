"""A reverse proxy as others put in front of the app: one host, below a path of which the app gets everything else."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Passes on what is asked below ``base``, sockets included, and answers 404 to everything else."""

    def __init__(self, target: int, base: str) -> None:
        self.target, self.base, self.refused, self.port = target, base, list[str](), 0

    async def serve(self, listening: threading.Event) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self.stop = lambda: loop.call_soon_threadsafe(task.cancel)
        listening.set()
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            if path != self.base and not path.startswith(f"{self.base}/"):
                self.refused.append(path)
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if b"upgrade: websocket" not in head.lower():  # one request a connection is simplest
                head = re.sub(rb"(?im)^connection:.*\r\n", b"", head).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            back.write(head.replace(b"\r\n", b"\r\nX-Forwarded-Proto: http\r\n", 1))
            await asyncio.gather(_copied(reader, back), _copied(there, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while block := await reader.read(1 << 16):
            writer.write(block)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextmanager
def proxy(target: int, base: str) -> Iterator[Proxy]:
    """A running one."""
    made, listening = Proxy(target, base), threading.Event()

    def run() -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(made.serve(listening))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert listening.wait(10)
    try:
        yield made
    finally:
        made.stop()
        thread.join(10)
