"""What does not come in, asked of a small application that reads whatever it is sent."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.door import Door

UPLOAD = "/tools/_stcore/upload_file/session/file"


@pytest.fixture
def ask(monkeypatch):
    monkeypatch.setenv("PARETOSCOPE_UPLOAD_MIB", "1")
    read: list[int] = []

    async def inside(request: Request):
        read.append(0)
        async for block in request.stream():
            read[-1] += len(block)
        return PlainTextResponse(str(read[-1]))

    app = Starlette(
        routes=[Route("/{path:path}", inside, methods=["GET", "PUT"])],
        middleware=[Middleware(Door, path="/tools")],
    )

    def ask(method, path, content=None):
        async def asked():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://example.org") as client:
                return await client.request(method, path, content=content)

        with ThreadPoolExecutor(1) as thread:  # there may be a loop in this one
            return thread.submit(asyncio.run, asked()).result()

    ask.read = read
    return ask


async def blocks(count):
    """A body of so many MiB whose length is not told."""
    for _ in range(count):
        yield bytes(1 << 20)


def test_a_file_that_is_too_large_does_not_come_in(ask):
    refused = ask("PUT", UPLOAD, bytes(3 << 20))
    assert (refused.status_code, refused.text) == (413, "The largest file that may be uploaded has 1 MiB.\n")
    assert not ask.read, "nothing of it was read"
    assert ask("PUT", UPLOAD, blocks(40)).status_code == 413
    assert ask.read == [2 << 20], "no more is read than may come"
    assert ask("PUT", UPLOAD, bytes(1 << 20)).status_code == 200
    assert ask("PUT", "/tools/else", bytes(3 << 20)).status_code == 200


def test_only_the_metrics_port_tells_metrics(ask):
    assert ask("GET", "/tools/_stcore/metrics").status_code == 404
    assert ask("GET", "/tools/_stcore/metrics/").status_code == 404
    assert ask("GET", "/tools/_stcore/health").status_code == 200
