"""All measurements of runs as one table, one row per number, for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from optimizers.errors import UserError
from optimizers.history.database import History
from optimizers.history.devices import devices
from optimizers.history.frames import measurements_of
from optimizers.records import Measurement, Run

COLUMNS = (
    "run_id", "model", "model_sha256", "dataset", "dataset_sha256", "recipe", "seed", "is_baseline", "file_sha256",
    "metric", "value", "unit", "low", "high", "n", "device", "threads", "source", "measured_at", "others",
    "disturbed",
)  # fmt: skip
FORMATS = ("csv", "json", "parquet")


def results(history: History, run_ids: Sequence[str]) -> pd.DataFrame:
    """One row per number that was measured on a file of these runs or on their baselines, with the columns ``COLUMNS``.

    Times of every device are told, each with its name. ``low`` and ``high`` bound the 95% interval; they are empty
    where a number is exact, and ``measured_at`` is UTC. ``others`` and ``disturbed`` tell how the machine was while it
    timed, as `optimizers.records.Measurement` has them.
    """
    found = {run.id: run for run in history.runs(list(run_ids)) if run.part == "test"}
    rows: list[dict[str, object]] = []
    told: set[tuple[str, str]] = set()
    for run in (found[i] for i in run_ids if i in found and found[i].state == "done"):
        baseline = run.model_copy(update={"artifact_digest": run.baseline_digest, "recipe": "float32"})
        for seen in (baseline, run):
            identity = (seen.artifact_digest, run.dataset.digest)
            if identity in told:
                continue
            told.add(identity)
            rows += [_row(seen, name, m) for name, m in _every(history, seen)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _every(history: History, run: Run) -> list[tuple[str, Measurement]]:
    own = list(measurements_of(history, run).items())
    others = [device.name for device in devices(history, [run.id])[1:]]
    return own + [(n, m) for name in others for n, m in measurements_of(history, run, name).items() if m.device]


def _row(run: Run, name: str, m: Measurement) -> dict[str, object]:
    return {
        "run_id": run.id,
        "model": run.model.name,
        "model_sha256": run.model.digest,
        "dataset": run.dataset.name,
        "dataset_sha256": run.dataset.digest,
        "recipe": run.recipe,
        "seed": run.seed,
        "is_baseline": run.artifact_digest == run.baseline_digest,
        "file_sha256": run.artifact_digest,
        "metric": name,
        "value": m.value,
        "unit": m.unit,
        "low": m.low,
        "high": m.high,
        "n": m.n,
        "device": m.device,
        "threads": m.threads if m.device else None,
        "source": m.source if m.device else None,
        "measured_at": m.measured_at.isoformat(),
        "others": m.others,
        "disturbed": m.disturbed,
    }


def encoded(table: pd.DataFrame, form: str) -> bytes:
    """The table as CSV, JSON (a list of records) or Parquet. Raises `UserError` for any other format."""
    if form == "csv":
        return table.to_csv(index=False).encode()
    if form == "json":
        rows = (
            table.astype(object).where(table.notna(), None).to_dict(orient="records")
        )  # to_json rounds to 10 decimals
        return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False, default=float).encode()
    if form == "parquet":
        content: bytes = table.to_parquet(index=False)
        return content
    raise UserError(f"Results are written as {', '.join(FORMATS)}, not as {form!r}; name the file accordingly.")


def form_of(path: Path) -> str:
    """The format that a file's name asks for. Raises `UserError`."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise UserError(f"{path.name} says no format; call it .csv, .json or .parquet.")
    return form
