"""The real server: it continues by itself what was interrupted, tells how it is, and ends within seconds."""

from __future__ import annotations

import json
import signal
import time
import urllib.request

import psutil
import pytest

from optimizers.engine.queue import JobQueue
from optimizers.history.database import History
from optimizers.recipe import parse
from optimizers.settings import Settings
from tests.browser.conftest import Server, free_port

LONG = "magnitude_pruning(epochs=200)+int8"


@pytest.fixture
def home(tmp_path):
    """Of an app that was ended when somebody had just asked for a run of minutes."""
    settings = Settings(home=tmp_path / "home")
    queue = JobQueue(settings, resume=False)
    queue.submit("sample:digits_cnn", "sample:optdigits", [parse(LONG)])
    queue.close()
    return settings.home


def metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def eventually(true, seconds=90):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


def test_work_continues_without_a_visitor_and_ends_when_the_server_is_told_to(home):
    port = free_port()
    server = Server(home, PARETOSCOPE_METRICS_PORT=str(port), PARETOSCOPE_LOG="json", no_proxy="127.0.0.1",
                    http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")  # fmt: skip
    server.start()
    history = History(Settings(home=home).history_url)
    eventually(lambda: history.runs()[0].stages or metrics(port).get('paretoscope_workers{pool="tensorflow"}'))
    eventually(lambda: metrics(port).get('paretoscope_runs{state="running"}') == 1)
    told = metrics(port)
    assert told['paretoscope_worker_memory_bytes{pool="tensorflow"}'] > 10_000_000
    assert told["paretoscope_disk_free_bytes"] > 0
    assert told["paretoscope_queue_length"] == 0
    workers = psutil.Process(server.process.pid).children(recursive=True)
    assert workers
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(15)
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
    assert history.runs()[0].state == "interrupted"
    history.close()
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    run = history.runs()[0].id
    assert [line["message"] for line in lines if line.get("run") == run] == ["Run started", "Run interrupted"]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
