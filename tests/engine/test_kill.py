"""kill -9 at random moments: no finished result is lost, nothing half-written is visible, the rest goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from optimizers.engine.store import open_store
from optimizers.history.database import History
from optimizers.settings import Settings
from tests.processes import end_with_parent

ROOT = Path(__file__).parents[2]


def start(home, mode):
    environment = {**os.environ, "PARETOSCOPE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.engine.kill_target", mode]
    return subprocess.Popen(command, env=environment, cwd=ROOT, preexec_fn=end_with_parent)


def kill(process, victim):
    """Kills the app, one of its workers, or everything in one moment (as near as a test comes to a power cut)."""
    workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    chosen = {"app": [], "worker": random.sample(workers, min(1, len(workers))), "power": workers}[victim]
    for worker in chosen:
        try:
            worker.kill()
        except psutil.NoSuchProcess:
            continue
    if victim == "worker":
        time.sleep(random.uniform(0, 2))
    process.kill()
    process.wait()


def everything(settings):
    """Keys of all stored results (each verified byte by byte), ids of finished runs, number of measurements."""
    store, history = open_store(settings), History(settings.history_url)
    artifacts = list(store.artifacts())
    for artifact in artifacts:
        store.verify(artifact)
    runs = history.runs(states=["done"])
    measured = history.measurements([a.digest for a in artifacts])
    history.close()
    for run in runs:
        assert store.get(run.artifact_key) is not None
        assert {m.metric for m in measured if m.artifact_digest == run.artifact_digest} >= {
            "size_bytes",
            "r2",
            "latency_ms",
        }
    return {a.key for a in artifacts}, {r.id for r in runs}, len(measured)


@pytest.mark.parametrize("kills", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_killing_at_random_moments_loses_nothing(tmp_path, kills):
    settings = Settings(home=tmp_path / "home")
    random.seed(kills)
    before: tuple[set[str], set[str], int] = (set(), set(), 0)
    for number in range(kills):
        process = start(settings.home, "more")
        time.sleep(random.uniform(0.5, 12.0))
        kill(process, ("app", "worker", "power")[number % 3])
        after = everything(settings)
        assert after[0] >= before[0]
        assert after[1] >= before[1]
        assert after[2] >= before[2]
        before = after
    assert start(settings.home, "finish").wait(600) == 0
    history = History(settings.history_url)
    assert {run.state for run in history.runs()} <= {"done"}
    history.close()
    keys, _, _ = everything(settings)
    assert keys >= before[0]
    assert list((settings.results / "drafts").iterdir()) == []
