"""One visitor cannot take all of a shared server, and is told what to do about it."""

from __future__ import annotations

import pytest

from optimizers import quotas
from optimizers.engine.store import Store
from optimizers.errors import UserError
from optimizers.history.database import History
from optimizers.records import DatasetRef, ModelRef, Run, StageRecord
from optimizers.settings import Settings

MINE = "user:a"


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path, session_runs=3, session_store_mib=1)


@pytest.fixture
def history(settings):
    history = History(settings.history_url)
    yield history
    history.close()


def run(name, scope="shared", state="queued", stages=()):
    model = ModelRef(name="m", uri="sample:m", digest="1" * 64, scope=scope)
    data = DatasetRef(name="d", uri="sample:d", digest="2" * 64)
    told = tuple(StageRecord(key=key, technique="int8", origin="computed", seconds=1) for key in stages)
    return Run(
        id=name, scope=scope, model=model, dataset=data, recipe="int8", steps=(), seed=0, state=state, stages=told
    )


def check(history, settings, more=1, started=()):
    quotas.check(history, Store(settings.results), settings, MINE, started, more)


def test_runs_that_wait_or_work_are_limited_for_each_visitor(history, settings):
    history.add([run("a", MINE), run("b", MINE, "running"), run("c", MINE, "done"), run("d", "user:b"), run("e")])
    check(history, settings)
    with pytest.raises(UserError, match="2 runs that wait or work, and 2 more would exceed 3"):
        check(history, settings, more=2)
    with pytest.raises(UserError, match="3 runs"):
        check(history, settings, started=["e"])  # a sample's run counts for whoever started it


def test_results_are_limited_for_each_visitor_and_shared_ones_count_once(history, settings):
    store = Store(settings.results)
    keys = [letter * 64 for letter in "ab"]
    for key in keys:
        with store.draft() as draft:
            (draft / "model.tflite").write_bytes(b"x" * 600_000)
            store.commit(draft, key, "tflite", "model.tflite", {})
    history.add([run("a", MINE, "done", keys[:1]), run("b", MINE, "done", keys[:1]), run("c", "user:b", "done", keys)])
    check(history, settings)
    history.add([run("d", MINE, "done", keys[1:]).model_copy(update={"study": "search"})])
    with pytest.raises(UserError, match="take up 1 MiB, more than the 1 MiB"):
        check(history, settings)
    history.delete(["d"])
    check(history, settings)
