"""Content-addressed results on disk. A result is visible whole or not at all, also after a power cut."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from optimizers.errors import StoreDamaged
from optimizers.records import Artifact, digest_of_path

_RECORD = "artifact.json"
_KEY = re.compile(r"[0-9a-f]{64}")


class Store:
    """A folder of results by key. Writers work in a draft folder and rename it when everything is on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._drafts = root / "drafts"
        self._drafts.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Artifact | None:
        """The record of a finished result, or None when there is none."""
        try:
            text = (self._folder(key) / _RECORD).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Artifact.model_validate_json(text)

    def path(self, artifact: Artifact, name: str | None = None) -> Path:
        """Local path of one of the result's files (its main file by default).

        Raises:
            StoreDamaged: The file is gone, or it has another size than when it was stored.
        """
        path = self._folder(artifact.key) / (name or artifact.main)
        if not path.exists() or (name is None and path.stat().st_size != artifact.size_bytes):
            raise StoreDamaged(f"The stored file {path} is missing or changed; delete its folder and run again.")
        return path

    def verify(self, artifact: Artifact) -> None:
        """Raises `StoreDamaged` unless every file has the digest it was stored with."""
        for name, digest in artifact.files.items():
            path = self._folder(artifact.key) / name
            if not path.exists() or digest_of_path(path) != digest:
                raise StoreDamaged(f"The stored file {path} is missing or changed; delete its folder and run again.")

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """An empty folder to write a result into. What is not committed is removed."""
        folder = self._drafts / f"{os.getpid()}-{uuid.uuid4().hex}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self, draft: Path, key: str, kind: str, main: str, report: dict[str, object]) -> Artifact:
        """Makes a draft visible under its key. When another process was faster, its result stays and is returned."""
        names = sorted(p.relative_to(draft).as_posix() for p in draft.rglob("*") if p.is_file())
        files = {name: digest_of_path(draft / name) for name in names}
        artifact = Artifact.model_validate(
            {
                "key": key,
                "kind": kind,
                "main": main,
                "files": files,
                "digest": files[main],
                "size_bytes": (draft / main).stat().st_size,
                "report": report,
            }
        )
        (draft / _RECORD).write_text(artifact.model_dump_json(indent=1), encoding="utf-8")
        for name in (*names, _RECORD):
            _sync(draft / name)
        _sync(draft)
        target = self._folder(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.rename(target)
        except OSError:
            existing = self.get(key)
            if existing is None:
                raise
            return existing
        _sync(target.parent)
        return artifact

    def stale(self) -> list[Path]:
        """Drafts whose writers are gone."""
        return [d for d in self._drafts.iterdir() if not psutil.pid_exists(int(d.name.partition("-")[0]))]

    def sweep(self) -> int:
        """Removes drafts whose writers are gone; returns how many."""
        stale = self.stale()
        for draft in stale:
            shutil.rmtree(draft, ignore_errors=True)
        return len(stale)

    def folders(self) -> list[Path]:
        """The folder of every key, whatever is in it."""
        return [folder for folder in sorted(self.root.glob("??/*")) if _KEY.fullmatch(folder.name)]

    def remove(self, key: str) -> None:
        """Deletes a result, whole or not; it goes out of sight at once."""
        grave = self._drafts / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._folder(key).rename(grave)
        shutil.rmtree(grave, ignore_errors=True)

    def artifacts(self) -> Iterator[Artifact]:
        """Every finished result."""
        for record in self.root.glob(f"??/*/{_RECORD}"):
            yield Artifact.model_validate(json.loads(record.read_text(encoding="utf-8")))

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no store key")
        return self.root / key[:2] / key


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
