"""Runs on a Dask cluster: files travel, measurements name their machine, and what is lost is done again, once."""

from __future__ import annotations

import contextlib
import json
import threading
import time

import numpy as np
import psutil
import pytest

from optimizers.doctor import examine
from optimizers.engine import given
from optimizers.engine.cluster import DaskExecutor, executor_of
from optimizers.engine.queue import JobQueue
from optimizers.engine.worker import Task
from optimizers.errors import Cancelled, Unreachable, UserError, WorkerDied, WorkFailed
from optimizers.recipe import parse
from optimizers.settings import Settings
from tests.dask_cluster import Cluster, kill

FAKES = "tests.engine.fake_tasks"


@pytest.fixture
def far(tmp_path):
    return f"file://{tmp_path / 'far'}"


@pytest.fixture
def cluster(tmp_path, far):
    """A cluster without workers so far; they have a home of their own each, behind the same URL."""
    cluster = Cluster(tmp_path / "cluster", {"PARETOSCOPE_STORE": far, "PARETOSCOPE_TIMING_SECONDS": "0.2"})
    yield cluster
    cluster.close()


@pytest.fixture
def settings(tmp_path, far, cluster):
    return Settings(home=tmp_path / "home", store=far, dask=cluster.address, timing_seconds=0.2)


@pytest.fixture
def executor(settings):
    executor = DaskExecutor(settings)
    yield executor
    executor.close()


def run(executor, name, lane="work", events=None, cancelled=lambda: False, **params):
    task = Task(f"{FAKES}:{name}", params, "light", lane, str(executor._settings.logs / "task.log"))
    return executor.run(task, (events if events is not None else []).append, cancelled)


def in_thread(work, *args, **options):
    """Starts some work; calling what is given back waits for its result, or raises what it raised."""
    told = []

    def do():
        try:
            told.append((work(*args, **options), None))
        except BaseException as problem:
            told.append((None, problem))

    thread = threading.Thread(target=do)
    thread.start()

    def result(seconds=90):
        thread.join(seconds)
        assert told, "it has not ended"
        if told[0][1] is not None:
            raise told[0][1]
        return told[0][0]

    return result


def wait_for(path):
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    pytest.fail("waited thirty seconds in vain")


def test_a_lost_worker_costs_only_time_and_its_children_die_with_it(cluster, executor, tmp_path):
    first = cluster.add_worker(PARETOSCOPE_HOME=str(tmp_path / "one"))
    cluster.wait_for(1)
    mark = tmp_path / "mark"
    result = in_thread(run, executor, "slow_echo", mark=str(mark), seconds=3.0, value=7)
    wait_for(mark)
    children = psutil.Process(first.pid).children()
    kill(first)
    cluster.add_worker(PARETOSCOPE_HOME=str(tmp_path / "two"))
    assert result()["value"] == 7
    assert mark.read_text().count("+") == 2
    assert mark.read_text().count("-") == 1  # run to its end once
    assert children
    assert not [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_a_task_goes_on_after_the_scheduler_was_killed_and_started_again(cluster, executor, tmp_path):
    worker = cluster.add_worker(nanny=True, PARETOSCOPE_HOME=str(tmp_path / "one"))
    cluster.wait_for(1)
    mark = tmp_path / "mark"
    result = in_thread(run, executor, "slow_echo", mark=str(mark), seconds=20.0, value=7)
    wait_for(mark)
    kill(cluster.scheduler)
    cluster.start_scheduler()
    worker.wait(60)  # a worker ends with its scheduler, and whatever started it starts it again
    cluster.add_worker(nanny=True, PARETOSCOPE_HOME=str(tmp_path / "one"))
    assert result(120)["value"] == 7
    assert mark.read_text().count("-") == 1


def test_what_a_lost_app_had_asked_for_is_killed(cluster, executor, settings, tmp_path):
    cluster.add_worker(threads=2, PARETOSCOPE_HOME=str(tmp_path / "one"))
    cluster.wait_for(1)
    lost, mark = DaskExecutor(settings), tmp_path / "mark"
    result = in_thread(run, lost, "sleep", seconds=600, mark=str(mark))
    wait_for(mark)
    pids = {p.pid for p in psutil.Process(cluster.workers[0].pid).children()}
    lost._client.loop.add_callback(lost._client.scheduler_comm.comm.abort)  # as the network sees a process die
    lost._closed.set()
    with contextlib.suppress(Cancelled):
        result()
    for _ in range(150):
        if not [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the task went on for fifteen seconds")
    assert run(executor, "echo", value=1)["value"] == 1
    lost.close()


@pytest.mark.slow
def test_a_step_that_takes_every_worker_along_fails_in_words(cluster, executor, tmp_path):
    for number in range(5):
        cluster.add_worker(PARETOSCOPE_HOME=str(tmp_path / str(number)))
    cluster.wait_for(5)
    with pytest.raises(WorkerDied, match="was lost"):
        run(executor, "kill_owner")


def test_work_goes_to_its_label_and_waiting_is_told(cluster, settings, tmp_path):
    labelled = settings.model_copy(update={"measure_on": "pi", "work_on": "cpu"})
    executor, events = DaskExecutor(labelled), []
    cluster.add_worker(resources="cpu=1", PARETOSCOPE_HOME=str(tmp_path / "cpu"))
    cluster.wait_for(1)
    assert executor.devices() == frozenset()
    result = in_thread(run, executor, "environment", lane="alone", events=events)
    work = run(executor, "environment")
    assert work["PARETOSCOPE_HOME"].endswith("cpu")
    time.sleep(2.5)
    assert [e["why"] for e in events] == ["Waiting for a free worker of the cluster with the label pi."]
    cluster.add_worker(resources="pi=1", PARETOSCOPE_HOME=str(tmp_path / "pi"))
    assert result()["PARETOSCOPE_HOME"].endswith("pi")
    assert len(executor.devices()) == 1
    executor.close()


def test_a_label_without_a_cluster_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="PARETOSCOPE_DASK"):
        executor_of(Settings(home=tmp_path, measure_on="pi"))


def test_a_worker_that_keeps_its_results_elsewhere_is_refused(cluster, executor, tmp_path):
    cluster.add_worker(PARETOSCOPE_HOME=str(tmp_path / "one"), PARETOSCOPE_STORE="")
    cluster.wait_for(1)
    with pytest.raises(WorkFailed, match="same PARETOSCOPE_STORE"):
        run(executor, "echo", value=1)


@pytest.mark.parametrize("address", ["foo", "tls://127.0.0.1:1"])
def test_an_address_or_certificates_that_cannot_be_used_fail_no_run(tmp_path, address):
    executor = DaskExecutor(Settings(home=tmp_path, dask=address))
    with pytest.raises(Unreachable, match=r"cannot be reached as it is configured .+ correct PARETOSCOPE_DASK"):
        run(executor, "echo", value=1)
    executor.close()


def test_a_client_that_does_not_start_in_time_is_started_again(cluster, executor, monkeypatch):
    """As on a busy machine: Dask asserts that its thread has begun to run within some seconds."""
    import distributed

    tries, real = [], distributed.Client

    def client(*given, **named):
        tries.append(1)
        assert len(tries) > 1
        return real(*given, **named)

    cluster.add_worker()
    cluster.wait_for(1)
    monkeypatch.setattr(distributed, "Client", client)
    assert run(executor, "echo", value=1)["value"] == 1
    assert len(tries) == 2


def test_a_scheduler_that_is_not_there_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("optimizers.engine.cluster._CONNECTING_SECONDS", 1.0)
    executor = DaskExecutor(Settings(home=tmp_path, dask="tcp://127.0.0.1:1"))
    with pytest.raises(Unreachable, match="does not answer"):
        run(executor, "echo", value=1)
    executor.close()


def test_files_of_the_apps_machine_reach_a_worker_elsewhere(tmp_path, far):
    here, there = Settings(home=tmp_path / "here", store=far), Settings(home=tmp_path / "there", store=far)
    single, folder = tmp_path / "own" / "digits.npz", tmp_path / "own" / "images"
    (folder / "cats").mkdir(parents=True)
    single.write_bytes(b"numbers")
    (folder / "cats" / "a.png").write_bytes(b"a cat")
    (folder / "cats" / "b.png").write_bytes(b"a cat")
    params = {"dataset": f"file:{single}?scale=0..1", "model": f"file:{folder}", "other": "sample:x", "n": [1, None]}
    told = given.unpacked(params, given.packed(params, here), there)
    path, _, query = told["dataset"].removeprefix("file:").partition("?")
    assert query == "scale=0..1"
    assert path.startswith(str(there.home))
    assert path.endswith("/digits.npz")
    local = told["model"].removeprefix("file:")
    assert sorted(p.name for p in (there.home / "given").rglob("*.png")) == ["a.png", "b.png"]
    assert local.endswith("/images")
    assert {k: v for k, v in told.items() if k in ("other", "n")} == {"other": "sample:x", "n": [1, None]}


@pytest.mark.slow
def test_real_runs_on_two_workers_with_homes_of_their_own(cluster, settings, tmp_path):
    """A model and data of this machine, an upload's worth of real work; everything ends up behind the URL."""
    for name in ("one", "two"):
        cluster.add_worker(PARETOSCOPE_HOME=str(tmp_path / name))
    cluster.wait_for(2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 7)).astype("float32")
    np.savez(tmp_path / "own.npz", x=x, y=(x.sum(axis=1) * 3).astype("float32"))
    queue = JobQueue(settings)
    recipes = [parse(text) for text in ("int8", "magnitude_pruning(epochs=1)+dynamic_range", "float16")]
    runs = queue.submit("sample:mpg_mlp", "sample:auto_mpg", recipes)
    queue.wait([run.id for run in runs], 500)
    done = [queue.history.run(run.id) for run in runs]
    assert [(r.state, r.failure) for r in done] == [("done", None)] * 3
    for r in done:
        assert queue.store.path(queue.store.get(r.artifact_key)).exists()
        assert {m.metric for m in queue.history.measurements([r.artifact_digest])} >= {"size_bytes", "r2", "latency_ms"}
    assert queue.log(done[0].id) is not None
    queue.close()
    findings = [f for f in examine(settings, deep=True) if f.level == "problem"]
    assert findings == [], json.dumps([f.to_dict() for f in findings])
