"""A sweep on a Dask cluster, while children, workers, the scheduler and the app are killed at random (kill -9).

As a program it is the app: ``python -m tests.chaos FOLDER RUNS REAL`` asks for the runs unless it did so before, and
drives them until none is left.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from optimizers.doctor import Finding, examine
from optimizers.engine.cluster import DaskExecutor
from optimizers.engine.queue import JobQueue
from optimizers.history.database import UNFINISHED, History
from optimizers.recipe import parse
from optimizers.settings import Settings
from tests.dask_cluster import ROOT, Cluster, kill
from tests.processes import end_with_parent
from tests.standins import DATA, MODEL, StandIns

VICTIMS = ("child", "worker", "scheduler", "app")
_REAL = ("int8", "float16", "dynamic_range", "magnitude_pruning(epochs=1)+int8")


@dataclass
class Outcome:
    """What came of a sweep. ``twice`` counts steps that ran to their end more than once."""

    states: Counter[str]
    kills: Counter[str]
    retried: int
    twice: int
    problems: list[Finding]
    seconds: float
    lost: list[str] = field(default_factory=list)


def sweep(
    folder: Path,
    *,
    runs: int,
    kills: int,
    real: int = 0,
    seed: int = 0,
    pause: float = 1.5,
    victims: Sequence[str] = VICTIMS,
) -> Outcome:
    """Runs a sweep and kills at random moments.

    Args:
        folder: For everything; empty.
        runs: How many runs with stand-ins.
        kills: How many kills, one kind after the other, at random moments.
        real: How many runs of the sample ``mpg_mlp`` in addition, with the real tasks.
        seed: For moments and victims.
        pause: Mean seconds between two kills.
        victims: Kinds of what is killed.
    """
    chance, started = random.Random(seed), time.monotonic()
    environment = {"PARETOSCOPE_STORE": f"file://{folder / 'far'}", "PARETOSCOPE_TIMING_SECONDS": "0.1"}
    cluster = Cluster(folder / "cluster", environment)
    homes = {name: {"PARETOSCOPE_HOME": str(folder / name)} for name in ("one", "two")}
    workers = {name: cluster.add_worker(threads=3, **home) for name, home in homes.items()}
    settings = Settings(home=folder / "home", store=environment["PARETOSCOPE_STORE"], dask=cluster.address)
    app = _start(folder, settings, runs, real)
    done: Counter[str] = Counter()
    kept: dict[str, str] = {}
    lost: list[str] = []
    try:
        while done.total() < kills and app.poll() is None:
            time.sleep(chance.uniform(0, 2 * pause))
            victim = victims[done.total() % len(victims)]
            name = chance.choice(list(workers))
            if victim == "child":
                below = psutil.Process(workers[name].pid).children() if workers[name].poll() is None else []
                if not below:
                    continue
                with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                    chance.choice(below).kill()
            elif victim == "worker":
                kill(workers[name])
            elif victim == "scheduler":
                kill(cluster.scheduler)
                cluster.start_scheduler()
            else:
                kill(app)
                app = _start(folder, settings, runs, real)
            done[victim] += 1
            for other, worker in workers.items():  # as any service manager does
                if worker.poll() is not None:
                    workers[other] = cluster.add_worker(threads=3, **homes[other])
            lost += _forgotten(settings, kept)
        retried = _to_the_end(cluster, workers, homes, app, folder, settings, runs, real)
        lost += _forgotten(settings, kept)
        history = History(settings.history_url)
        states = Counter(str(run.state) for run in history.runs())
        history.close()
        ended = Counter((folder / "ledger").read_text(encoding="ascii").split())
        twice = sum(count > 1 for count in ended.values())
        problems = [found for found in examine(settings, deep=True) if found.level == "problem"]
        return Outcome(states, done, retried, twice, problems, time.monotonic() - started, lost)
    finally:
        kill(app)
        cluster.close()


def _start(folder: Path, settings: Settings, runs: int, real: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PARETOSCOPE_HOME": str(settings.home),
        "PARETOSCOPE_STORE": settings.store,
        "PARETOSCOPE_DASK": settings.dask,
        "PARETOSCOPE_TIMING_SECONDS": "0.1",
        "PARETOSCOPE_WORKERS": "6",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.chaos", str(folder), str(runs), str(real)]
    with (folder / "app.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log, preexec_fn=end_with_parent)


def _to_the_end(cluster, workers, homes, app, folder, settings, runs, real) -> int:
    """Lets the app finish, with all parts alive; then tries failed runs again, until nothing is left. How many."""
    retried = 0
    for _ in range(4):
        while app.poll() is None:
            for name, worker in workers.items():
                if worker.poll() is not None:
                    workers[name] = cluster.add_worker(threads=3, **homes[name])
            time.sleep(0.2)
        history = History(settings.history_url)
        failed = history.runs(states=["failed"])
        for run in failed:  # a killed child is an ordinary failure of one run, which can be tried again
            history.update(run.id, only_from=("failed",), state="queued", failure=None)
        left = history.runs(states=UNFINISHED)
        history.close()
        retried += len(failed)
        if not left:
            break
        app = _start(folder, settings, runs, real)
    return retried


def _forgotten(settings: Settings, kept: dict[str, str]) -> list[str]:
    """Finished runs that are not finished any more, or have another file than before."""
    if not (settings.home / "history.db").exists():
        return []
    history = History(settings.history_url)
    now = {run.id: run.artifact_digest for run in history.runs(states=["done"])}
    history.close()
    wrong = [run_id for run_id, digest in kept.items() if now.get(run_id) != digest]
    kept.update(now)
    return wrong


def main(folder: Path, runs: int, real: int) -> None:
    """The app."""
    settings = Settings()
    queue = JobQueue(settings, StandIns(DaskExecutor(settings), 0.1, ledger=folder / "ledger"))
    if not queue.history.runs():
        sparsities = [round(0.05 + 0.9 * number / max(1, runs - 1), 5) for number in range(runs)]
        recipes = [parse(f"magnitude_pruning(target_sparsity={sparsity})+int8") for sparsity in sparsities]
        queue.submit(MODEL, DATA, recipes)
        if real:
            queue.submit("sample:mpg_mlp", "sample:auto_mpg", [parse(text) for text in _REAL[:real]])
    while queue.history.runs(states=UNFINISHED):
        time.sleep(0.2)
    queue.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
