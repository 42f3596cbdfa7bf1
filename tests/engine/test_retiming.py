"""Files are timed once more: all in turn, whoever asks, and nothing of the former times stays beside the new ones."""

from __future__ import annotations

import threading
from collections import namedtuple

import pytest

from optimizers.engine import progress
from optimizers.engine.queue import JobQueue
from optimizers.engine.retiming import name_of, retime
from optimizers.errors import Cancelled, NotApplicable
from optimizers.history.frames import comparison, measurements_of
from optimizers.litert import others
from optimizers.recipe import parse
from optimizers.records import Measurement
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor
from tests.engine.waiting import wait_until

MODEL, DATA = "sample:digits_cnn", "sample:optdigits"


@pytest.fixture
def queue(tmp_path):
    settings = Settings(home=tmp_path / "home", workers=2)
    found = JobQueue(settings, FakeExecutor(settings), resume=False)
    yield found
    found.close()


@pytest.fixture
def runs(queue):
    started = [run.id for run in queue.submit(MODEL, DATA, [parse("int8"), parse("float16")])]
    queue.wait(started)
    return queue.history.runs(started)


def slower(executor, monkeypatch, entered=None, going_on=None):
    """From now on everything takes twice as long."""
    plain = executor.time_latency

    def time_latency(on_event, cancelled, **params):
        if entered is not None:
            entered.set()
            going_on.wait(20)
            if cancelled():
                raise Cancelled("It was stopped.")
        found = plain(on_event, cancelled, **params)
        return [{"measurements": [m | {"value": 2 * m["value"]} for m in one["measurements"]]} for one in found]

    monkeypatch.setattr(executor, "time_latency", time_latency)


def test_all_files_are_timed_in_one_go_with_their_original(queue, runs, monkeypatch):
    executor = queue.driver.executor
    tasks, files = executor.asked["time_latency"], executor.asked["timed"]
    slower(executor, monkeypatch)
    before = {run.id: measurements_of(queue.history, run)["latency_ms"].value for run in runs}
    assert retime(queue.driver, runs).files == 3
    assert executor.asked["time_latency"] == tasks + 1
    assert executor.asked["timed"] == files + 3
    for run in runs:
        assert measurements_of(queue.history, run)["latency_ms"].value == 2 * before[run.id]
    assert progress.read(queue.settings.home / "progress", name_of(runs)) is None


def test_what_only_the_former_timing_told_is_gone_and_other_figures_stay(queue, runs):
    run, before = runs[0], measurements_of(queue.history, runs[0])
    gone = before["latency_ms"].model_copy(update={"metric": "latency_p99_ms", "version": "1"})
    assert gone.device
    elsewhere = gone.model_copy(update={"device": "a phone", "source": "browser"})
    queue.history.record([gone, elsewhere])
    retime(queue.driver, [run])
    left = queue.history.measurements([run.artifact_digest])
    assert {m.device for m in left if m.metric == "latency_p99_ms"} == {"a phone"}
    assert {m.metric for m in left if m.device != "a phone"} == before.keys()


def test_a_page_asks_again_until_it_has_ended(queue, runs, monkeypatch):
    assert queue.retiming.look(runs) is None
    entered, going_on = threading.Event(), threading.Event()
    slower(queue.driver.executor, monkeypatch, entered, going_on)
    queue.retiming.start(runs)
    assert entered.wait(20)
    assert queue.retiming.look(runs).pending
    going_on.set()
    wait_until(lambda: not queue.retiming.look(runs).pending)
    assert queue.retiming.look(runs).retimed.files == 3


def test_who_cancels_keeps_the_former_times(queue, runs, monkeypatch):
    before = [m.model_dump() for m in queue.history.measurements([runs[0].artifact_digest])]
    entered, going_on = threading.Event(), threading.Event()
    slower(queue.driver.executor, monkeypatch, entered, going_on)
    queue.retiming.start(runs)
    assert entered.wait(20)
    queue.retiming.cancel(runs)
    wait_until(lambda: queue.retiming.look(runs).cancelled)
    going_on.set()
    assert [m.model_dump() for m in queue.history.measurements([runs[0].artifact_digest])] == before


def test_files_that_are_gone_are_told(queue, runs):
    queue.store.remove(runs[0].artifact_key)
    found = retime(queue.driver, runs)
    assert found.files == 2
    assert [run.id for run in found.gone] == [runs[0].id]
    queue.store.remove(runs[1].artifact_key)
    with pytest.raises(NotApplicable, match="run their recipes again"):
        retime(queue.driver, runs)
    queue.retiming.start(runs)
    wait_until(lambda: not queue.retiming.look(runs).pending)
    assert "run their recipes again" in queue.retiming.look(runs).problem


def test_a_comparison_knows_whether_its_files_were_timed_in_turn_and_who_else_was_at_work(queue, runs):
    told = [m for run in runs for m in queue.history.measurements([run.artifact_digest]) if m.device]
    queue.history.record(Measurement.model_validate(m.model_dump() | {"others": 1.5}) for m in told)
    frame = comparison(queue.history, [run.id for run in runs])
    assert set(frame["others"].dropna()) == {1.5}
    assert len(frame["timed_at"].dropna()) == 3


def test_others_are_all_but_the_timing_process_and_its_children(monkeypatch):
    system = namedtuple("system", "user nice system idle iowait steal guest")
    own = namedtuple("own", "user system children_user children_system")
    of_all = iter([system(100, 5, 10, 900, 3, 1, 2), system(106, 5, 11, 950, 90, 2, 50)])
    of_own = iter([own(1, 1, 10, 0), own(1, 1, 13, 1)])
    clock = iter([1000.0, 1002.0])

    class Process:
        def __init__(self, number):
            assert number == 77

        def cpu_times(self):
            return next(of_own)

    monkeypatch.setattr(others.psutil, "Process", Process)
    monkeypatch.setattr(others.psutil, "cpu_times", lambda: next(of_all))
    monkeypatch.setattr(others, "monotonic", lambda: next(clock))
    seen = others.Others(77)
    assert seen.cores is None
    with seen.watched():
        pass
    assert seen.cores == pytest.approx((6 + 1 + 1 - 4) / 2)
