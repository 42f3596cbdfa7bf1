"""Results behind a URL: whole or not at all, first writer wins, hosts see each other's, on every file system."""

from __future__ import annotations

import json
import threading
import uuid
from io import BytesIO
from pathlib import Path

import pytest

from optimizers import remote, uploads
from optimizers.doctor import examine
from optimizers.engine.executor import LocalExecutor
from optimizers.engine.queue import JobQueue
from optimizers.engine.store import open_store
from optimizers.engine.worker import Task
from optimizers.errors import StoreDamaged, Unreachable, UserError
from optimizers.recipe import parse
from optimizers.records import digest_of
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor
from tests.remotes import s3_server

KEY = digest_of("some result")


@pytest.fixture(params=["file", "memory", "s3"])
def url(request, tmp_path, monkeypatch):
    if request.param == "s3":
        with s3_server(monkeypatch) as found:
            yield found
    else:
        yield {"file": f"file://{tmp_path / 'far'}", "memory": f"memory://{uuid.uuid4().hex}"}[request.param]


@pytest.fixture
def hosts(url, tmp_path):
    """Two homes with the same store behind them."""
    return Settings(home=tmp_path / "one", store=url), Settings(home=tmp_path / "two", store=url)


def put(store, content=b"TFL3", key=KEY):
    with store.draft() as out:
        (out / "model.tflite").write_bytes(content)
        (out / "deep").mkdir()
        (out / "deep" / "copy.bin").write_bytes(content)
        return store.commit(out, key, "tflite", "model.tflite", {"notes": ["said"]})


def test_what_one_host_stores_the_other_reads(hosts):
    here, there = map(open_store, hosts)
    assert there.get(KEY) is None
    artifact = put(here)
    assert there.get(KEY) == artifact
    assert there.path(artifact).read_bytes() == b"TFL3"
    assert there.path(artifact, "deep/copy.bin").read_bytes() == b"TFL3"
    assert there.local(KEY) == artifact
    there.verify(artifact)


def test_the_first_writer_wins_everywhere(hosts):
    here, there = map(open_store, hosts)
    first, second = put(here, b"first"), put(there, b"second")
    assert second == first
    assert there.path(first).read_bytes() == b"first"


def test_of_many_writers_at_once_one_wins_and_all_agree(url, tmp_path):
    stores = [open_store(Settings(home=tmp_path / str(number), store=url)) for number in range(6)]
    told, start = [], threading.Barrier(len(stores))

    def write(number, store):
        start.wait()
        told.append(put(store, b"%d" % number))

    threads = [threading.Thread(target=write, args=pair) for pair in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({artifact.digest for artifact in told}) == 1
    for store in stores:
        assert store.path(told[0]).read_bytes() == stores[0].path(told[0]).read_bytes()
        store.verify(told[0])


def test_a_result_whose_files_did_not_all_arrive_is_not_visible(hosts, monkeypatch):
    here, there = map(open_store, hosts)
    written = []

    def break_off(self, target, content):
        written.append(target)
        raise FileExistsError("the power went")

    monkeypatch.setattr(remote.Remote, "_create", break_off)
    with pytest.raises(FileExistsError):
        put(here)
    monkeypatch.undo()
    assert written
    assert here.get(KEY) is None
    assert there.get(KEY) is None
    assert remote.remote_of(hosts[0]).files()
    put(there)
    assert here.get(KEY) is not None


def test_a_file_that_was_changed_behind_the_url_is_noticed(hosts):
    here, there = map(open_store, hosts)
    artifact = put(here)
    far = remote.remote_of(hosts[0])
    far._fs.pipe_file(far._file(artifact.digest), b"TFL4")
    with pytest.raises(StoreDamaged, match="was changed"):
        there.path(artifact)
    assert there.local(KEY) is None
    found = {f.check: f for f in examine(hosts[0], deep=True) if f.level == "problem"}
    assert found["store-damaged"].items == (KEY,)
    assert {f.check for f in examine(hosts[0], deep=True, repair=True) if f.repaired} >= {"store-damaged"}
    assert there.get(KEY) == artifact  # the sound copy here was published again
    assert there.path(artifact).read_bytes() == b"TFL3"


def test_results_from_before_there_was_a_url_are_published_by_the_doctor(hosts, tmp_path):
    put(open_store(Settings(home=hosts[0].home)))
    there = open_store(hosts[1])
    assert there.get(KEY) is None
    found = {f.check: f for f in examine(hosts[0], repair=True) if f.level == "problem"}
    assert found["store-unpublished"].items == (KEY,)
    assert there.path(there.get(KEY)).read_bytes() == b"TFL3"
    assert [f for f in examine(hosts[0]) if f.level == "problem"] == []


def test_worker_processes_store_behind_the_url_and_know_nothing_of_it(hosts, url):
    executor = LocalExecutor(hosts[0])
    try:

        def run(name, pool, **params):
            task = Task(f"tests.engine.fake_tasks:{name}", params, pool, "work", str(hosts[0].logs / "log"))
            return executor.run(task, lambda event: None, lambda: False)

        known = run("environment", "reader")
        assert not [name for name in known if name.startswith("AWS_") or name == "PARETOSCOPE_STORE"]
        assert url not in json.dumps(known)
        assert run("stored", "reader", key=KEY, content="made in a child") == {"known": False}
        there = open_store(hosts[1])
        assert there.path(there.get(KEY)).read_text() == "made in a child"
        other = digest_of("another")
        put(there, b"made elsewhere", other)
        assert run("stored", "reader", key=other, content="") == {"known": True, "content": "made elsewhere"}
        assert run("publish_a_link", "reader", key=digest_of("a link")) == "Unexpected"
    finally:
        executor.close()


def test_runs_go_through_and_the_doctor_finds_both_sides_to_agree(hosts):
    queue = JobQueue(hosts[0], FakeExecutor(hosts[0]))
    runs = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8"), parse("magnitude_pruning+int8")])
    queue.wait([run.id for run in runs], 120)
    done = [queue.history.run(run.id) for run in runs]
    queue.close()
    assert [run.state for run in done] == ["done", "done"]
    there = open_store(hosts[1])
    assert all(there.path(there.get(run.artifact_key)).exists() for run in done)
    assert [f for f in examine(hosts[0], deep=True) if f.level == "problem"] == []


def test_what_another_host_took_out_of_sight_is_made_again(hosts):
    queue = JobQueue(hosts[0], FakeExecutor(hosts[0]))
    try:
        (run,) = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8")])
        queue.wait([run.id], 120)
        key = queue.history.run(run.id).artifact_key
        assert queue.driver.store.behind.record(key) is not None  # as where workers are elsewhere
        open_store(hosts[1]).behind.forget(key)
        queue.store.remove(key)
        queue.history.update(run.id, state="interrupted", finished_at=None)
        queue._enqueue([run.id])
        queue.wait([run.id], 120)
        assert queue.history.run(run.id).state == "done"
        assert open_store(hosts[1]).get(key) is not None
    finally:
        queue.close()


def test_an_upload_is_found_on_every_host(hosts):
    uri = uploads.keep(BytesIO(b"a model"), "mine.keras", "model", "session:a", hosts[0])
    path, upload = uploads.find(uri.removeprefix("upload:"), "model", hosts[1])
    assert path.read_bytes() == b"a model"
    assert upload.name == "mine.keras"


def test_a_store_that_does_not_answer_is_told_in_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "_PAUSES", (0.0,))
    found = remote.Remote(f"memory://{uuid.uuid4().hex}")
    monkeypatch.setattr(found._fs, "cat_file", lambda path: 1 / 0)
    with pytest.raises(Unreachable, match="does not answer"):
        found.read("results/x")


def test_a_url_that_nothing_opens_is_told_in_one_sentence():
    with pytest.raises(UserError, match="PARETOSCOPE_STORE") as caught:
        remote.Remote("nonsense://somebody:secret@host/x")
    assert "secret" not in caught.value.message.partition("(")[0]


def test_a_run_is_interrupted_while_the_store_is_away_and_goes_on_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("optimizers.engine.queue._SECONDS_BETWEEN_TRIES", 0.3)
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path))
    executor = FakeExecutor(Settings())
    executor.fail["int8"] = Unreachable("The store does not answer.")
    queue = JobQueue(Settings(), executor)
    (run,) = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8")])
    queue.wait([run.id], 2)
    assert queue.history.run(run.id).state in ("interrupted", "running")
    del executor.fail["int8"]
    queue.wait([run.id], 60)
    assert queue.history.run(run.id).state == "done"
    queue.close()
    assert Path(tmp_path).exists()
