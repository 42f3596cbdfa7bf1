"""Scripts and styles travel compressed to other machines, and come out as they were."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from serving.scripts import KeptScripts

SCRIPT = b"export const answer = 42;\n" * 2000
ELSEWHERE, HERE = ("192.0.2.7", 4711), ("127.0.0.1", 4711)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "big.js").write_bytes(SCRIPT)
    (tmp_path / "small.js").write_bytes(b"1;")
    (tmp_path / "font.woff2").write_bytes(bytes(5000))
    return tmp_path


@pytest.fixture
def get(folder):
    app = Starlette(
        routes=[Mount("/tools/static", StaticFiles(directory=folder))],
        middleware=[Middleware(KeptScripts, path="/tools/")],
    )

    def get(path, client=ELSEWHERE, **headers):
        async def asked():
            transport = httpx.ASGITransport(app, client=client)
            async with httpx.AsyncClient(transport=transport, base_url="https://example.org") as c:
                return await c.get(path, headers={"accept-encoding": "gzip, br", **headers})

        with ThreadPoolExecutor(1) as elsewhere:
            return elsewhere.submit(asyncio.run, asked()).result()

    return get


def test_a_script_comes_out_as_it_was(get):
    for _ in range(2):  # compressed now, kept from then on
        answer = get("/tools/static/big.js")
        assert answer.content == SCRIPT
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert int(answer.headers["content-length"]) < len(SCRIPT) / 20
        assert answer.headers["content-type"].startswith(("text/javascript", "application/javascript"))


def test_only_files_are_kept_not_the_page_that_answers_for_what_is_not_there(get, folder):
    for name in ("big.js", "page.html"):
        (folder / name).write_bytes(b"1" * 2000)
        get(f"/tools/static/{name}")
        (folder / name).write_bytes(b"2" * 2000)
    assert get("/tools/static/big.js").content == b"1" * 2000
    assert get("/tools/static/page.html").content == b"2" * 2000


def test_visitors_of_this_machine_and_old_browsers_get_it_plain(get):
    assert "content-encoding" not in get("/tools/static/big.js", HERE).headers
    assert "content-encoding" not in get("/tools/static/big.js", ("::1", 4711)).headers
    plain = get("/tools/static/big.js", **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == SCRIPT
    assert plain.headers["vary"] == "Accept-Encoding"


def test_a_proxy_on_this_machine_stands_for_others(get):
    assert "content-encoding" in get("/tools/static/big.js", HERE, **{"x-forwarded-for": "192.0.2.9"}).headers


def test_what_gains_nothing_or_is_not_there_is_answered_as_before(get):
    assert "content-encoding" not in get("/tools/static/small.js").headers
    assert "content-encoding" not in get("/tools/static/font.woff2").headers
    assert get("/tools/static/missing.js").status_code == 404
    part = get("/tools/static/big.js", range="bytes=0-9")
    assert (part.status_code, part.content) == (206, SCRIPT[:10])
    whole = get("/tools/static/big.js")
    again = get("/tools/static/big.js", **{"if-none-match": whole.headers["etag"].removeprefix("W/")})
    assert again.status_code == 304
