"""Takes the pictures of the documentation from the running app, after real runs of a sample model.

    python -m docs.screenshots

Needs Chromium and Playwright. Results are kept in the usual store, so a second call is quick.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from optimizers.engine.queue import JobQueue
from optimizers.history.frames import comparison
from optimizers.recipe import parse
from optimizers.search.desk import Wish
from optimizers.settings import Settings
from pages.components import start

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
MODEL, DATA = "sample:digits_cnn", "sample:optdigits"
RECIPES = (
    "dynamic_range", "float16", "int8", "magnitude_pruning", "magnitude_pruning+int8",
    "magnitude_pruning(target_sparsity=0.8)+int8",
)  # fmt: skip
SEARCH_SECONDS = 180.0
HEIGHTS = {"compare": 1180, "search": 1080}
"""Pixels of a window that shows what a page is about, where 860 are not enough."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
READY = "[data-testid=stApp][data-test-script-state=notRunning]"


def finished_runs() -> tuple[list[str], str]:
    """Ids of finished runs of all recipes and of a finished search; renews the comparison that the page Start shows."""
    queue = JobQueue(Settings(), resume=False)
    runs, example_runs = queue.submit(MODEL, DATA, [parse(text) for text in RECIPES]), start.sample_runs(queue)
    queue.wait([run.id for run in [*runs, *example_runs]])
    example = comparison(queue.history, [run.id for run in example_runs])
    example.to_json(start.EXAMPLE, orient="split", index=False, double_precision=12, indent=1)
    wish = Wish(limits="size<=60KB, accuracy>=-1pt", seconds=SEARCH_SECONDS)
    known = (s for s in queue.searches.studies() if (s.model.uri, s.limits, s.state) == (MODEL, wish.limits, "done"))
    search = next(known, None) or queue.searches.start(MODEL, DATA, wish)
    queue.searches.wait(search.id)
    queue.close()
    return [run.id for run in runs], search.id


def serve() -> tuple[subprocess.Popen[bytes], str]:
    """The app on a free port, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
               f"--server.port={port}", "--server.address=127.0.0.1"]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
            return process, url
        except OSError:
            time.sleep(0.25)


def settle(page: Page) -> None:
    """Waits until a page has been drawn completely."""
    page.wait_for_timeout(1000)
    page.wait_for_selector(READY, timeout=60_000)
    page.wait_for_timeout(2500)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    found, search = finished_runs()
    ids = ",".join(found)
    process, url = serve()
    pages = {
        "start": "/",
        "model": f"/model?model={MODEL}&data={DATA}",
        "optimize": f"/optimize?model={MODEL}&data={DATA}",
        "search": f"/search?search={search}",
        "runs": f"/runs?runs={ids}",
        "compare": f"/compare?runs={ids}&x=Compressed+size",
        "inspect": f"/inspect?runs={ids}",
        "race": f"/race?runs={ids}&ask=test",
        "device": f"/device?runs={ids}",
        "deploy": f"/deploy?runs={ids}",
        "report": f"/report?runs={ids}",
    }
    try:
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            for name, path in pages.items():
                page = browser.new_page(
                    viewport={"width": 1280, "height": HEIGHTS.get(name, 860)}, color_scheme="light"
                )
                page.goto(url + path)
                settle(page)
                if name == "search":
                    page.get_by_text("Finding out which settings decide").first.wait_for(state="detached")
                    settle(page)
                if name == "compare":
                    page.wait_for_selector(".js-plotly-plot .point", state="attached")
                    page.wait_for_timeout(1000)
                if name == "optimize":
                    page.get_by_text("Full int8", exact=False).first.click()
                    page.get_by_text("Magnitude pruning", exact=True).first.click()
                    settle(page)
                    page.get_by_text("looking ahead").first.wait_for(state="detached", timeout=120_000)
                    page.get_by_role("heading", level=1).scroll_into_view_if_needed()
                    settle(page)
                page.screenshot(path=IMAGES / f"{name}.png")
                page.close()
            browser.close()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
