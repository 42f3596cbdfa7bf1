"""Runs as MLflow runs: recipe and settings as parameters, measurements as metrics, the file as artifact.

MLflow is optional (``requirements-mlflow.txt``).
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optimizers.engine.store import Store
from optimizers.errors import NotApplicable, UserError
from optimizers.history.database import History
from optimizers.history.frames import measurements_of
from optimizers.records import Artifact, Run

DATABASE, ARTIFACTS = "mlflow.db", "artifacts"
_ID = "paretoscope.run_id"
_LONGEST = 500
"""Characters of a parameter that every version of MLflow takes."""


def available() -> bool:
    """Whether MLflow is installed, with what its SQLite store needs."""
    return all(find_spec(name) is not None for name in ("mlflow", "alembic"))


def export(history: History, store: Store, run_ids: Sequence[str], uri: str, experiment: str = "") -> int:
    """Writes finished runs and their baselines to a tracking store; what is there already is not written again.

    Args:
        history, store: Where runs, measurements and files lie.
        run_ids: Of the runs; one that has left no file is left out.
        uri: Of an MLflow tracking store, such as ``sqlite:///mlflow.db`` or the address of a server.
        experiment: Name of the experiment; model and data if left out, so there may be several.

    Returns:
        How many runs were written.

    Raises:
        NotApplicable: MLflow is not installed, or none of the runs has left a file.
        UserError: The tracking store cannot be used.
    """
    client = _client(uri)
    found = {run.id: run for run in history.runs(list(run_ids)) if run.part == "test"}
    done = [found[i] for i in run_ids if i in found and found[i].state == "done"]
    if not done:
        raise NotApplicable("There is no finished file to export yet; an export needs a run that is done.")
    try:
        return sum(
            _written(client, history, store, place, one, name, key)
            for run in done
            for place in [_experiment(client, experiment or _pair(run), uri)]
            for one, name, key in _both(run)
        )
    except Exception as error:  # MLflow raises what its stores raise: of SQL, of HTTP, of the file system
        raise UserError(
            f"MLflow could not write to {uri}: {str(error).splitlines()[0][:200] if str(error) else error!r}.",
            detail=str(error),
        ) from error


def archive(history: History, store: Store, run_ids: Sequence[str], target: Path) -> int:
    """Writes a ZIP of an SQLite store with its artifacts; unpacked, ``mlflow ui`` started there shows it.

    Args:
        history, store, run_ids: As for `export`.
        target: The ZIP file.

    Returns:
        How many runs are in it. Raises as `export`.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = export(history, store, run_ids, f"sqlite:///{folder / DATABASE}")
        _make_relative(folder)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                packed.write(file, file.relative_to(folder))
    return count


def _client(uri: str) -> Any:
    if not available():
        raise NotApplicable("MLflow is not installed here: pip install -r requirements-mlflow.txt")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        return MlflowClient(tracking_uri=uri)
    except (MlflowException, ValueError, OSError) as error:
        raise UserError(f"{uri} is no tracking store of MLflow; try sqlite:///mlflow.db.", detail=str(error)) from error


def _pair(run: Run) -> str:
    return f"{run.model.name} on {run.dataset.name}"


def _experiment(client: Any, name: str, uri: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    local = uri.removeprefix("sqlite:///")
    place = str(Path(local).resolve().parent / ARTIFACTS) if local != uri else None
    return str(client.create_experiment(name, artifact_location=place))


def _both(run: Run) -> Iterator[tuple[Run, str, str]]:
    """The baseline and the variant, each with its name and the key of its file; once if the same."""
    identity = f"baseline-{run.baseline_digest[:16]}-{run.dataset.digest[:16]}"
    baseline = run.model_copy(update={"artifact_digest": run.baseline_digest, "id": identity, "tags": (), "note": ""})
    yield baseline, "float32", run.baseline_key
    if run.artifact_digest != run.baseline_digest:
        yield run, run.recipe, run.artifact_key


def _written(client: Any, history: History, store: Store, experiment: str, run: Run, name: str, key: str) -> bool:
    """Whether the run was written, which it is not where it is already."""
    from mlflow.entities import Metric, Param, RunTag

    if client.search_runs([experiment], f"tags.`{_ID}` = '{run.id}'", max_results=1):
        return False
    artifact, measured = store.get(key), measurements_of(history, run)
    when = int((run.finished_at or run.created_at).timestamp() * 1000)
    entry = client.create_run(experiment, start_time=int(run.created_at.timestamp() * 1000), run_name=name[:250])
    metrics = [
        Metric(f"{metric}{suffix}", float(value), when, 0)
        for metric, m in measured.items()
        for suffix, value in (("", m.value), (".low", m.low), (".high", m.high))
        if value is not None
    ]
    client.log_batch(
        entry.info.run_id,
        metrics=metrics,
        params=[Param(k, v[:_LONGEST]) for k, v in _params(run, name).items()],
        tags=[RunTag(k, str(v)) for k, v in _tags(run, artifact, measured).items()],
    )
    if artifact is not None:
        client.log_artifact(entry.info.run_id, str(store.path(artifact)))
    client.set_terminated(entry.info.run_id, end_time=when)
    return True


def _params(run: Run, name: str) -> dict[str, str]:
    told = {"recipe": name, "seed": str(run.seed), "model": run.model.name, "data": run.dataset.name}
    if name != run.recipe:
        return told
    settings = {
        f"{place}.{step.technique}.{setting}": str(value)
        for place, step in enumerate(run.steps, 1)
        for setting, value in step.params.items()
    }
    return told | {re.sub(r"[^\w./ -]", "_", key): value for key, value in settings.items()}


def _tags(run: Run, artifact: Artifact | None, measured: dict[str, Any]) -> dict[str, Any]:
    devices = {m.device for m in measured.values() if m.device}
    return {
        _ID: run.id,
        "paretoscope.file_sha256": artifact.digest if artifact else "",
        "paretoscope.model_sha256": run.model.digest,
        "paretoscope.dataset_sha256": run.dataset.digest,
        "paretoscope.baseline_sha256": run.baseline_digest,
        "paretoscope.device": ", ".join(sorted(devices)),
        **({"paretoscope.tags": ", ".join(run.tags)} if run.tags else {}),
        **({"mlflow.note.content": run.note} if run.note else {}),
    }


def _make_relative(folder: Path) -> None:
    """Paths of artifacts are absolute in the store; relative ones lead to where the archive is unpacked."""
    with sqlite3.connect(folder / DATABASE) as database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            for absolute in (f"file://{folder}/", f"{folder}/"):
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, '')", (absolute,))
    database.close()
