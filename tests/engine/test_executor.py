"""The executor's contract: results, refusals, deaths in words, limits, cancelling, isolation, the latency lane."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from optimizers.engine.cluster import DaskExecutor
from optimizers.engine.executor import _KEPT_FOR_VISITORS, LocalExecutor
from optimizers.engine.versions import device
from optimizers.engine.worker import Task, Worker
from optimizers.errors import Cancelled, NotApplicable, Unexpected, WorkerDied
from optimizers.settings import Settings
from tests.dask_cluster import Cluster
from tests.engine.waiting import wait_until

FAKES = "tests.engine.fake_tasks"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Dask cluster whose one worker keeps its results in a home of its own, behind the URL of all."""
    folder = tmp_path_factory.mktemp("cluster")
    usual = {
        "PARETOSCOPE_HOME": str(folder / "worker"),
        "PARETOSCOPE_STORE": f"file://{folder / 'far'}",
        "AWS_SECRET_ACCESS_KEY": "hidden",
    }
    cluster = Cluster(folder, usual)
    cluster.add_worker(threads=6)
    cluster.wait_for(1)
    yield cluster, folder
    cluster.close()


@pytest.fixture(params=["local", "dask"])
def executor(request, tmp_path):
    """The executors: what follows is true of all of them."""
    if request.param == "local":
        executor = LocalExecutor(Settings(home=tmp_path / "home"))
        executor.worker_home = tmp_path / "home"
    else:
        cluster, folder = request.getfixturevalue("cluster")
        settings = Settings(home=tmp_path / "home", store=f"file://{folder / 'far'}", dask=cluster.address)
        executor = DaskExecutor(settings)
        executor.worker_home = folder / "worker"
    yield executor
    executor.close()


def run(executor, name, cancelled=lambda: False, events=None, lane="work", **params):
    log = str(executor._settings.logs / "task.log")
    task = Task(f"{FAKES}:{name}", params, "light", lane, log)
    return executor.run(task, (events if events is not None else []).append, cancelled)


def test_a_result_and_its_progress_come_back(executor):
    events = []
    assert run(executor, "echo", events=events, value=[1, {"a": None}])["value"] == [1, {"a": None}]
    assert {"type": "progress", "step": 1, "of": 1, "metrics": {"loss": 0.5}} in events


def test_a_worker_stays_warm_between_tasks(executor):
    assert run(executor, "echo", value=1)["pid"] == run(executor, "echo", value=2)["pid"]


def test_a_refusal_keeps_its_class_and_its_words(executor):
    with pytest.raises(NotApplicable, match=r"^This model has no layer to prune\.$"):
        run(executor, "refuse")
    assert run(executor, "echo", value=1)


def test_a_fault_is_one_sentence_with_the_traceback_kept_apart(executor):
    with pytest.raises(Unexpected) as caught:
        run(executor, "fault")
    assert "ZeroDivisionError: division by zero" in caught.value.message
    assert "\n" not in caught.value.message
    assert "Traceback" in caught.value.detail


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("segfault", {}, "segmentation fault"),
        ("leave", {}, "ended with status 3"),
        ("die", {"number": int(signal.SIGKILL)}, "SIGKILL"),
        ("die", {"number": int(signal.SIGTERM)}, "SIGTERM"),
    ],
)
def test_a_death_is_told_in_words_and_the_next_task_works(executor, name, params, words):
    with pytest.raises(WorkerDied, match=words):
        run(executor, name, **params)
    assert run(executor, "echo", value=1)


def test_too_much_memory_ends_the_task(tmp_path):
    executor = LocalExecutor(Settings(home=tmp_path, memory_mib=512))
    try:
        with pytest.raises(WorkerDied, match="512 MiB"):
            run(executor, "eat", mib=800)
    finally:
        executor.close()


def test_too_much_time_ends_the_task(tmp_path):
    executor = LocalExecutor(Settings(home=tmp_path, task_minutes=0.005))
    try:
        with pytest.raises(WorkerDied, match=r"0\.005 minutes"):
            run(executor, "sleep", seconds=60)
    finally:
        executor.close()


def test_cancelling_really_stops_the_process(executor, tmp_path):
    mark = tmp_path / "started"
    pid = run(executor, "echo", value=1)["pid"]
    with pytest.raises(Cancelled):
        run(executor, "sleep", cancelled=mark.exists, seconds=60, mark=str(mark))
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.1)
    pytest.fail("the process went on for ten seconds")


def test_what_a_cancelled_process_left_half_written_is_removed(executor, tmp_path):
    mark, drafts = tmp_path / "started", Settings(home=executor.worker_home).results / "drafts"
    left, ours = drafts / f"{run(executor, 'echo', value=1)['pid']}-left", drafts / f"{os.getpid()}-ours"
    for folder in (left, ours):
        folder.mkdir(parents=True)
    with pytest.raises(Cancelled):
        run(executor, "sleep", cancelled=mark.exists, seconds=60, mark=str(mark))
    for _ in range(100):
        if not left.exists():
            break
        time.sleep(0.1)
    assert not left.exists()
    assert ours.exists()
    ours.rmdir()


def test_closing_ends_running_tasks(executor, tmp_path):
    mark, caught = tmp_path / "started", []

    def work():
        with pytest.raises(Cancelled) as error:
            run(executor, "sleep", seconds=60, mark=str(mark))
        caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not mark.exists():
        time.sleep(0.02)
    executor.close()
    thread.join(20)
    assert caught


def test_a_process_that_is_slow_to_die_holds_nobody_up(tmp_path, monkeypatch):
    monkeypatch.setattr("optimizers.engine.worker._DYING_SECONDS", 0.0)
    worker = Worker("light", Settings(home=tmp_path))
    process = psutil.Process(worker.pid)
    worker.kill()
    assert not worker.alive
    worker.kill()  # as who gives it back does
    assert [thread.name for thread in threading.enumerate()].count("dying") <= 1
    process.wait(10)


def test_a_process_comes_after_pages_already_while_it_starts(tmp_path):
    worker = Worker("light", Settings(home=tmp_path), 10)
    try:
        process = psutil.Process(worker.pid)
        wait_until(lambda: process.nice() - psutil.Process().nice() == 10)
        assert worker.tasks_done == 0
    finally:
        worker.kill()


@pytest.mark.parametrize("visited", [False, True])
def test_what_nobody_waits_for_comes_after_pages_and_timing_does_not(tmp_path, visited):
    executor = LocalExecutor(Settings(home=tmp_path), visited=visited)

    def done(lane: str, pool: str = "light") -> tuple[int, set[int]]:
        """Number of the process, and by how much it and its threads come after this one."""
        task = Task("tests.engine.fake_tasks:echo", {"value": 1}, pool, lane, str(tmp_path / "log"))
        process = psutil.Process(executor.run(task, lambda event: None, lambda: False)["pid"])
        threads = {os.getpriority(os.PRIO_PROCESS, thread.id) for thread in process.threads()}
        return process.pid, {each - psutil.Process().nice() for each in (process.nice(), *threads)}

    try:
        first, niceness = done("interactive")
        assert niceness == {0}
        polite = {10} if visited else {0}
        assert [done("work"), done("work")] == 2 * [(first, polite)], "it lowers itself once"
        second, niceness = done("interactive")
        assert (second != first, niceness) == (visited, {0})
        assert done("alone") == (second, {0})
        assert done("work")[0] == first
        first, niceness = done("interactive", "tensorflow")
        assert niceness == ({5} if visited else {0})
        assert done("work", "tensorflow") == (first, {10})
        second, niceness = done("interactive", "tensorflow")
        assert (second != first, niceness) == ((True, {5}) if visited else (False, {10})), (
            "one more is warm for visitors"
        )
        assert done("work", "tensorflow") == (first, {10})
    finally:
        executor.close()


def test_processes_of_visitors_are_kept_before_those_that_have_worked(tmp_path, monkeypatch):
    monkeypatch.setitem(_KEPT_FOR_VISITORS, "light", 1)
    executor = LocalExecutor(Settings(home=tmp_path / "home", workers=1), visited=True)

    def pair(lane, name):
        """Numbers of the processes of two tasks that are under way at the same time."""
        marks = [str(tmp_path / f"{name}{number}") for number in range(2)]

        def one(mark):
            return run(executor, "meet", lane=lane, mark=mark, others=marks)

        with ThreadPoolExecutor(2) as threads:
            return set(threads.map(one, marks))

    try:
        worked = pair("work", "first")
        visitors = pair("interactive", "second")
        assert not worked & visitors
        assert pair("interactive", "third") == visitors
        again = pair("work", "fourth")
        assert len(again & worked) == 1, "one too many was kept"
    finally:
        executor.close()


def test_a_device_is_named(executor):
    assert executor.devices() == {device()}


def test_a_worker_knows_no_secrets(executor, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    known = run(executor, "environment")
    assert "AWS_SECRET_ACCESS_KEY" not in known
    assert known["TF_USE_LEGACY_KERAS"] == "1"
    assert not {"PARETOSCOPE_STORE", "PARETOSCOPE_HISTORY", "PARETOSCOPE_DASK"} & known.keys()
    assert known["PARETOSCOPE_HOME"] == str(executor.worker_home)


def test_what_a_task_prints_goes_to_its_log(executor):
    run(executor, "say", text="hello")
    assert (executor._settings.logs / "task.log").read_text() == "hello\nnative noise\n"


def test_measuring_alone_never_overlaps_other_work(executor, tmp_path):
    path = tmp_path / "trace"
    jobs = [("work", "a"), ("work", "b"), ("alone", "X"), ("work", "c"), ("alone", "Y")]
    threads = [
        threading.Thread(
            target=run,
            args=(executor, "appended"),
            kwargs={"lane": lane, "path": str(path), "text": text, "seconds": 0.3},
        )
        for lane, text in jobs
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    trace = path.read_text()
    assert "+X-X" in trace
    assert "+Y-Y" in trace
    assert len(trace) == 4 * len(jobs)


@pytest.mark.parametrize("visited", [False, True])
def test_what_somebody_waits_for_needs_no_place_among_long_work(tmp_path, visited):
    executor = LocalExecutor(Settings(home=tmp_path / "home"), visited=visited)
    ended = threading.Event()

    def work(mark):
        with pytest.raises(Cancelled):
            run(executor, "sleep", cancelled=ended.is_set, seconds=600.0, mark=str(mark))

    marks = [tmp_path / str(number) for number in range(4)]  # more than may work at the same time
    threads = [threading.Thread(target=work, args=(mark,)) for mark in marks]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: sum(mark.exists() for mark in marks) == 3)
        assert run(executor, "echo", lane="interactive", value=1)["value"] == 1
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        executor.close()


def test_measuring_alone_lets_somebody_who_waits_for_a_page_go_first(executor, tmp_path):
    path = tmp_path / "trace"
    measuring = threading.Thread(
        target=run,
        args=(executor, "appended_in_pieces"),
        kwargs={"lane": "alone", "path": str(path), "text": "X", "seconds": 4.0, "pieces": 20},
    )
    measuring.start()
    wait_until(path.exists)
    run(executor, "appended", lane="interactive", path=str(path), text="p", seconds=0.3)
    measuring.join()
    trace = path.read_text()
    assert "+p-p" in trace, "nothing was measured meanwhile"
    assert trace.replace("+p-p", "") == 20 * "+X-X"
    assert not trace.endswith("+p-p"), "nobody had to wait until all was measured"


def test_a_worker_and_what_it_started_die_with_their_owner(tmp_path):
    import subprocess
    import sys

    script = f"""
import os, signal
from pathlib import Path
from optimizers.engine.cluster import DaskExecutor
from optimizers.engine.executor import _KEPT_FOR_VISITORS, LocalExecutor
from optimizers.engine.versions import device
from optimizers.engine.worker import Task
from optimizers.settings import Settings
from tests.dask_cluster import Cluster
from tests.engine.waiting import wait_until
executor = LocalExecutor(Settings(home=Path({str(tmp_path)!r})))
task = Task("{FAKES}:start_another", {{}}, "light", "work", {str(tmp_path / "log")!r})
print(*executor.run(task, lambda event: None, lambda: False), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    left = [int(pid) for pid in done.stdout.split()]
    assert len(left) == 2
    for _ in range(100):
        left = [pid for pid in left if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
        if not left:
            return
        time.sleep(0.1)
    pytest.fail("the worker, or what it started, outlived its owner by ten seconds")
