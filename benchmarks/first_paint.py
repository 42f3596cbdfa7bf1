"""Time from starting the server to a painted page, against a Streamlit page that only imports plotly and pandas.

    python -m benchmarks.first_paint [RUNS]

Both are started in turn (A B A B ...), each with a fresh server process and a fresh browser context; the ratio of the
medians is what counts.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PLAIN = """
import pandas as pd
import plotly.express as px
import streamlit as st

st.title("Plain")
st.dataframe(pd.DataFrame({"x": [1, 2, 3], "y": [1, 4, 9]}))
st.write(px.__name__)
"""
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PAINTED = "[data-testid=stApp][data-test-script-state=notRunning] [data-testid=stHeading]"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seconds_to_paint(browser: Browser, script: Path, folder: Path, home: Path) -> float:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless=true",
               f"--server.port={port}", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]  # fmt: skip
    started = time.perf_counter()
    server = subprocess.Popen(command, cwd=folder, env={**os.environ, "PARETOSCOPE_HOME": str(home)},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    page = browser.new_context().new_page()
    try:
        while True:
            try:
                page.goto(f"http://127.0.0.1:{port}", wait_until="commit")
                break
            except Exception:
                time.sleep(0.05)
        page.wait_for_selector(PAINTED, timeout=120_000)
        return time.perf_counter() - started
    finally:
        page.context.close()
        server.terminate()
        server.wait()


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        folder = Path(scratch)
        plain = folder / "plain.py"
        plain.write_text(PLAIN)
        ours, theirs = [], []
        for number in range(runs + 1):
            a = seconds_to_paint(browser, ROOT / "app.py", ROOT, folder / "home")
            b = seconds_to_paint(browser, plain, folder, folder / "home")
            if number:  # the first pair warms the disk cache
                ours.append(a)
                theirs.append(b)
                print(f"paretoscope {a:.2f} s   plain {b:.2f} s   ratio {a / b:.2f}", flush=True)
        browser.close()
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"median: paretoscope {a:.2f} s, plain {b:.2f} s, ratio {a / b:.2f} ({runs} pairs)")


if __name__ == "__main__":
    main()
