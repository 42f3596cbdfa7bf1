"""The store and the uploads: is every result whole, and is nothing left lying about?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from optimizers.doctor import Finding
from optimizers.engine.store import Store, open_store
from optimizers.errors import StoreDamaged
from optimizers.records import Artifact, digest_of_path
from optimizers.settings import Settings
from optimizers.uploads import CONTENT, RECORD, Upload

_LONGEST_UPLOAD_SECONDS = 3600


def examine(settings: Settings, *, repair: bool) -> Generator[Finding, None, Mapping[str, Artifact]]:
    """Looks at every result, byte by byte; the whole ones are the generator's value, by key."""
    store = open_store(settings)
    sound: dict[str, Artifact] = {}
    damaged: list[str] = []
    half: list[str] = []
    for folder in store.folders():
        try:
            found = _whole(store, folder.name)
        except (StoreDamaged, ValidationError, ValueError):
            damaged.append(folder.name)
            continue
        if found is None:
            half.append(folder.name)
        else:
            sound[folder.name] = found
    if repair:
        for key in (*damaged, *half):
            store.remove(key)
    total = sum(a.size_bytes for a in sound.values()) / 2**20
    yield Finding(
        "results", "fine", f"{len(sound)} results are whole to the last bit; their files take {total:.1f} MiB."
    )
    if damaged:
        told = "Results whose files are missing or changed; they are computed again when they are needed."
        yield Finding("results-damaged", "problem", told, tuple(damaged), repair)
    if half:
        told = "Folders without a record, so nobody can use them."
        yield Finding("results-half-written", "problem", told, tuple(half), repair)
    yield from _drafts(store, repair)
    return sound


def _whole(store: Store, key: str) -> Artifact | None:
    artifact = store.get(key)
    if artifact is None:
        return None
    if artifact.key != key or artifact.files.get(artifact.main) != artifact.digest:
        raise StoreDamaged(f"The record of {key} is about something else.")
    store.path(artifact)
    store.verify(artifact)
    return artifact


def _drafts(store: Store, repair: bool) -> Iterator[Finding]:
    stale = [draft.name for draft in store.stale()]
    if stale:
        if repair:
            store.sweep()
        told = "Drafts of processes that are gone; the next start of the app sweeps them up as well."
        yield Finding("drafts", "problem", told, tuple(stale), repair)


def uploads(settings: Settings, *, repair: bool) -> Iterator[Finding]:
    """Looks at everything that visitors brought."""
    if not settings.uploads.is_dir():
        return
    wrong, count = [], 0
    for folder in settings.uploads.iterdir():
        if folder.name.startswith("."):
            if time.time() - folder.stat().st_mtime > _LONGEST_UPLOAD_SECONDS:
                wrong.append(folder)
        elif folder.is_dir():
            count += 1
            if not _intact(folder):
                wrong.append(folder)
    yield Finding("uploads", "fine", f"{count} uploads were looked at.")
    if wrong:
        if repair:
            for folder in wrong:
                shutil.rmtree(folder, ignore_errors=True)
        told = "Uploads that were broken off, or whose files are missing or changed; they have to be uploaded again."
        yield Finding("uploads-damaged", "problem", told, tuple(folder.name for folder in wrong), repair)


def _intact(folder: Path) -> bool:
    try:
        upload = Upload.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))
        return upload.token == folder.name and digest_of_path(folder / CONTENT) == upload.digest
    except (OSError, ValueError):
        return False
