"""The real app in a real Chromium; skipped where there is none."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from optimizers.engine.queue import JobQueue
from optimizers.recipe import parse
from optimizers.search.desk import Wish
from optimizers.settings import Settings
from tests.browser.actions import RUN_MS, press, settled, toggle
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
    """``streamlit run app.py`` on a free port; can be stopped and started again over the same home.

    Args:
        home: Of the app; its log lies beside it.
        base: Path below which the app lives, such as ``/tools``.
        flags, env: More of them for the command.
    """

    def __init__(self, home: Path, base: str = "", flags: Sequence[str] = (), **env: str) -> None:
        self.home, self.process = home, None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{base}"
        self.flags, self.env = [*flags, f"--server.baseUrlPath={base}"], env
        self.log = home.parent / "server.log"

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
                   f"--server.port={self.port}", "--server.address=127.0.0.1", *self.flags]  # fmt: skip
        env = os.environ | {"PARETOSCOPE_HOME": str(self.home)} | self.env
        with self.log.open("ab") as log:
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


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


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
def made(server):
    """A finished run of the digit classifier and a finished search of one trial."""
    queue = JobQueue(Settings(home=server.home), resume=False)
    runs = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8")])
    queue.wait([run.id for run in runs])
    wish = Wish(limits="size<=60KB, accuracy>=-5pt", seconds=60, techniques=("int8",), most_trials=1)
    search = queue.searches.start("sample:digits_cnn", "sample:optdigits", wish)
    queue.searches.wait(search.id)
    queue.close()
    return runs, search


@pytest.fixture(scope="session")
def finished(made):
    """A comparison of the digit classifier's int8 file with its baseline, as ``runs=…``."""
    return f"runs={','.join(run.id for run in made[0])}"


@pytest.fixture(scope="session")
def searched(made):
    """A finished search, as ``search=…``."""
    return f"search={made[1].id}"


@pytest.fixture(scope="session")
def compared(chromium, server):
    """Address of a finished comparison and the browser state of whoever made it, made from the start page."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(server.url + "/model")
    settled(page)
    page.get_by_text("digits_cnn", exact=True).click()
    press(page, "Optimize this model")
    toggle(page, "Full int8 (weights and activations)")
    toggle(page, "Magnitude pruning")
    page.get_by_role("spinbutton", name="Epochs").fill("2")
    page.keyboard.press("Enter")
    settled(page)
    press(page, "Run 3 variants")
    page.get_by_role("button", name="Compare 3 runs").click(timeout=RUN_MS)
    page.wait_for_url(re.compile("/compare"))
    settled(page)
    result = page.url.removeprefix(server.url), context.storage_state()
    context.close()
    return result


@pytest.fixture
def visitor(chromium, server):
    """Opens a page in a browser of its own (or one that has been here before) and collects what goes wrong in it."""
    with visitors(chromium, server.url) as visit:
        yield visit


@contextmanager
def visitors(chromium, root):
    """As the fixture, for the app at any address. At the end nothing may have gone wrong in any page."""
    contexts, complaints = [], []

    def visit(path="/", state=None, init="", **options):
        context = chromium.new_context(accept_downloads=True, storage_state=state, **options)
        contexts.append(context)
        context.add_init_script(VIOLATIONS)
        if init:
            context.add_init_script(init)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if complains(message) else None)
        page.on("request", lambda request: complaints.append(request.url) if leaves(request, root) else None)
        page.on("websocket", lambda socket: complaints.append(socket.url) if leaves(socket, root) else None)
        page.goto(root + path)
        settled(page)
        return page

    try:
        yield visit
    finally:
        for context in contexts:
            context.close()
    assert complaints == []


VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`${event.violatedDirective} forbids ${event.blockedURI} in ${event.sourceFile}`));
"""


def complains(message) -> bool:
    """Errors in the console, but for Streamlit's own search for its root below a page's address (two answers 404)."""
    return message.type == "error" and "/_stcore/" not in message.location.get("url", "")


def leaves(request, root: str) -> bool:
    """Whether something is asked of another server."""
    return not request.url.startswith((root, root.replace("http", "ws", 1), "data:", "blob:"))
