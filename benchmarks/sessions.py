"""Twenty visitors at once: how long their pages take, whether anybody sees what is somebody else's, and memory.

    python -m benchmarks.sessions [VISITORS] [MINUTES]

Three visitors are real browsers (Chromium) that also start runs; the others speak the protocol of Streamlit's pages
over a socket, as a browser does, with cookie, uploads and runs of their own. All come within half a minute. Each opens
one page after the other and looks at it for 3 to 9 seconds; in browsers the first by its address, the others by their
names. Uploads, and all sample models but one, are read for the first time meanwhile. A page takes from asking
to the end of its script, in browsers until it is drawn, charts included; what a fresh browser shows for the first time
stands in a row of its own, since it reads megabytes of scripts.
What a visitor is sent is searched for the names of all other visitors' files.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.async_api import BrowserContext, Page, async_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.first_paint import FLAGS, ROOT, free_port
from optimizers import sessions, uploads
from optimizers.engine.queue import JobQueue
from optimizers.litert import strain
from optimizers.models import sample as sample_models
from optimizers.recipe import parse
from optimizers.records import Run
from optimizers.settings import Settings

MODEL, DATA = "sample:digits_cnn", "sample:optdigits"
SHARED_RECIPES = ("float16", "dynamic_range", "int8")
BROWSERS = 3
PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARRIVE = 30.0
"""Seconds within which all of them come."""
LOOKS = (3.0, 9.0)
LATE = 2.0
"""Seconds that no page should take."""
FIRST = "first visits, browser"
TITLES = {
    "start": "See what it costs", "model": "Choose a model", "optimize": "Optimize", "search": "Search", "runs": "Runs",
    "compare": "Compare", "inspect": "Inspect", "race": "Race", "device": "This device", "deploy": "Deploy",
    "report": "Report",
}  # fmt: skip
"""What stands on top of each page; in the order of the navigation."""
CHARTED = ("start", "compare")
"""Pages that begin with a chart."""
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"


@dataclass
class Visitor:
    """One of them: what only they may see, and how their pages were."""

    number: int
    token: str
    upload: str
    times: list[tuple[str, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    @property
    def mark(self) -> str:
        """In the names of this visitor's files, and nowhere else."""
        return f"vis{self.number:03d}itor"


@dataclass
class Seen:
    """Memory of the app and of its worker processes, in MiB, and probes of `optimizers.litert.strain`."""

    sizes: list[tuple[float, float]] = field(default_factory=list)
    strains: list[float] = field(default_factory=list)


def prepared(home: Path, count: int) -> tuple[list[Visitor], list[Run]]:
    """Visitors with an upload each and a finished run on it, and runs of a sample that all may see."""
    settings = Settings(home=home, timing_seconds=1)
    queue = JobQueue(settings, resume=False)
    shared = queue.submit(MODEL, DATA, [parse(text) for text in SHARED_RECIPES])
    queue.wait([run.id for run in shared])
    shared = [queue.history.run(run.id) for run in shared]
    content = (ROOT / "sample_models" / "models" / "digits_cnn.keras").read_bytes()
    visitors = []
    for number in range(count):
        token = sessions.new_token()
        visitor = Visitor(number, token, "")
        scope = sessions.scope_of(token)
        visitor.upload = uploads.keep(BytesIO(content), f"{visitor.mark}.keras", "model", scope, settings)
        model = shared[0].model.model_copy(update={"name": visitor.mark, "uri": visitor.upload, "scope": scope})
        own = shared[0].model_copy(update={"id": f"own{number:03d}", "scope": scope, "model": model})
        queue.history.add([own])
        sessions.remember(token, [own.id], settings)
        visitors.append(visitor)
    queue.close()
    return visitors, shared


def addresses(visitor: Visitor, shared: list[Run]) -> list[tuple[str, str]]:
    """Pages with their query strings; what is a visitor's own and what all may see."""
    runs, sample = "runs=" + ",".join(run.id for run in shared), f"model={MODEL}&data={DATA}"
    own = f"model={visitor.upload}&data={DATA}"
    name, entry = [*sample_models.manifest().items()][visitor.number % len(sample_models.manifest())]
    other = f"model=sample:{name}&data={entry.dataset}"
    chosen = [(page, query) for page in ("model", "optimize") for query in (own, sample, other)]
    looked_at = [(page, runs) for page in ("compare", "inspect", "race", "device", "deploy", "report")]
    return [("", ""), *chosen, ("runs", ""), *looked_at]


def check(visitor: Visitor, page: str, sent: str, everybody: list[Visitor]) -> None:
    """Notes what a visitor was sent and should not have been, or the other way round."""
    for other in everybody:
        if other is not visitor and (other.mark in sent or other.upload in sent):
            visitor.faults.append(f"{page} of visitor {visitor.number} shows {other.mark}")
    if page == "runs" and visitor.mark not in sent:
        visitor.faults.append(f"visitor {visitor.number} does not see their own run")
    if "could not be shown" in sent:
        visitor.faults.append(f"{page} of visitor {visitor.number} shows an apology")


async def by_socket(visitor: Visitor, port: int, until: float, shared: list[Run], everybody: list[Visitor]) -> None:
    """Visits pages as the browser's part of Streamlit does, without drawing them."""
    choice = random.Random(visitor.number)
    cookie = {"Cookie": f"{sessions.COOKIE}={visitor.token}"}
    where = f"ws://127.0.0.1:{port}/_stcore/stream"
    await asyncio.sleep(choice.uniform(0, ARRIVE))
    async with connect(where, subprotocols=["streamlit"], max_size=None, additional_headers=cookie) as socket:  # type: ignore[list-item]
        while time.monotonic() < until:
            page, query = choice.choice(addresses(visitor, shared))
            started = time.perf_counter()
            sent = await seen(socket, port, page, query)
            visitor.times.append((page or "start", time.perf_counter() - started))
            check(visitor, page, sent, everybody)
            looked = time.monotonic() + choice.uniform(*LOOKS)
            while (left := looked - time.monotonic()) > 0:  # parts of pages that renew themselves
                try:
                    check(visitor, "part", text(await asyncio.wait_for(socket.recv(), left)), everybody)
                except TimeoutError:
                    break


async def seen(socket: ClientConnection, port: int, page: str, query: str) -> str:
    """All that is sent until a page's script has ended."""
    asked = BackMsg()
    asked.rerun_script.query_string, asked.rerun_script.page_name = query, page
    asked.rerun_script.context_info.url = f"http://127.0.0.1:{port}/{page}"
    await socket.send(asked.SerializeToString())
    parts = []
    while True:
        raw = await asyncio.wait_for(socket.recv(), 120)
        parts.append(text(raw))
        message = ForwardMsg()
        message.ParseFromString(raw)  # type: ignore[arg-type]
        if message.WhichOneof("type") == "script_finished":
            return "".join(parts)


def text(raw: Any) -> str:
    return bytes(raw).decode("utf-8", errors="replace")


async def by_browser(
    visitor: Visitor, context: BrowserContext, port: int, until: float, everybody: list[Visitor]
) -> None:
    """Visits pages in a Chromium that runs already, with a new profile, and starts a run first."""
    choice, root = random.Random(visitor.number), f"http://127.0.0.1:{port}"
    await asyncio.sleep(choice.uniform(0, ARRIVE))
    await context.add_cookies([{"name": sessions.COOKIE, "value": visitor.token, "url": root}])
    page = await context.new_page()
    page.set_default_timeout(60_000)
    known: set[str] = set()
    now = "optimize"

    async def visit(name: str, go: Awaitable[Any]) -> None:
        started = time.perf_counter()
        await go
        await drawn(page, name)
        took = time.perf_counter() - started
        visitor.times.append((f"{name}, browser" if name in known else FIRST, took))
        if took > LATE:
            visitor.late.append(f"{name} {took:.1f} s, {until - time.monotonic():.0f} s before the end")
        known.add(name)
        check(visitor, f"{name}, browser", await page.content(), everybody)

    await visit("optimize", page.goto(f"{root}/optimize?model={MODEL}&data={DATA}", wait_until="commit"))
    toggle = ("Magnitude pruning", "Weight clustering", "Structured pruning")[visitor.number % 3]
    await page.get_by_text(toggle, exact=True).first.click()
    await page.locator(IDLE).wait_for(state="attached")
    await page.get_by_role("button", name=re.compile("^.*Run \\d+ variant")).first.click()
    await page.wait_for_url("**/runs?**")
    while time.monotonic() < until:
        await asyncio.sleep(choice.uniform(*LOOKS))
        now = choice.choice([name for name in TITLES if name != now])
        await visit(now, page.get_by_test_id("stTopNavLink").nth(list(TITLES).index(now)).click())
    await context.close()


async def drawn(page: Page, name: str) -> None:
    """Returns when a page stands: its script has ended, and the chart that it begins with is there."""
    await page.locator("h1", has_text=TITLES[name]).wait_for(state="attached")
    if name in CHARTED:
        await page.locator(".js-plotly-plot .main-svg").first.wait_for(state="attached")
    await page.locator(IDLE).wait_for(state="attached")


async def watched(server: psutil.Process, until: float, seen: Seen) -> None:
    """Notes all of it again and again."""
    while time.monotonic() < until:
        children = 0
        for child in server.children(recursive=True):
            try:
                children += child.memory_info().rss
            except psutil.Error:
                continue
        seen.sizes.append((server.memory_info().rss / 2**20, children / 2**20))
        for _ in range(10):
            seen.strains.append(strain.measure())
            await asyncio.sleep(0.3)


async def visits(port: int, server: psutil.Process, visitors: list[Visitor], shared: list[Run], minutes: float) -> Seen:
    seen = Seen()
    async with async_playwright() as playwright:
        contexts = [
            await playwright.chromium.launch_persistent_context("", executable_path=PROGRAM, args=FLAGS)
            for _ in visitors[:BROWSERS]
        ]
        until = time.monotonic() + 60 * minutes
        work = [by_browser(v, c, port, until, visitors) for v, c in zip(visitors, contexts, strict=False)]
        work += [by_socket(v, port, until, shared, visitors) for v in visitors[BROWSERS:]]
        ended = await asyncio.gather(*work, watched(server, until, seen), return_exceptions=True)
        for visitor, problem in zip(visitors, ended, strict=False):
            if isinstance(problem, BaseException):
                visitor.faults.append(f"visitor {visitor.number} gave up: {str(problem).splitlines()[0]}")
    return seen


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder) / "home", free_port()
        os.environ["PARETOSCOPE_HOME"] = str(home)
        visitors, shared = prepared(home, count)
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
                   f"--server.port={port}", "--server.address=127.0.0.1"]  # fmt: skip
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            waited(f"http://127.0.0.1:{port}/readyz")
            process = psutil.Process(server.pid)
            before = process.cpu_times()
            seen = asyncio.run(visits(port, process, visitors, shared, minutes))
            spent = process.cpu_times()
        finally:
            server.terminate()
            server.wait()
        told(visitors, seen, minutes, spent.user + spent.system - before.user - before.system, home)


def waited(url: str) -> None:
    for _ in range(400):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.load(answer)["ready"]:
                    return
        except OSError:
            time.sleep(0.25)
    raise SystemExit("The app did not get ready.")


def told(visitors: list[Visitor], seen: Seen, minutes: float, cpu: float, home: Path) -> None:
    """Prints the table."""
    sizes, limit = seen.sizes, strain.Calm().limit(seen.strains)
    pages: dict[str, list[float]] = defaultdict(list)
    for visitor in visitors:
        for page, seconds in visitor.times:
            pages[page].append(seconds)
    print("| page | views | median s | 95% s | longest s |\n|---|---|---|---|---|")
    everything = [seconds for times in pages.values() for seconds in times]
    for page, times in [*sorted(pages.items()), ("all", everything)]:
        ordered = sorted(times)
        high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        print(f"| {page} | {len(times)} | {statistics.median(times):.2f} | {high:.2f} | {ordered[-1]:.2f} |")
    queue = JobQueue(Settings(home=home), resume=False)
    counts = queue.history.counts()
    queue.close()
    faults = [fault for visitor in visitors for fault in visitor.faults]
    late, first = (sum(seconds > LATE for seconds in times) for times in (everything, pages[FIRST]))
    print(
        f"\n{len(visitors)} visitors for {minutes:g} minutes; load of the machine at the end {os.getloadavg()[0]:.1f}"
    )
    print(
        f"pages above 2 s: {late} of {len(everything)}, {first} of them first visits of a browser; "
        f"processor time of the app: {cpu / (60 * minutes):.0%} of a core; late in browsers: "
        f"{[told for visitor in visitors for told in visitor.late] or 'none'}"
    )
    print(f"memory of the app in MiB: {sizes[0][0]:.0f} at first, {max(s[0] for s in sizes):.0f} at most, "
          f"{sizes[-1][0]:.0f} at the end; of its worker processes at most {max(s[1] for s in sizes):.0f}")  # fmt: skip
    print(f"others used the other halves of our cores in {np.mean(np.array(seen.strains) > limit):.0%} of the time")
    print(f"runs: {dict(counts)}; cross-talk and faults: {faults or 'none'}")
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
