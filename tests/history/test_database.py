"""The history: what is written is read back, states change only as allowed, writers do not disturb one another."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from optimizers.errors import UnknownName, Unreachable, UserError
from optimizers.history.database import History
from optimizers.records import DatasetRef, Failure, Measurement, ModelRef, Run, now


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'history.db'}"
    return request.getfixturevalue("postgres_server").new_database()


@pytest.fixture
def history(url):
    history = History(url)
    yield history
    history.close()


def run(run_id="a", **changes):
    model = ModelRef(uri="sample:m", name="m", digest="0" * 64)
    dataset = DatasetRef(uri="sample:d", name="d", digest="1" * 64)
    fields = {"scope": "shared", "recipe": "int8", "steps": (), "seed": 0, "state": "queued"} | changes
    return Run(id=run_id, model=model, dataset=dataset, **fields)


def measured(value, **changes):
    fields = {"artifact_digest": "2" * 64, "metric": "size_bytes", "version": "1", "unit": "B", "n": 1} | changes
    return Measurement(value=value, **fields)


def test_runs_are_read_back_newest_first(history):
    early = run("a", created_at=now() - timedelta(hours=1))
    late = run("b", failure=Failure(code="x", message="A reason."), state="failed", scope="session:1")
    history.add([early, late])
    assert history.runs() == [late, early]
    assert history.runs(["a", "missing"]) == [early]
    assert history.runs(scopes=["session:1"]) == [late]
    assert history.runs(states=["queued"]) == [early]
    assert history.runs(limit=1) == [late]
    assert history.run("b") == late


def test_an_unknown_run_is_an_error_in_words(history):
    with pytest.raises(UnknownName, match="no run 'x'"):
        history.run("x")


def test_a_run_that_has_ended_stays_ended(history):
    history.add([run()])
    history.finish("a", "done", artifact_digest="2" * 64)
    history.finish("a", "cancelled")
    assert history.run("a").state == "done"
    assert history.update("a", only_from=["queued"], state="running") is None


def test_a_newer_measurement_replaces_the_older_one_of_the_same_thing(history):
    history.record([measured(10.0), measured(3.0, metric="latency_ms", device="laptop", threads=1)])
    history.record([measured(11.0), measured(4.0, metric="latency_ms", device="phone", threads=1)])
    values = sorted((m.metric, m.device, m.value) for m in history.measurements(["2" * 64]))
    assert values == [("latency_ms", "laptop", 3.0), ("latency_ms", "phone", 4.0), ("size_bytes", "", 11.0)]


def test_measurements_of_one_scope_are_hidden_from_others(history):
    history.record([measured(10.0, scope="session:1")])
    assert history.measurements(["2" * 64]) == []
    assert len(history.measurements(["2" * 64], scopes=["session:1"])) == 1


def test_many_writers_lose_nothing(url):
    History(url).close()

    def write(number):
        own = History(url)
        own.add([run(f"run-{number}")])
        for value in range(10):
            own.record([measured(float(value), artifact_digest=f"{number:064d}")])
        own.update(f"run-{number}", state="running")
        own.finish(f"run-{number}", "done")
        own.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = History(url)
    assert len(history.runs(states=["done"])) == 8
    assert len(history.measurements([f"{number:064d}" for number in range(8)])) == 8
    history.close()


def test_runs_are_found_by_words_tags_and_notes(history):
    history.add([run("a", recipe="magnitude_pruning+int8"), run("b", recipe="int8"), run("c", recipe="100%_x")])
    history.annotate("b", tags=[" for  the demo ", "for the demo", ""], note=" Ask Kim. ")
    assert history.run("b").tags == ("for the demo",)
    assert {r.id for r in history.runs(text="INT8")} == {"a", "b"}
    assert [r.id for r in history.runs(text="int8 demo kim")] == ["b"]
    assert [r.id for r in history.runs(text="%_")] == ["c"]
    assert history.runs(text="nothing") == []
    assert history.counts(text="int8") == {"queued": 2}


def test_runs_of_one_scope_and_some_more(history):
    history.add([run("a", scope="session:1"), run("b"), run("c")])
    assert {r.id for r in history.runs(scopes=["session:1"], also=["b"])} == {"a", "b"}
    assert history.counts(scopes=["session:1"], also=["b"]) == {"queued": 2}


def test_deleted_runs_come_back_until_they_are_swept_up(history):
    history.add([run("a", state="done"), run("b", state="running"), run("c", state="failed")])
    assert sorted(history.delete(["a", "b", "c", "nobody"])) == ["a", "c"]
    assert [r.id for r in history.runs()] == ["b"]
    history.restore(["a"])
    assert {r.id for r in history.runs()} == {"a", "b"}
    assert history.sweep() == 1
    history.restore(["c"])
    assert {r.id for r in history.runs()} == {"a", "b"}


def test_a_history_of_the_first_version_is_taken_over(tmp_path):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    record = run("a", recipe="int8+old").model_dump(mode="json", exclude={"tags", "note"})
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE runs (id VARCHAR(40) PRIMARY KEY, scope VARCHAR(80) NOT NULL, "
                "state VARCHAR(16) NOT NULL, created_at VARCHAR(40) NOT NULL, record JSON NOT NULL)"
            )
        )
        connection.execute(sa.text("CREATE TABLE meta (key VARCHAR(40) PRIMARY KEY, value VARCHAR(200))"))
        connection.execute(sa.text("INSERT INTO meta VALUES ('schema', '1')"))
        row = {"id": "a", "scope": "shared", "state": "done", "at": record["created_at"], "record": json.dumps(record)}
        connection.execute(sa.text("INSERT INTO runs VALUES (:id, :scope, :state, :at, :record)"), row)
    engine.dispose()
    for _ in range(2):
        history = History(url)
        assert [r.id for r in history.runs(text="old")] == ["a"]
        assert history.delete(["a"]) == ["a"]
        history.restore(["a"])
        history.close()


def test_several_may_open_a_new_history_at_once(tmp_path):
    for number in range(5):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        together = threading.Barrier(8)

        def open_it(_, url=url, together=together):
            together.wait()
            history = History(url)
            history.ping()
            history.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(open_it, range(8)))


def test_many_may_open_a_new_history_and_write_the_same_at_once(url):
    problems = []

    def write():
        try:
            own = History(url)
            for _ in range(10):
                own.record([measured(1.0), measured(2.0, metric="other")])
            own.close()
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    history = History(url)
    assert len(history.measurements(["2" * 64])) == 2
    history.close()


@pytest.mark.parametrize("url", ["nonsense", "nonsense://host/db"])
def test_a_url_that_nothing_opens_is_told_in_one_sentence(url):
    with pytest.raises(UserError, match="PARETOSCOPE_HISTORY"):
        History(url)


def test_a_history_that_does_not_answer_is_told_without_its_password():
    pytest.importorskip("psycopg")
    with pytest.raises(Unreachable, match="does not answer") as caught:
        History("postgresql+psycopg://me:secret@127.0.0.1:1/db")
    assert "secret" not in caught.value.message
