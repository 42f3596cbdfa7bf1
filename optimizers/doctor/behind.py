"""What is behind the folder of results: is every bundle whole, and is everything there that is here?"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path

from optimizers.doctor import Finding
from optimizers.engine.store import RemoteResults, open_store, place_of
from optimizers.errors import StoreDamaged, Unreachable, UserError
from optimizers.records import Artifact
from optimizers.remote import Remote, remote_of
from optimizers.settings import Settings
from optimizers.uploads import Upload

_WRITING_SECONDS = 24 * 3600.0
"""Files that no record names may belong to somebody who is still writing."""


def examine(
    settings: Settings, sound: Mapping[str, Artifact], *, repair: bool, deep: bool
) -> Generator[Finding, None, Mapping[str, Artifact] | None]:
    """Looks at every bundle; the value is what can be had, here or there, by key; None where that cannot be told.

    Args:
        settings: Whose store.
        sound: The whole results in the local folder, by key.
        repair: Publish what is only here, take damaged bundles out of sight, delete files that no record names.
        deep: Read every file, instead of asking for its presence.
    """
    try:
        remote = remote_of(settings)
        if remote is None:
            return sound
        files = remote.files()
        known, unreadable = _records(remote)
    except (UserError, Unreachable) as error:
        yield Finding("store", "problem", error.message)
        return None
    damaged = [key for key, a in known.items() if _damaged(remote, a, files, deep)]
    whole = {key: a for key, a in known.items() if key not in damaged}
    if repair:
        results = RemoteResults(remote)
        for key in damaged:
            results.forget(key)
        for place in unreadable:
            remote.remove(place)
        needed = {digest for a in whole.values() for digest in a.files.values()}
        remote.remove_files({d for key in damaged for d in known[key].files.values()} - needed, 0.0)
    yield Finding("store", "fine", f"{len(whole)} results behind PARETOSCOPE_STORE have all their files.")
    if damaged or unreadable:
        told = "Results behind PARETOSCOPE_STORE whose files are missing or changed, or whose record cannot be read."
        yield Finding("store-damaged", "problem", told, (*damaged, *unreadable), repair)
    missing = [key for key in sound if key not in whole]
    if missing:
        if repair:
            store = open_store(settings)
            for key in missing:
                store.publish(sound[key])
        told = "Results that are here and not behind PARETOSCOPE_STORE, so other hosts cannot see them."
        yield Finding("store-unpublished", "problem", told, tuple(missing), repair)
    named = {digest for a in (*known.values(), *sound.values()) for digest in a.files.values()} | _uploaded(remote)
    loose = set(files) - named
    if loose:
        gone = remote.remove_files(loose, _WRITING_SECONDS) if repair else 0
        told = (
            f"{len(loose)} files behind PARETOSCOPE_STORE that no record names; of these {gone} were old and deleted."
        )
        yield Finding("store-unnamed", "note", told, tuple(sorted(loose)))
    return {**whole, **sound}


def _records(remote: Remote) -> tuple[dict[str, Artifact], list[str]]:
    known, unreadable = {}, []
    for place in remote.places("results"):
        try:
            artifact = Artifact.model_validate_json(remote.read(place) or "")
        except ValueError:
            unreadable.append(place)
            continue
        if place_of(artifact.key) == place:
            known[artifact.key] = artifact
        else:
            unreadable.append(place)
    return known, unreadable


def _damaged(remote: Remote, artifact: Artifact, files: Mapping[str, int], deep: bool) -> bool:
    if not set(artifact.files.values()) <= files.keys() or files[artifact.digest] != artifact.size_bytes:
        return True
    if not deep:
        return False
    with tempfile.TemporaryDirectory(prefix="paretoscope-") as folder:
        try:
            remote.bring({Path(folder) / name: digest for name, digest in artifact.files.items()})
        except StoreDamaged:
            return True
    return False


def _uploaded(remote: Remote) -> set[str]:
    """Digests of files that visitors brought."""
    records = (remote.read(place) for place in remote.places("uploads"))
    return {Upload.model_validate_json(text).digest for text in records if text}
