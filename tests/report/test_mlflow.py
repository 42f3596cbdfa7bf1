"""What MLflow itself reads back from an export; skipped where it is not installed."""

from __future__ import annotations

import zipfile

import pytest

from optimizers.errors import NotApplicable, UserError
from optimizers.history.frames import measurements_of
from optimizers.report import mlflow

pytestmark = pytest.mark.skipif(not mlflow.available(), reason="MLflow is not installed (requirements-mlflow.txt)")


@pytest.fixture(scope="module")
def runs(digits_runs):
    return sorted(digits_runs.values(), key=lambda run: run.artifact_digest == run.baseline_digest)


@pytest.fixture(scope="module")
def unpacked(queue, runs, tmp_path_factory):
    """Where an archive with all runs was unpacked, and how many it has."""
    folder = tmp_path_factory.mktemp("mlflow")
    count = mlflow.archive(queue.history, queue.store, [run.id for run in runs], folder / "mlflow.zip")
    with zipfile.ZipFile(folder / "mlflow.zip") as packed:
        packed.extractall(folder / "elsewhere")
    return folder / "elsewhere", count


def test_an_unpacked_archive_is_read_by_mlflow(queue, runs, unpacked, monkeypatch):
    from mlflow import MlflowClient

    folder, count = unpacked
    monkeypatch.chdir(folder)
    client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    found = {entry.data.tags["paretoscope.run_id"]: entry for entry in client.search_runs([experiment.experiment_id])}
    variants = [run for run in runs if run.artifact_digest != run.baseline_digest]
    assert len(found) == count == 1 + len(variants)
    assert 0 < len(variants) < len(runs), "the baseline is there as a run as well"
    for run in variants:
        entry, measured = found[run.id], measurements_of(queue.history, run)
        assert entry.data.params["recipe"] == run.recipe
        told = {name: entry.data.metrics[name] for name in measured}
        assert told == pytest.approx({name: m.value for name, m in measured.items()})
        assert entry.data.metrics["accuracy.low"] == pytest.approx(measured["accuracy"].low)
        (file,) = client.list_artifacts(entry.info.run_id)
        content = (folder / entry.info.artifact_uri / file.path).read_bytes()
        assert content == queue.store.path(queue.store.get(run.artifact_key)).read_bytes()


def test_what_is_there_already_is_not_written_again(queue, runs, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    ids = [run.id for run in runs]
    first = mlflow.export(queue.history, queue.store, ids[:1], uri, "one")
    assert (first, mlflow.export(queue.history, queue.store, ids[:1], uri, "one")) == (2, 0)


def test_what_cannot_be_exported_is_told(queue, runs, tmp_path):
    with pytest.raises(NotApplicable, match="no finished file"):
        mlflow.export(queue.history, queue.store, [], f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(UserError, match="MLflow"):
        mlflow.export(queue.history, queue.store, [runs[0].id], "sqlite:////proc/nowhere/mlflow.db")
