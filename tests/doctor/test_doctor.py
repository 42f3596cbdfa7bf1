"""The doctor finds every kind of damage, repairs it so that nothing is found again, and leaves sound things alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from optimizers import uploads
from optimizers.cli import app
from optimizers.doctor import examine, machine
from optimizers.engine.lanes import try_exclusive
from optimizers.engine.queue import JobQueue
from optimizers.engine.store import open_store
from optimizers.errors import Unreachable
from optimizers.history import tables
from optimizers.history.database import History
from optimizers.recipe import parse
from optimizers.records import Measurement, now
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor

MODEL, DATA = "sample:digits_cnn", "sample:optdigits"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture
def run(settings):
    """A finished run of two steps."""
    queue = JobQueue(settings, FakeExecutor(settings))
    (run,) = queue.submit(MODEL, DATA, [parse("magnitude_pruning+int8")])
    queue.wait([run.id], 60)
    found = queue.history.run(run.id)
    queue.close()
    assert found.state == "done"
    return found


def problems(settings, **options):
    return {f.check: f for f in examine(settings, **options) if f.level == "problem"}


def check_and_repair(settings, *expected):
    """What is expected is found, repaired, and not found again."""
    assert set(problems(settings)) == set(expected)
    assert all(f.repaired for f in problems(settings, repair=True).values())
    assert problems(settings) == {}


def test_a_sound_home_has_no_problem_and_an_empty_one_neither(settings, run):
    assert problems(settings) == {}
    assert problems(Settings(home=settings.home / "elsewhere")) == {}


def test_damaged_results_are_removed_and_their_runs_go_on(settings, run):
    store = open_store(settings)
    path = store.path(store.get(run.artifact_key))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    found = problems(settings)
    assert found["results-damaged"].items == (run.artifact_key,)
    assert found["runs-without-result"].items == (run.id,)
    assert problems(settings, repair=True).keys() == found.keys()
    queue = JobQueue(settings, FakeExecutor(settings))
    queue.wait([run.id], 60)
    assert queue.history.run(run.id).state == "done"
    assert queue.driver.executor.asked["int8"] == 1
    assert queue.driver.executor.asked["magnitude_pruning"] == 0
    queue.close()
    assert problems(settings) == {}


def test_nothing_is_undone_while_the_store_does_not_answer(settings, run, tmp_path, monkeypatch):
    """Another host's doctor, which has none of the results in its own folder."""
    elsewhere = Settings(home=tmp_path / "elsewhere", history=settings.history_url)

    def away(settings):
        raise Unreachable("The store does not answer.")

    monkeypatch.setattr("optimizers.doctor.behind.remote_of", away)
    found = {finding.check: finding for finding in examine(elsewhere, repair=True)}
    assert found["store"].open
    assert found["runs-without-result"].level == "note"
    history = History(settings.history_url)
    assert history.run(run.id).state == "done"
    assert history.measurements([run.artifact_digest])
    history.close()


def test_a_run_that_ends_meanwhile_is_left_alone(settings, run):
    history, looking = History(settings.history_url), examine(settings, repair=True)
    while next(looking).check != "results":
        pass
    later = run.model_copy(update={"id": "later", "artifact_key": "e" * 64, "finished_at": now()})
    history.add([later])
    assert not [finding for finding in looking if finding.check == "runs-without-result"]
    assert history.run("later").state == "done"
    history.close()


def test_a_trial_whose_file_is_gone_has_failed_since_no_search_takes_it_up_again(settings, run):
    history = History(settings.history_url)
    history.add([run.model_copy(update={"id": "trial", "study": "search", "artifact_key": "e" * 64})])
    assert problems(settings, repair=True).keys() == {"runs-without-result"}
    assert (history.run("trial").state, history.run(run.id).state) == ("failed", "done")
    assert problems(settings) == {}
    history.close()


@pytest.mark.parametrize("content", [None, "{", '{"key": "another"}'])
def test_results_without_a_usable_record_are_removed(settings, run, content):
    record = next(settings.results.glob("??/*/artifact.json"))
    record.unlink() if content is None else record.write_text(content)
    found = problems(settings, repair=True)
    assert {"results-half-written", "results-damaged"} & found.keys()
    assert not record.parent.exists()
    assert problems(settings) == {}


def test_drafts_of_dead_writers_are_found(settings, run):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (settings.results / "drafts" / f"{dead.pid}-abc").mkdir()
    (settings.results / "drafts" / f"{os.getpid()}-abc").mkdir()
    check_and_repair(settings, "drafts")
    assert (settings.results / "drafts" / f"{os.getpid()}-abc").exists()


def test_runs_that_nobody_drives_are_told_as_interrupted_and_driven_ones_left_alone(settings, run):
    history = History(settings.history_url)
    history.update(run.id, state="running")
    claim = try_exclusive(settings.locks, f"run-{run.id}")
    assert problems(settings) == {}
    claim.release()
    check_and_repair(settings, "runs-abandoned")
    assert history.run(run.id).state == "interrupted"
    history.close()


def test_measurements_of_files_that_are_gone_are_forgotten(settings, run):
    history = History(settings.history_url)
    gone = Measurement(artifact_digest="f" * 64, metric="size_bytes", version="1", unit="B", n=1, value=1.0)
    history.record([gone])
    check_and_repair(settings, "measurements-of-nothing")
    assert history.measurements(["f" * 64]) == []
    assert history.measurements([run.artifact_digest])
    history.close()


def test_a_finished_run_without_figures_is_measured_again(settings, run):
    history = History(settings.history_url)
    history.forget_files([run.artifact_digest])
    check_and_repair(settings, "runs-without-result")
    history.close()


def test_progress_and_cancel_requests_of_ended_runs_are_removed(settings, run):
    (settings.home / "progress" / f"{run.id}.json").write_text('{"stage": 1, "stages": 2, "title": "x"}')
    (settings.locks / f"run-{run.id}.flag").touch()
    check_and_repair(settings, "left-over")


def test_orphans_are_a_note_and_go_only_when_asked_to(settings, run):
    history = History(settings.history_url)
    history.delete([run.id])
    history.sweep()
    history.close()
    check_and_repair(settings)
    assert open_store(settings).get(run.artifact_key) is not None
    list(examine(settings, prune=True))
    assert open_store(settings).get(run.artifact_key) is None


def test_uploads_are_looked_at(settings, run):
    whole = uploads.keep(BytesIO(b"whole"), "a.keras", "model", "session:a", settings).removeprefix("upload:")
    changed = uploads.keep(BytesIO(b"changed"), "b.keras", "model", "session:a", settings).removeprefix("upload:")
    (settings.uploads / changed / uploads.CONTENT).write_bytes(b"chanted")
    check_and_repair(settings, "uploads-damaged")
    assert (settings.uploads / whole).exists()


def test_a_record_that_cannot_be_read_is_named_and_a_newer_history_left_alone(settings, run):
    engine = sa.create_engine(settings.history_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET record = '{'"))
    assert problems(settings, repair=True)["runs-unreadable"].items == (run.id,)
    with engine.begin() as connection:
        connection.execute(sa.update(tables.meta).values(value=str(tables.SCHEMA_VERSION + 1)))
    engine.dispose()
    for _ in range(2):
        assert "newer version" in problems(settings)["schema"].message


def test_the_command_tells_by_its_exit_status(settings, run):
    command = CliRunner()
    assert command.invoke(app, ["doctor"]).exit_code == 0
    next(settings.results.glob("??/*/artifact.json")).unlink()
    asked = command.invoke(app, ["doctor", "--json"])
    assert asked.exit_code == 1
    assert "results-half-written" in {f["check"] for f in json.loads(asked.stdout)}
    assert command.invoke(app, ["doctor", "--repair"]).exit_code == 0
    assert command.invoke(app, ["doctor"]).exit_code == 0


@pytest.mark.parametrize("name", ["runs", "searches", "search_trials", "measurements", "differences", "verdicts"])
def test_records_that_cannot_be_read_are_put_aside(settings, run, name):
    table, history = tables.tables.tables[name], History(settings.history_url)
    with history.engine.begin() as connection:
        filled = [column for column in table.c if column.name not in ("record", "deleted")]
        row = {column.name: 1 if isinstance(column.type, sa.Integer) else "x" for column in filled}
        connection.execute(sa.insert(table).values({**row, "record": {"torn": True}}))
    check = "runs-unreadable" if name == "runs" else "records-unreadable"
    assert check in problems(settings)
    assert all(finding.repaired for finding in examine(settings, repair=True) if finding.check == check)
    assert check not in problems(settings)
    [aside] = [json.loads(line) for line in (settings.home / "unreadable.jsonl").read_text().splitlines()]
    assert (aside["table"], aside["record"]) == (name, {"torn": True})
    assert history.run(run.id).state == "done"
    history.close()


def test_a_size_that_is_not_the_file_s_is_measured_again(settings, run):
    history = History(settings.history_url)
    [told] = [m for m in history.measurements([run.artifact_digest]) if m.metric == "size_bytes"]
    history.record([told.model_copy(update={"value": 1e9})])
    found = problems(settings)
    assert {"records-unreadable", "runs-without-result"} <= found.keys()
    list(examine(settings, repair=True))
    assert history.run(run.id).state == "interrupted"
    assert not [m for m in history.measurements([run.artifact_digest]) if m.metric == "size_bytes"]
    history.close()


@pytest.mark.parametrize("size", [50, 9000])
def test_a_damaged_database_is_told_in_words(settings, run, size):
    path = settings.home / "history.db"
    path.write_bytes(b"x" * size if size < 100 else path.read_bytes()[:size])
    assert "The history is damaged" in problems(settings)["schema"].message


def test_requirements_of_other_systems_are_left_out(tmp_path):
    pinned = tmp_path / "requirements.txt"
    pinned.write_text("# a note\nnumpy==0.1\nnot-there==1.0; sys_platform == 'none'\n", encoding="utf-8")
    found = machine._libraries(pinned)
    assert found.level == "note"
    assert [one.split()[:1] for one in found.items] == [["numpy"]]
