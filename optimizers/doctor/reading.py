"""Can everything in the history be read, and are sizes those of the files?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from optimizers.doctor import Finding
from optimizers.history import tables
from optimizers.history.database import History
from optimizers.records import Artifact, Difference, Measurement, Record, Run, Verdict
from optimizers.search.records import Study, Trial
from optimizers.settings import Settings

ASIDE = "unreadable.jsonl"
"""File in the home that rows are moved to."""
_RECORDS: tuple[tuple[sa.Table, type[Record], str], ...] = (
    (tables.runs, Run, "runs"),
    (tables.studies, Study, "searches"),
    (tables.trials, Trial, "trials of searches"),
    (tables.measurements, Measurement, "measurements"),
    (tables.differences, Difference, "differences"),
    (tables.verdicts, Verdict, "verdicts"),
)


def torn(history: History) -> str:
    """What SQLite finds wrong with its own file; empty where it is whole, or for other databases."""
    if history.engine.dialect.name != "sqlite":
        return ""
    try:
        with history.engine.connect() as connection:
            told = str(connection.execute(sa.text("PRAGMA quick_check(1)")).scalar())
    except sa.exc.DatabaseError as error:
        return first_line(error)
    return "" if told == "ok" else told.strip()


def first_line(error: Exception) -> str:
    """What a database says is wrong."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


def unreadable(
    settings: Settings, history: History, sound: Mapping[str, Artifact], damaged: set[str], *, repair: bool
) -> Iterator[Finding]:
    """Rows whose record cannot be read, or whose size is not that of the file.

    Args:
        settings, history: Whose.
        sound: Artifacts of the store that are whole, by key.
        damaged: Gets the digests of files of which such rows are about.
        repair: Move these rows to a file, so that pages can be shown again.
    """
    sizes = {artifact.digest: artifact.size_bytes for artifact in sound.values()}
    for table, kind, noun in _RECORDS:
        found = [(key, told) for key, told in history.raw_rows(table) if not _sound(kind, told, sizes)]
        if not found:
            continue
        if repair:
            _put_aside(settings, table, found)
            history.remove_rows(table, [key for key, _ in found])
        if kind in (Measurement, Difference):
            damaged.update(str(key["artifact_digest"]) for key, _ in found)
        items = tuple(" ".join(_brief(str(part)) for part in key.values() if part != "") for key, _ in found)
        check = "runs-unreadable" if kind is Run else "records-unreadable"
        moved = f"; they are now in {ASIDE} in the home" if repair else ""
        told_of = f"Damaged records of {noun}{moved}."
        yield Finding(check, "problem", told_of, items, repair)


def _sound(kind: type[Record], told: Any, sizes: Mapping[str, int]) -> bool:
    try:
        record = kind.model_validate(told)
    except (ValidationError, TypeError):
        return False
    if isinstance(record, Measurement) and record.metric == "size_bytes":
        return record.value == sizes.get(record.artifact_digest, record.value)
    return True


def _brief(part: str) -> str:
    """Digests are long, and their beginnings differ."""
    return part[:12] if len(part) > 40 else part


def _put_aside(settings: Settings, table: sa.Table, rows: list[tuple[dict[str, Any], Any]]) -> None:
    with (settings.home / ASIDE).open("a", encoding="utf-8") as stream:
        for key, told in rows:
            stream.write(json.dumps({"table": table.name, "key": key, "record": told}, default=str) + "\n")
