"""The real app in a real Chromium; skipped where there is none."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from optimizers.engine.queue import JobQueue
from optimizers.recipe import parse
from optimizers.settings import Settings
from tests.processes import end_with_parent

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


class Server:
    """``streamlit run app.py`` on a free port; can be stopped and started again over the same home."""

    def __init__(self, home: Path) -> None:
        self.home, self.process = home, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
                   f"--server.port={self.port}", "--server.address=127.0.0.1"]  # fmt: skip
        env = os.environ | {"PARETOSCOPE_HOME": str(self.home)}
        with (self.home.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=log, stderr=log, preexec_fn=end_with_parent
            )
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.25)
        pytest.fail("the app did not start within a minute")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


@pytest.fixture(scope="session")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory, chromium):
    server = Server(tmp_path_factory.mktemp("app") / "home")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def finished(server):
    """A comparison of the digit classifier's int8 file with its baseline, as ``runs=…``."""
    queue = JobQueue(Settings(home=server.home, timing_seconds=1), resume=False)
    runs = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8")])
    queue.wait([run.id for run in runs])
    queue.close()
    return f"runs={','.join(run.id for run in runs)}"


@pytest.fixture
def visitor(chromium, server):
    """Opens a page in a browser of its own (or one that has been here before) and collects what goes wrong in it."""
    contexts, complaints = [], []

    def visit(path="/", state=None, init="", **options):
        context = chromium.new_context(accept_downloads=True, storage_state=state, **options)
        contexts.append(context)
        if init:
            context.add_init_script(init)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if complains(message) else None)
        page.on("request", lambda request: complaints.append(request.url) if leaves(request, server.url) else None)
        page.goto(server.url + path)
        settled(page)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def complains(message) -> bool:
    """Errors in the console, but for Streamlit's own search for its root below a page's address (two answers 404)."""
    return message.type == "error" and "/_stcore/" not in message.location.get("url", "")


def leaves(request, root: str) -> bool:
    """Whether something is asked of another server."""
    return not request.url.startswith((root, "data:", "blob:"))


def settled(page) -> None:
    """Waits until the page's script has run."""
    page.wait_for_timeout(300)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(200)
