"""What many machines cost and bring: overhead, two workers against one, a simulated thousand, and kill -9 at random.

    python -m benchmarks.scale overhead|workers|plan|chaos [ROUNDS]

Steps are stand-ins (`tests.standins`) in real child processes, with the real store, history, scheduler and workers on
loopback. What the machine does beside this is printed with every figure. ``plan`` simulates 100,000 runs on up to 1,000
workers from what ``overhead`` measures and from the lengths of real steps.
"""

from __future__ import annotations

import heapq
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil

from optimizers.engine.cluster import DaskExecutor
from optimizers.engine.executor import Executor, LocalExecutor
from optimizers.engine.queue import JobQueue
from optimizers.engine.worker import Task
from optimizers.history.database import History
from optimizers.recipe import parse
from optimizers.settings import Settings
from tests.dask_cluster import Cluster
from tests.standins import DATA, MODEL, StandIns


def main() -> None:
    what = {"overhead": overhead, "workers": workers, "plan": plan, "chaos": chaos}
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in what:
        raise SystemExit(__doc__)
    print(f"load {os.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores", flush=True)
    what[name](*map(int, sys.argv[2:]))


def overhead(repeats: int = 5) -> dict[str, float]:
    """Time and processor time per run, and of a task, on a cluster of one worker and without one, in turn.

    What others do on the machine makes every run longer, so beside the median stands the 10th percentile.
    """
    count = 20
    found: dict[str, list[float]] = {"local": [], "dask": []}
    spent: dict[str, list[float]] = {"app": [], "scheduler": [], "worker": [], "app without a cluster": []}
    with tempfile.TemporaryDirectory(prefix="paretoscope-") as name:
        folder = Path(name)
        far = f"file://{folder / 'far'}"
        cluster = Cluster(folder / "cluster", {"PARETOSCOPE_STORE": far, "PARETOSCOPE_HOME": str(folder / "worker")})
        worker = cluster.add_worker(threads=2)
        cluster.wait_for(1)
        opened = {
            "local": _queue(
                Settings(home=folder / "local", store=f"file://{folder / 'near'}", workers=1), LocalExecutor
            ),
            "dask": _queue(Settings(home=folder / "home", store=far, dask=cluster.address, workers=1), DaskExecutor),
        }
        for queue in opened.values():
            _sweep(queue, 2, seed=10**6)  # processes are warm afterwards
        for repeat in range(repeats):
            for kind, queue in opened.items():
                before = [_processor(p) for p in (os.getpid(), cluster.scheduler.pid, worker.pid)]
                found[kind] += [_sweep(queue, 1, seed=count * repeat + each) for each in range(count)]
                after = [_processor(p) for p in (os.getpid(), cluster.scheduler.pid, worker.pid)]
                used = [(a - b) / count for a, b in zip(after, before, strict=True)]
                if kind == "local":
                    spent["app without a cluster"].append(used[0])
                else:
                    for part, value in zip(("app", "scheduler", "worker"), used, strict=True):
                        spent[part].append(value)
        trips = _trips(opened, folder)
        for queue in opened.values():
            queue.close()
        cluster.close()
    cost = {part: statistics.median(values) for part, values in spent.items()}
    for title, place in (("median", 50), ("10th percentile", 10)):
        without, with_one = (float(np.percentile(found[kind], place)) * 1e3 for kind in ("local", "dask"))
        print(f"{title}: per run without a cluster {without:.0f} ms, with one {with_one:.0f} ms, so it adds "
              f"{with_one - without:.0f} ms")  # fmt: skip
    for title, place in (("median", 50), ("10th percentile", 10), ("fastest", 0)):
        without, with_one = (float(np.percentile(trips[kind], place)) * 1e3 for kind in ("local", "dask"))
        print(f"{title}: a task that does nothing takes {without:.1f} ms without a cluster, {with_one:.1f} ms with one")
    print("processor time per run: " + ", ".join(f"{part} {value * 1e3:.1f} ms" for part, value in cost.items()))
    return cost


def _trips(opened: dict[str, JobQueue], folder: Path) -> dict[str, list[float]]:
    """Seconds of a task that does nothing, many times in turn with and without the cluster."""
    task = Task("tests.engine.fake_tasks:echo", {"value": 1}, "light", "work", str(folder / "log"))
    trips: dict[str, list[float]] = {kind: [] for kind in opened}
    for _ in range(60):
        for kind, queue in opened.items():
            started = time.perf_counter()
            queue.driver.executor.run(task, lambda event: None, lambda: False)
            trips[kind].append(time.perf_counter() - started)
    return trips


def workers(repeats: int = 3, count: int = 16, seconds: int = 2) -> None:
    """Sweeps of independent runs on one worker and on two, in turn; each step computes on one thread."""
    for busy in (True, False):
        times: dict[int, list[float]] = {1: [], 2: []}
        for repeat in range(repeats):
            for number in times:
                times[number].append(_timed_on(number, count, seconds / 4, busy=busy, seed=repeat))
        ratios = [one / two for one, two in zip(times[1], times[2], strict=True)]
        kind = "compute on one thread" if busy else "sleep"
        one, two = (statistics.median(times[number]) for number in times)
        print(
            f"steps that {kind}: one worker {one:.1f} s, two {two:.1f} s, "
            f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def _timed_on(number: int, count: int, seconds: float, *, busy: bool, seed: int) -> float:
    with tempfile.TemporaryDirectory(prefix="paretoscope-") as name:
        folder = Path(name)
        far = f"file://{folder / 'far'}"
        cluster = Cluster(folder / "cluster", {"PARETOSCOPE_STORE": far})
        for each in range(number):
            cluster.add_worker(PARETOSCOPE_HOME=str(folder / f"worker-{each}"))
        cluster.wait_for(number)
        settings = Settings(home=folder / "home", store=far, dask=cluster.address, workers=number)
        queue = _queue(settings, DaskExecutor, seconds, busy=busy)
        _sweep(queue, 2 * number, seed=10**6)
        taken = _sweep(queue, count, seed=seed)
        queue.close()
        cluster.close()
        return taken


def plan(runs: int = 100_000) -> None:
    """Simulates runs on many workers. Every run waits for its driver, the scheduler and a worker, in turn.

    One app drives with one processor, and so does the scheduler: what they need per run (``overhead``) is the most that
    can pass through them. Lengths are those of the runs in the history of ``PARETOSCOPE_HOME``.
    """
    lengths = _lengths(Settings())
    cost = overhead(2)
    print(
        f"\n{runs:,} runs like {len(lengths)} that were measured: {statistics.mean(lengths):.1f} s of steps on average"
    )
    print("| workers | apps | hours | workers busy | runs per second | held up by |\n|--:|--:|--:|--:|--:|---|")
    for count, apps in ((10, 1), (100, 1), (300, 1), (1000, 1), (1000, 4), (1000, 16)):
        hours, busy, app, scheduler = simulate(runs, lengths, count, apps, cost["app"], cost["scheduler"])
        held = max((busy, "workers"), (app, "the app's processor"), (scheduler, "the scheduler"))[1]
        rate = runs / hours / 3600
        print(f"| {count:,} | {apps} | {hours:.2f} | {busy:.0%} | {rate:.1f} | {held} |", flush=True)


def _lengths(settings: Settings) -> list[float]:
    """Seconds of the steps that each finished run of a history, trials of searches included, computed itself."""
    history = History(settings.history_url)
    done = history.runs(states=["done"], study=None)
    found = [sum(s.seconds for s in run.stages if s.origin == "computed") for run in done]
    history.close()
    lengths = [seconds for seconds in found if seconds]
    if len(lengths) < 10:
        raise SystemExit("Fewer than 10 runs of this history computed something; name a PARETOSCOPE_HOME with more.")
    return lengths


def simulate(
    runs: int, lengths: Sequence[float], workers: int, apps: int, app_seconds: float, scheduler_seconds: float
) -> tuple[float, float, float, float]:
    """Hours that a plan takes, and the shares of that time in which workers, an app and the scheduler are busy.

    A queueing network in which runs take a driver's processor, the scheduler's and a worker one after the other; each
    serves who came first.
    """
    app_free, scheduler_free = [0.0] * apps, 0.0
    worker_free = [0.0] * workers
    heapq.heapify(app_free)
    heapq.heapify(worker_free)
    end = work = 0.0
    for number in range(runs):
        length = lengths[number % len(lengths)]
        asked = heapq.heappop(app_free) + app_seconds
        heapq.heappush(app_free, asked)
        scheduler_free = max(scheduler_free, asked) + scheduler_seconds
        started = max(heapq.heappop(worker_free), scheduler_free)
        heapq.heappush(worker_free, started + length)
        end, work = max(end, started + length), work + length
    return end / 3600, work / (end * workers), runs * app_seconds / apps / end, runs * scheduler_seconds / end


def chaos(rounds: int = 10, runs: int = 100, kills: int = 12) -> None:
    """Sweeps of stand-ins and two real runs, with kill -9 of children, workers, the scheduler and the app."""
    from tests.chaos import sweep

    print("| round | kills | seconds | states | tried again | finished and lost | steps done twice | doctor |")
    print("|--:|--:|--:|---|--:|--:|--:|---|", flush=True)
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="paretoscope-") as folder:
            found = sweep(Path(folder), runs=runs, kills=kills, real=2, seed=number)
        states = ", ".join(f"{count} {state}" for state, count in found.states.items())
        doctor = "; ".join(f.check for f in found.problems) or "no problem"
        print(
            f"| {number + 1} | {found.kills.total()} | {found.seconds:.0f} | {states} | {found.retried} | "
            f"{len(found.lost)} | {found.twice} | {doctor} |",
            flush=True,
        )


def _queue(
    settings: Settings, executor: Callable[[Settings], Executor], seconds: float = 0.0, *, busy: bool = False
) -> JobQueue:
    return JobQueue(settings, StandIns(executor(settings), seconds, busy=busy))


def _sweep(queue: JobQueue, count: int, seed: int) -> float:
    """Seconds that so many runs take that share nothing but their baseline."""
    recipes = [parse(f"magnitude_pruning(target_sparsity={0.05 + 0.9 * n / count:.5f})+int8") for n in range(count)]
    started = time.monotonic()
    runs = queue.submit(MODEL, DATA, recipes, seed=seed)
    queue.wait([run.id for run in runs])
    taken = time.monotonic() - started
    states = {run.state for run in queue.history.runs([run.id for run in runs])}
    assert states == {"done"}, states
    return taken


def _processor(pid: int) -> float:
    """Seconds of processor time of a process, without its children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
