"""Runs and measurements as DataFrames with declared columns; pages, charts and reports draw these and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from optimizers import registry
from optimizers.history.database import History
from optimizers.history.devices import default, scopes_of
from optimizers.litert.ratio import verdict
from optimizers.metrics._outputs import MARK
from optimizers.records import Difference, Measurement, PartName, Run, digest_of

COMPARISON_COLUMNS = (
    "variant",  # short form of the recipe
    "run_id",  # empty for a baseline nobody ran on its own
    "family",  # family of the last technique that is no plain conversion; colours follow it
    "is_baseline",
    "model",
    "dataset",
    "seed",
    "artifact_key",
    "artifact_digest",
    "scope",
    "device",
    "threads",
    "source",  # who timed it: this app's host, a browser, or a benchmark that was imported
    "timed_at",  # when, in UTC; the same for files that were timed in turn with each other
    "others",  # cores that others kept busy meanwhile, on average; NaN where that is not known
    "disturbed",  # share of the time in which somebody was at work on the same core; it is left out unless it is 1
    "speed",  # "faster", "slower" or "indistinguishable", each than (from) the baseline; empty where no ratio is known
)
"""First columns of a comparison. Behind them stand, for each metric that was measured, ``metric``, ``metric_low``,
``metric_high``, ``metric_n`` and ``metric_change``, and for prediction metrics ``CHANGE_SUFFIXES`` behind these."""

CHANGE_SUFFIXES = ("_change_low", "_change_high", "_change_floor", "_change_ceiling", "_lost", "_gained", "_p")
"""Of the paired difference: 95% interval, one-sided 95% bounds, examples that only the baseline and only the variant
gets right, and the p-value of McNemar's exact test."""

_AT_ONCE = 256
_PAIRED_TIME, _PAIRED_RATIO = "latency_ms", "speedup"

RUN_COLUMNS = (
    "run_id",
    "variant",
    "model",
    "dataset",
    "state",
    "created_at",
    "started_at",
    "finished_at",
    "seconds",
    "failure",
)


def comparison(history: History, run_ids: Sequence[str], device: str = "", *, part: PartName = "test") -> pd.DataFrame:
    """One row per deployable file of the finished runs and of their baselines, baselines first.

    Runs whose files were measured on another part of the data than ``part`` are left out: figures on examples that a
    search has seen never stand among those on test data.

    Times are those of one device, one of `optimizers.history.devices.devices`; the first of them unless named.

    ``<metric>_change`` compares with the row's own baseline: for prediction metrics variant minus baseline on the same
    examples, with its interval in ``<metric>_change_low`` and ``<metric>_change_high``; else the ratio
    minus one for sizes and for the median latency (-0.75 is four times smaller or faster). What was not measured is
    NaN.
    """
    order = {run_id: place for place, run_id in enumerate(run_ids)}
    runs = [r for r in history.runs(list(run_ids)) if r.state == "done" and r.artifact_digest and r.part == part]
    runs.sort(key=lambda r: order[r.id])
    measured, paired = _measured(history, runs, device), _differences(history, runs)
    rows, seen = [], set()
    for run in _called_alike([*_baselines(runs), *runs]):
        identity = (run.model.digest, run.dataset.digest, run.recipe if run.id else "", run.seed, run.artifact_digest)
        if (run.model.digest, run.dataset.digest, run.artifact_digest) in seen and (
            run.artifact_digest == run.baseline_digest
        ):
            continue
        if identity in seen:
            continue
        seen |= {identity, (run.model.digest, run.dataset.digest, run.artifact_digest)}
        rows.append(_comparison_row(run, measured) | _paired_columns(run, paired))
    frame = pd.DataFrame(rows)
    if frame.empty:
        return pd.DataFrame(columns=list(COMPARISON_COLUMNS))
    names = metric_columns(frame)
    suffixes = ("", "_low", "_high", "_n", "_change")
    known = registry.metrics()
    columns = list(COMPARISON_COLUMNS)
    for name in names:
        more = CHANGE_SUFFIXES if known[name].change is not None else ()
        columns += [f"{name}{suffix}" for suffix in (*suffixes, *more)]
    return frame.reindex(columns=columns)


def metric_columns(frame: pd.DataFrame) -> list[str]:
    """Names of the metrics that a comparison holds, in order of rank."""
    return registry.ranked(frame.columns)


def headline(frame: pd.DataFrame) -> str | None:
    """The prediction metric that leads a comparison (accuracy, or the task's own), or None when there is none."""
    known = registry.metrics()
    return next((name for name in metric_columns(frame) if known[name].needs == "predictions"), None)


def leading(frame: pd.DataFrame) -> list[str]:
    """What tells the quality: the `headline` and, where there are several outputs, what leads each of them."""
    known = registry.metrics()
    names = [name for name in metric_columns(frame) if known[name].needs == "predictions"]
    first = {name.rpartition(MARK)[0]: name for name in reversed(names)}
    return [name for name in names if name == names[0] or (MARK in name and name in first.values())]


def runs_table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per run, in the order given, with the columns ``RUN_COLUMNS``; times are UTC, ``seconds`` elapsed."""
    rows = []
    for run in runs:
        end = run.finished_at
        seconds = (end - run.started_at).total_seconds() if end and run.started_at else None
        rows.append(
            {
                "run_id": run.id,
                "variant": run.recipe,
                "model": run.model.name,
                "dataset": run.dataset.name,
                "state": run.state,
                "created_at": run.created_at,
                "started_at": run.started_at,
                "finished_at": end,
                "seconds": seconds,
                "failure": run.failure.message if run.failure else "",
            }
        )
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def pareto(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """True for rows that no other row beats: none is at least as good in every column and better in one.

    Args:
        frame: A comparison.
        columns: Names of metrics; their declared direction says what is better. Rows lacking one of them are False.
    """
    known = registry.metrics()
    signs = [1.0 if known[name].direction == "lower" else -1.0 for name in columns]
    values = frame[list(columns)].to_numpy(dtype=float) * np.array(signs)
    complete = ~np.isnan(values).any(axis=1)
    others, front = values[complete], np.zeros(len(values), bool)
    for start in range(0, len(values), _AT_ONCE):  # rows against all others, some at a time
        rows = values[start : start + _AT_ONCE, None, :]
        beaten = ((others <= rows).all(axis=2) & (others < rows).any(axis=2)).any(axis=1)
        front[start : start + _AT_ONCE] = ~beaten
    return pd.Series(front & complete, index=frame.index, dtype=bool)


def family_of(run: Run) -> str:
    """Family of the last technique that does more than convert; ``baseline`` when there is none."""
    families = [registry.technique(step.technique).family for step in run.steps]
    others = [family for family in families if family != "baseline"]
    if len(set(others)) > 1:
        return "combined"
    return others[-1] if others else "baseline"


def _baselines(runs: Sequence[Run]) -> list[Run]:
    """A stand-in run for the baseline file of each model and data set."""
    found: dict[tuple[str, str], Run] = {}
    for run in runs:
        stand_in = run.model_copy(
            update={
                "id": "",
                "recipe": "float32",
                "steps": (),
                "seed": 0,
                "artifact_key": run.baseline_key,
                "artifact_digest": run.baseline_digest,
            }
        )
        found.setdefault((run.model.digest, run.dataset.digest), stand_in)
    return list(found.values())


def _called_alike(runs: Iterable[Run]) -> Iterator[Run]:
    """Recipes that differ only in whether a default is written out have the name of the first of them."""
    first: dict[str, str] = {}
    for run in runs:
        does = digest_of([step.model_dump(mode="json", exclude={"given"}) for step in run.steps])
        yield run.model_copy(update={"recipe": first.setdefault(does, run.recipe)}) if run.steps else run


def _measured(history: History, runs: Sequence[Run], device: str) -> dict[tuple[str, str], dict[str, Measurement]]:
    digests = {r.artifact_digest for r in runs} | {r.baseline_digest for r in runs}
    every = history.measurements(sorted(digests), scopes=scopes_of(runs))
    chosen = device or default(every)
    found: dict[tuple[str, str], dict[str, Measurement]] = {}
    known = registry.metrics()
    for m in sorted(every, key=lambda m: m.measured_at):
        if m.metric in known and known[m.metric].version == m.version and m.device in ("", chosen):
            found.setdefault((m.artifact_digest, m.dataset_digest), {})[m.metric] = m
    return found


def _differences(history: History, runs: Sequence[Run]) -> dict[tuple[str, str, str], dict[str, Difference]]:
    """Paired differences by file, baseline and data, and then by metric."""
    known = registry.metrics()
    found: dict[tuple[str, str, str], dict[str, Difference]] = {}
    every = history.differences(sorted({r.artifact_digest for r in runs}), scopes=scopes_of(runs))
    for d in sorted(every, key=lambda d: d.measured_at):
        if d.metric in known and known[d.metric].version == d.version:
            found.setdefault((d.artifact_digest, d.baseline_digest, d.dataset_digest), {})[d.metric] = d
    return found


def _paired_columns(run: Run, paired: dict[tuple[str, str, str], dict[str, Difference]]) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, d in paired.get((run.artifact_digest, run.baseline_digest, run.examples_digest), {}).items():
        values = (d.low, d.high, d.floor, d.ceiling, d.lost, d.gained, d.p)
        row |= {f"{name}{suffix}": v for suffix, v in zip(CHANGE_SUFFIXES, values, strict=True)}
        row[f"{name}_change"] = d.value
    return row


def differences_by_run(history: History, runs: Sequence[Run]) -> dict[str, dict[str, Difference]]:
    """As `differences_of`, for many runs at once, by their ids."""
    found = _differences(history, runs)
    own = {r.id: found.get((r.artifact_digest, r.baseline_digest, r.examples_digest), {}) for r in runs}
    return {i: {name: told[name] for name in registry.ranked(told)} for i, told in own.items()}


def differences_of(history: History, run: Run) -> dict[str, Difference]:
    """Paired differences of the run's file to its baseline, by metric, in order of rank."""
    return differences_by_run(history, [run])[run.id]


def measurements_of(history: History, run: Run, device: str = "") -> dict[str, Measurement]:
    """What was measured on the run's file, by metric, in order of rank; times of one device, as in `comparison`."""
    measured = _measured(history, [run], device)
    own = measured.get((run.artifact_digest, ""), {}) | measured.get((run.artifact_digest, run.examples_digest), {})
    return {name: own[name] for name in registry.ranked(own)}


def _comparison_row(run: Run, measured: dict[tuple[str, str], dict[str, Measurement]]) -> dict[str, object]:
    def of(digest: str) -> dict[str, Measurement]:
        return measured.get((digest, ""), {}) | measured.get((digest, run.examples_digest), {})

    own, base = of(run.artifact_digest), of(run.baseline_digest)
    timed, ratio = next((m for m in own.values() if m.device), None), own.get(_PAIRED_RATIO)
    row: dict[str, object] = {
        "variant": run.recipe,
        "run_id": run.id,
        "family": family_of(run) if run.steps else "baseline",
        "is_baseline": run.artifact_digest == run.baseline_digest,
        "model": run.model.name,
        "dataset": run.dataset.name,
        "seed": run.seed,
        "artifact_key": run.artifact_key,
        "artifact_digest": run.artifact_digest,
        "scope": run.scope,
        "device": timed.device if timed else "",
        "threads": timed.threads if timed else None,
        "source": timed.source if timed else "",
        "timed_at": timed.measured_at if timed else None,
        "others": timed.others if timed else None,
        "disturbed": timed.disturbed if timed else None,
        "speed": verdict(ratio.value, ratio.low, ratio.high) if ratio else "",
    }
    for name, m in own.items():
        row |= {name: m.value, f"{name}_low": m.low, f"{name}_high": m.high, f"{name}_n": m.n}
        if name in base:
            row[f"{name}_change"] = _change(name, own, base)
    return row


def _change(name: str, own: dict[str, Measurement], base: dict[str, Measurement]) -> float | None:
    """Difference or ratio to the baseline, None where none was measured.

    Times taken minutes apart say little about each other on a machine that is not always equally fast; only the ratio
    that was measured in turn with the baseline is a comparison.
    """
    value, baseline = own[name].value, base[name].value
    needs = registry.metrics()[name].needs
    if needs == "predictions":
        return value - baseline
    if needs == "timing" and own[name].unit != "B":
        ratio = own.get(_PAIRED_RATIO)
        return 1.0 / ratio.value - 1.0 if name == _PAIRED_TIME and ratio is not None else None
    return value / baseline - 1.0 if baseline else None
