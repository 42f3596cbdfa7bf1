"""Headers, the visitor's cookie and health, asked of a small application without pages."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from optimizers import sessions
from optimizers.engine.queue import JobQueue
from optimizers.operation import health, logs
from optimizers.settings import Settings
from serving.cookie import VisitorCookie
from serving.headers import SecurityHeaders
from tests.engine.fake_executor import FakeExecutor

PAGE = {"accept": "text/html,*/*"}


class Client:
    """A browser that keeps no cookies but those it is given."""

    def __init__(self, app):
        self.app, self.cookies = app, httpx.Cookies()

    def __call__(self, method, path, headers=None):
        async def asked():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="https://example.org", cookies=self.cookies
            ) as c:
                return await c.request(method, path, headers=headers)

        # Elsewhere than here, where the browser tests' loop may be running.
        with ThreadPoolExecutor(1) as elsewhere:
            return elsewhere.submit(asyncio.run, asked()).result()


@pytest.fixture
def client():
    def own(request):
        return PlainTextResponse("own", headers={"X-Content-Type-Options": "other"})

    def login(request):
        answer = PlainTextResponse("in")
        answer.set_cookie("secret", "1", httponly=True)
        answer.set_cookie("already", "1", secure=True)
        return answer

    app = Starlette(
        routes=[
            Route("/own", own),
            Route("/login", login),
            Route("/{rest:path}", lambda request: PlainTextResponse("page")),
        ],
        middleware=[Middleware(SecurityHeaders), Middleware(VisitorCookie, path="/tools")],
    )
    return Client(app)


def test_every_answer_says_what_may_be_loaded(client):
    policy = client("GET", "/file.js").headers["content-security-policy"]
    scripts = re.search(r"script-src ([^;]*)", policy)[1].split()
    assert "'self'" in scripts
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "http:"} & set(scripts)
    assert client("GET", "/own").headers.get_list("x-content-type-options") == ["other"]


def test_a_browser_without_a_token_gets_one_and_keeps_it(client):
    first = client("GET", "/", headers=PAGE)
    told = first.headers["set-cookie"]
    assert sessions.is_token(re.match(rf"{sessions.COOKIE}=([^;]+);", told)[1])
    assert {"Path=/tools", "HttpOnly", "SameSite=Lax", "Secure"} <= set(told.split("; "))
    assert first.headers["cache-control"] == "no-store"
    client.cookies = {sessions.COOKIE: sessions.new_token()}
    assert "set-cookie" not in client("GET", "/", headers=PAGE).headers
    client.cookies = {sessions.COOKIE: "not a token"}
    assert "set-cookie" in client("GET", "/", headers=PAGE).headers


def test_no_cookie_travels_in_the_clear_where_the_visitor_comes_by_https(client):
    told = client("GET", "/login").headers.get_list("set-cookie")
    assert [cookie.split("; ").count("Secure") for cookie in told] == [1, 1]


def test_files_of_a_page_bring_no_cookie(client):
    assert "set-cookie" not in client("GET", "/static/index.js", headers={"accept": "*/*"}).headers
    assert "set-cookie" not in client("POST", "/", headers=PAGE).headers


@pytest.fixture
def queue(tmp_path):
    settings = Settings(home=tmp_path / "home")
    queue = JobQueue(settings, FakeExecutor(settings))
    yield queue
    queue.close()


def wrong(queue):
    return {check.name: check.detail for check in health.checks(queue) if not check.ok}


def test_all_is_well_until_something_is_missing(queue, monkeypatch):
    assert wrong(queue) == {}
    queue.settings.__dict__["free_mib"] = 10**9
    assert "PARETOSCOPE_FREE_MIB" in wrong(queue)["disk"]
    queue.settings.__dict__["free_mib"] = 0
    monkeypatch.setattr(queue.store, "draft", lambda: open("/does/not/exist"))  # noqa: SIM115, PTH123
    assert "/does/not/exist" in wrong(queue)["store"]
    queue.close()
    assert "shutting down" in wrong(queue)["accepting"]


def test_what_hangs_is_told_and_asked_once_until_it_answers(queue, monkeypatch):
    monkeypatch.setattr(health, "_PATIENCE", 0.2)
    back, asked = threading.Event(), []

    def hanging():
        asked.append(1)
        back.wait(60)

    monkeypatch.setattr(queue.history, "ping", hanging)
    for _ in range(3):
        assert wrong(queue) == {"history": "It has not answered for 0.2 seconds."}
    assert len(asked) == 1
    back.set()
    health._underway["history"].result(10)
    assert wrong(queue) == {}


def test_a_line_of_the_log_is_one_json_object_with_its_run():
    record = logging.makeLogRecord(
        {"msg": "Run %s", "args": ("done",), "levelno": 20, "levelname": "INFO", "run": "r1"}
    )
    told = json.loads(logs.JsonLines().format(record))
    assert (told["message"], told["level"], told["run"]) == ("Run done", "info", "r1")
    try:
        raise ValueError("why\nnot")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    line = logs.JsonLines().format(record)
    assert "\n" not in line
    assert "ValueError: why\nnot" in json.loads(line)["exception"]
    assert logs.Lines().format(record).splitlines()[0].endswith("INFO Run done [run r1]")
