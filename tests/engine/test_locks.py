"""Locks by name: one contract for files and for leases in a database; leases end with their holders."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from optimizers.doctor import examine
from optimizers.engine.locks import FileLocks, Leases, locks_of
from optimizers.engine.queue import JobQueue
from optimizers.engine.store import open_store
from optimizers.history import tables
from optimizers.history.database import History
from optimizers.recipe import parse
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor

ROOT = Path(__file__).parents[2]
MODEL, DATA = "sample:digits_cnn", "sample:optdigits"


@pytest.fixture
def history_url(postgres_server):
    return postgres_server.new_database()


@pytest.fixture(params=["files", "leases, SQLite", "leases, PostgreSQL"])
def pair(request, tmp_path):
    """The same locks as two hosts (with files: two processes) see them."""
    if request.param == "files":
        yield FileLocks(tmp_path), FileLocks(tmp_path)
        return
    sqlite = f"sqlite:///{tmp_path / 'h.db'}"
    url = sqlite if "SQLite" in request.param else request.getfixturevalue("history_url")
    histories = [History(url), History(url)]
    both = [Leases(history.engine, seconds=2.0) for history in histories]
    yield both
    for locks, history in zip(both, histories, strict=True):
        locks.close()
        history.close()


def test_one_holds_a_lock_at_a_time(pair):
    here, there = pair
    claim = here.claim("run-a")
    assert not claim.lost
    assert there.claim("run-a") is None
    assert here.claim("run-a") is None
    there.claim("run-b").release()
    claim.release()
    there.claim("run-a").release()


def test_sweeping_leaves_locks_that_are_held_and_flags_alone(pair):
    here, there = pair
    claim = here.claim("run-a")
    here.raise_flag("cancel")
    there.sweep()
    assert there.claim("run-a") is None
    assert there.flag("cancel")
    claim.release()


def test_leases_of_holders_that_are_gone_are_swept_away(tmp_path):
    history = History(f"sqlite:///{tmp_path / 'h.db'}")
    with history.engine.begin() as connection:
        for name, expires in (("long-gone", 1.0), ("held", 1e12)):
            connection.execute(sa.insert(tables.leases).values(name=name, holder=name, expires=expires))
    Leases(history.engine).sweep()
    with history.engine.connect() as connection:
        assert connection.execute(sa.select(tables.leases.c.name)).scalars().all() == ["held"]
    history.close()


def test_a_lock_is_held_longer_than_a_lease_lasts(pair):
    here, there = pair
    claim = here.claim("run-a")
    time.sleep(3.0)
    assert not claim.lost
    assert there.claim("run-a") is None
    claim.release()


def test_work_under_one_name_never_overlaps(pair):
    trace, waited = [], []

    def work(locks):
        with locks.exclusive("stage-x", lambda: None, lambda: waited.append(1)):
            trace.append("+")
            time.sleep(0.05)
            trace.append("-")

    threads = [threading.Thread(target=work, args=(pair[number % 2],)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "".join(trace) == "+-" * 6
    assert waited


def test_whoever_waits_can_be_told_to_stop(pair):
    here, there = pair
    claim = here.claim("stage-x")

    def check():
        raise KeyError

    with pytest.raises(KeyError), there.exclusive("stage-x", check, lambda: None):
        pass
    claim.release()


def test_flags_are_seen_by_all(pair):
    here, there = pair
    assert not there.flag("run-a")
    here.raise_flag("run-a")
    here.raise_flag("run-a")
    time.sleep(1.1)
    assert there.flag("run-a")
    assert there.flags() == ["run-a"]
    there.lower_flag("run-a")
    time.sleep(1.1)
    assert not here.flag("run-a")


def test_the_lease_of_a_killed_process_ends(history_url):
    script = (
        "import os, signal, sys\n"
        "from optimizers.engine.locks import Leases\n"
        "from optimizers.history.database import History\n"
        "assert Leases(History(sys.argv[1]).engine, seconds=2.0).claim('run-a')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script, history_url], env=environment, cwd=ROOT, check=False)
    history = History(history_url)
    locks = Leases(history.engine, seconds=2.0)
    started = time.monotonic()
    while (claim := locks.claim("run-a")) is None:
        assert time.monotonic() - started < 10
        time.sleep(0.1)
    claim.release()
    locks.close()
    history.close()


def test_a_lease_that_somebody_took_is_known_to_be_lost(history_url):
    history = History(history_url)
    locks = Leases(history.engine, seconds=2.0)
    claim = locks.claim("run-a")
    with history.engine.begin() as connection:
        connection.execute(sa.text("UPDATE leases SET holder = 'another'"))
    time.sleep(1.5)
    assert claim.lost
    locks.close()
    history.close()


def test_locks_follow_from_the_history(tmp_path, history_url):
    here = History(f"sqlite:///{tmp_path / 'h.db'}")
    far = History(history_url)
    assert not locks_of(Settings(home=tmp_path), here).shared
    assert locks_of(Settings(home=tmp_path), far).shared
    here.close()
    far.close()


@pytest.fixture
def opened(tmp_path, history_url, monkeypatch):
    """Opens queues of different hosts: a home each, one history and one store for all."""
    monkeypatch.setattr("optimizers.engine.queue._SECONDS_BETWEEN_TRIES", 0.5)
    monkeypatch.setattr("optimizers.engine.locks.LEASE_SECONDS", 3.0)
    queues = []

    def open_queue(name, pause=0.0, **options):
        settings = Settings(home=tmp_path / name, history=history_url, store=f"file://{tmp_path / 'far'}", workers=2)
        queue = JobQueue(settings, FakeExecutor(settings, pause), **options)
        queues.append(queue)
        return queue

    yield open_queue
    for queue in queues:
        queue.close()


def asked(queue, name):
    return queue.driver.executor.asked[name]


def test_two_hosts_share_runs_and_compute_nothing_twice(opened):
    one, two = opened("one", 0.3), opened("two", 0.3)
    recipes = [parse(text) for text in ("int8", "float16", "magnitude_pruning+int8", "magnitude_pruning", "int16x8")]
    runs = one.submit(MODEL, DATA, recipes)
    two.wait([run.id for run in runs], 90)
    assert {run.state for run in one.history.runs()} == {"done"}
    for technique in ("int8", "float16", "magnitude_pruning", "int16x8"):
        assert asked(one, technique) + asked(two, technique) == (2 if technique == "int8" else 1)
    for queue in (one, two):
        store = open_store(queue.settings)
        assert all(store.path(store.get(run.artifact_key)).exists() for run in one.history.runs())
    assert [f for f in examine(two.settings) if f.level == "problem"] == []


def test_a_run_is_cancelled_from_another_host(opened):
    one, two = opened("one", 30), opened("two", resume=False)
    (run,) = one.submit(MODEL, DATA, [parse("int8")])
    while two.history.run(run.id).state != "running":
        time.sleep(0.05)
    two.cancel(run.id)
    one.wait([run.id], 30)
    assert one.history.run(run.id).state == "cancelled"


def test_runs_survive_a_database_server_that_dies_and_comes_back(opened, postgres_server):
    queue = opened("one", 0.5)
    runs = queue.submit(MODEL, DATA, [parse(text) for text in ("int8", "float16", "magnitude_pruning+int8")])
    while not asked(queue, "float32"):
        time.sleep(0.05)
    postgres_server.stop()
    time.sleep(1.0)
    postgres_server.start()
    queue.wait([run.id for run in runs], 90)
    assert {run.state for run in queue.history.runs()} == {"done"}
