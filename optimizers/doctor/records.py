"""The history: can every record be read, does it agree with the store, and is somebody at work where it says so?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime

import sqlalchemy as sa
from pydantic import ValidationError

from optimizers.doctor import Finding
from optimizers.doctor.reading import first_line, torn, unreadable
from optimizers.engine import progress
from optimizers.engine.locks import Locks, locks_of
from optimizers.engine.store import open_store
from optimizers.errors import Unreachable, UserError
from optimizers.history import tables
from optimizers.history.database import UNFINISHED, History
from optimizers.history.tables import SCHEMA_VERSION
from optimizers.records import Artifact, Failure, Run
from optimizers.settings import Settings

_GONE = Failure(code="store_damaged", message="Its file is gone from the store.")
_OF_RUNS = ("keras", "keras_qat", "tflite")
"""Kinds of results that only runs make; the others are found again by what they are about."""


def examine(
    settings: Settings, sound: Mapping[str, Artifact] | None, *, begun: datetime, repair: bool, prune: bool
) -> Iterator[Finding]:
    """Looks at every run and every measurement.

    Args:
        settings: Whose home.
        sound: The whole results in the store, by key; None where the store does not answer: then nothing is said, and
            nothing changed, about what depends on them.
        begun: When the results began to be looked at; runs that have ended since are left alone.
        repair, prune: As in `optimizers.doctor.examine`.
    """
    try:
        history = History(settings.history_url)
    except (UserError, Unreachable) as error:
        yield Finding("schema", "problem", error.message)
        return
    except (sa.exc.DatabaseError, ValueError) as error:
        yield Finding("schema", "problem", f"The history is damaged ({first_line(error)}); put a backup in its place.")
        return
    locks = locks_of(settings, history)
    try:
        yield Finding("schema", "fine", f"The history has version {SCHEMA_VERSION}, the one of this app.")
        if problem := torn(history):
            yield Finding("schema", "problem", f"The history is damaged ({problem}); put a backup in its place.")
            return
        runs = _readable(history)
        yield Finding("runs", "fine", _counted(runs))
        damaged: set[str] = set()
        yield from unreadable(settings, history, sound or {}, damaged, repair=repair)
        yield from _abandoned(locks, history, runs, repair)
        yield from _left_over(settings, locks, runs, repair)
        if sound is None:
            told = "Whether runs have their results is not known while the store does not answer; they are left alone."
            yield Finding("runs-without-result", "note", told)
            return
        ended = [run for run in runs if run.finished_at is None or run.finished_at < begun]
        yield from _pointing_nowhere(history, ended, sound, damaged, repair)
        yield from _measured(history, runs, sound, repair)
        yield from _orphans(settings, runs, sound, prune)
    finally:
        locks.close()
        history.close()


def _readable(history: History) -> list[Run]:
    runs = []
    for _, record in history.raw_rows(tables.runs):
        with suppress(ValidationError, TypeError):
            runs.append(Run.model_validate(record))
    return runs


def _counted(runs: list[Run]) -> str:
    states = {state: sum(run.state == state for run in runs) for state in sorted({run.state for run in runs})}
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{len(runs)} runs{': ' + told if told else ''}."


def _abandoned(locks: Locks, history: History, runs: list[Run], repair: bool) -> Iterator[Finding]:
    """Runs that are said to be running while no process drives them."""
    found = []
    for run in runs:
        if run.state != "running":
            continue
        claim = locks.claim(f"run-{run.id}")
        if claim is None:
            continue
        try:
            if history.run(run.id).state != "running":
                continue
            found.append(run.id)
            if repair:
                history.update(run.id, only_from=("running",), state="interrupted")
        finally:
            claim.release()
    if found:
        told = (
            "Runs marked as running that no process drives; they go on from their last finished step at the next start."
        )
        yield Finding("runs-abandoned", "problem", told, tuple(found), repair)


def _pointing_nowhere(
    history: History, runs: list[Run], sound: Mapping[str, Artifact], damaged: set[str], repair: bool
) -> Iterator[Finding]:
    """Finished runs whose files are gone, are others than those that were measured, or lack figures."""
    gone, measured = [], history.measured_digests("size_bytes")
    for run in runs:
        if run.state != "done":
            continue
        told = {run.artifact_key: run.artifact_digest, run.baseline_key: run.baseline_digest}
        there = all(key in sound and sound[key].digest == digest for key, digest in told.items())
        if not there or run.artifact_digest not in measured or damaged & {run.artifact_digest, run.baseline_digest}:
            gone.append(run.id)
            if repair and run.study:  # nobody would take it up again: a search goes on with other trials
                history.update(run.id, only_from=("done",), state="failed", failure=_GONE)
            elif repair:
                history.update(run.id, only_from=("done",), state="interrupted", finished_at=None)
    if gone:
        next_ = "they are computed again at the next start" if repair else "--repair has them computed again"
        told_of = f"Finished runs whose file or figures are gone; {next_}, and trials of searches count as failed."
        yield Finding("runs-without-result", "problem", told_of, tuple(gone), repair)


def _measured(history: History, runs: list[Run], sound: Mapping[str, Artifact], repair: bool) -> Iterator[Finding]:
    """Measurements of files that are neither in the store nor named by a run."""
    known = {artifact.digest for artifact in sound.values()}
    known |= {digest for run in runs for digest in (run.artifact_digest, run.baseline_digest)}
    measured = history.measured_digests()
    unknown = sorted(measured - known)
    yield Finding("measurements", "fine", f"{len(measured)} files were measured.")
    if unknown:
        if repair:
            history.forget_files(unknown)
        told = "Files that were measured and are gone, and that no run names."
        yield Finding("measurements-of-nothing", "problem", told, tuple(unknown), repair)


def _left_over(settings: Settings, locks: Locks, runs: list[Run], repair: bool) -> Iterator[Finding]:
    """Progress and requests to cancel of runs that have ended."""
    open_ids = {run.id for run in runs if run.state in UNFINISHED}
    flags = [name for name in locks.flags() if name.removeprefix("run-") not in open_ids]
    ended = [run.id for run in runs if run.id not in open_ids and progress.read(settings.progress, run.id)]
    if flags or ended:
        if repair:
            for flag in flags:
                locks.lower_flag(flag)
            for run_id in ended:
                progress.remove(settings.progress, run_id)
        items = (*ended, *flags)
        yield Finding(
            "left-over", "problem", "Progress of runs, or requests to cancel them, that have ended.", items, repair
        )


def _orphans(settings: Settings, runs: list[Run], sound: Mapping[str, Artifact], prune: bool) -> Iterator[Finding]:
    """Results of steps that no run names. They save time if somebody asks for the same again."""
    named = {key for run in runs for key in (run.artifact_key, run.baseline_key, *(s.key for s in run.stages))}
    if any(run.state in UNFINISHED for run in runs):
        return  # what an unfinished run has computed so far is not in its record yet
    orphans = [a for key, a in sound.items() if a.kind in _OF_RUNS and key not in named]
    if not orphans:
        return
    if prune:
        store = open_store(settings)
        for artifact in orphans:
            store.remove(artifact.key)
    total = sum(a.size_bytes for a in orphans) / 2**20
    what = "deleted" if prune else "--prune deletes them"
    told = f"{len(orphans)} results of {total:.1f} MiB belong to no run ({what})."
    yield Finding("results-orphaned", "note", told, tuple(a.key for a in orphans), prune)
