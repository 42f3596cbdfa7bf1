"""Files of several runs are timed together, and one run's trouble stays its own."""

from __future__ import annotations

import threading
import time

import pytest

from optimizers.engine import timing
from optimizers.engine.queue import JobQueue
from optimizers.engine.timing import bench_of
from optimizers.errors import WorkerDied
from optimizers.recipe import parse
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor

MODEL, DATA = "sample:digits_cnn", "sample:optdigits"
RECIPES = [parse(text) for text in ("int8", "float16", "dynamic_range", "int16x8", "magnitude_pruning+int8")]


@pytest.fixture
def queue(tmp_path):
    settings = Settings(home=tmp_path / "home", workers=2)
    found = JobQueue(settings, FakeExecutor(settings, pause=0.05), resume=False)
    yield found
    found.close()


def test_runs_under_way_are_waited_for_and_timed_together_with_their_original(queue):
    runs = queue.submit(MODEL, DATA, RECIPES)
    queue.wait([run.id for run in runs])
    assert {queue.history.run(run.id).state for run in runs} == {"done"}
    asked = queue.driver.executor.asked
    assert asked["timed"] == len(RECIPES) + 1
    assert asked["time_latency"] == 1
    for run in runs:
        digest = queue.history.run(run.id).artifact_digest
        assert any(m.metric == "latency_ms" for m in queue.history.measurements([digest]))


def test_no_more_than_the_most_are_timed_together(queue, monkeypatch):
    monkeypatch.setattr(timing, "MOST_FILES", 3)
    queue.wait([run.id for run in queue.submit(MODEL, DATA, RECIPES)])
    assert queue.driver.executor.asked["time_latency"] == 2


@pytest.mark.parametrize(
    ("sizes", "count"),
    [([], 1), ([1 << 40], 1), ([1 << 20] * 30, timing.MOST_FILES), ([200 << 20, 56 << 20, 1], 2), ([1, 1 << 40], 1)],
)
def test_as_many_files_are_timed_together_as_may_be_in_memory(sizes, count):
    assert timing.fitting(sizes) == count


def test_nobody_is_waited_for_longer_than_patience_lasts(queue, monkeypatch):
    monkeypatch.setattr(timing, "PATIENCE", 0.5)
    executor, end = queue.driver.executor, threading.Event()
    plain = executor.run_stage

    def held_up(on_event, cancelled, **params):
        if params["technique"] == "magnitude_pruning":
            end.wait(30)
        return plain(on_event, cancelled, **params)

    executor.run_stage = held_up
    slow, quick = queue.submit(MODEL, DATA, [RECIPES[4], RECIPES[0]])
    queue.wait([quick.id])
    assert [queue.history.run(run.id).state for run in (slow, quick)] == ["running", "done"]
    end.set()
    queue.wait([slow.id])
    assert executor.asked["time_latency"] == 2


def test_where_the_process_dies_each_file_is_timed_with_its_original_alone(queue):
    queue.driver.executor.fail["time_latency"] = WorkerDied("The measuring process crashed.", code="sigsegv")
    runs = queue.submit(MODEL, DATA, RECIPES[:3])
    queue.wait([run.id for run in runs])
    assert {queue.history.run(run.id).state for run in runs} == {"done"}
    assert queue.driver.executor.asked["time_latency"] == 4


def test_a_run_that_is_cancelled_while_it_waits_leaves_the_others_alone(queue):
    executor, timed = queue.driver.executor, threading.Event()
    plain = executor.time_latency

    def slowly(on_event, cancelled, **params):
        timed.set()
        time.sleep(1.0)
        return plain(on_event, cancelled, **params)

    executor.time_latency = slowly
    runs = queue.submit(MODEL, DATA, RECIPES[:2])
    assert timed.wait(20)
    queue.cancel(runs[0].id)
    queue.wait([run.id for run in runs])
    assert [queue.history.run(run.id).state for run in runs] == ["cancelled", "done"]


def test_what_goes_wrong_while_others_are_waited_for_is_told(queue):
    [run] = queue.submit(MODEL, DATA, RECIPES[:1])
    queue.wait([run.id])
    run, desk = queue.history.run(run.id), queue.driver.timing
    file = queue.store.get(run.artifact_key).model_copy(update={"digest": "not timed yet"})

    def full(event):
        raise OSError("No space left on device")

    ask = timing.Ask((file,), queue.store.get(run.baseline_key), {}, "", full)
    with desk.underway(bench_of(run)), desk.underway(bench_of(run)), pytest.raises(OSError, match="No space"):
        desk.time(bench_of(run), ask, lambda: None)
