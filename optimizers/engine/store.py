"""Content-addressed results in a folder. A result is visible whole or not at all, also after a power cut.

The folder may be the local part of a larger store: what is missing here is brought from there, what is finished here is
published there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil

from optimizers.errors import StoreDamaged
from optimizers.records import Artifact, digest_of_path
from optimizers.remote import Remote, remote_of
from optimizers.settings import Settings

_RECORD = "artifact.json"
DRAFTS = "drafts"
_KEY = re.compile(r"[0-9a-f]{64}")
_REMEMBERED = 2000


class Behind(Protocol):
    """A larger store that a folder is the local part of."""

    def record(self, key: str) -> Artifact | None:
        """What is known there about a result."""

    def bring(self, artifact: Artifact, folder: Path) -> None:
        """Puts the files of a result into a local folder."""

    def publish(self, artifact: Artifact, folder: Path) -> Artifact:
        """Makes a result from a local folder known there; gives back what is known then, if somebody was first."""


class Store:
    """A folder of results by key. Writers work in a draft folder and rename it when everything is on disk."""

    def __init__(self, root: Path, behind: Behind | None = None) -> None:
        self.root = root
        self.behind = behind
        self._drafts = root / DRAFTS
        self._drafts.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Artifact | None:
        """The record of a finished result, or None when there is none."""
        known = self.local(key)
        return self.behind.record(key) if known is None and self.behind is not None else known

    def local(self, key: str) -> Artifact | None:
        """The record of a result that lies in this folder."""
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
        folder = self._folder(artifact.key)
        if self.behind is not None and not folder.exists():
            self._bring(artifact)
        path = folder / (name or artifact.main)
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
        if self.behind is not None:  # first there, so that what is seen here is seen everywhere
            winner = self.behind.publish(artifact, draft)
            if winner != artifact:
                self.path(winner)
                return winner
        return self._place(draft, artifact)

    def refresh(self) -> None:
        """Forgets what is known of results behind this folder, where somebody may have taken damaged ones away."""
        if isinstance(self.behind, RemoteResults):
            self.behind.refresh()

    def publish(self, artifact: Artifact) -> Artifact:
        """Makes a local result known behind this folder. If another one is known there, it takes this one's place."""
        assert self.behind is not None, "there is something behind this folder"
        winner = self.behind.publish(artifact, self._folder(artifact.key))
        if winner != artifact:
            self.remove(artifact.key)
            self.path(winner)
        return winner

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
        """Deletes a result from this folder, whole or not; it goes out of sight at once."""
        grave = self._drafts / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._folder(key).rename(grave)
        shutil.rmtree(grave, ignore_errors=True)

    def artifacts(self) -> Iterator[Artifact]:
        """Every finished result in this folder."""
        for record in self.root.glob(f"??/*/{_RECORD}"):
            yield Artifact.model_validate(json.loads(record.read_text(encoding="utf-8")))

    def _bring(self, artifact: Artifact) -> None:
        assert self.behind is not None, "there is something behind this folder"
        with self.draft() as draft:
            self.behind.bring(artifact, draft)
            self._place(draft, artifact)

    def _place(self, draft: Path, artifact: Artifact) -> Artifact:
        """Renames a draft with all files of a result; gives back the result that is there then."""
        (draft / _RECORD).write_text(artifact.model_dump_json(indent=1), encoding="utf-8")
        for name in (*artifact.files, _RECORD):
            _sync(draft / name)
        _sync(draft)
        target = self._folder(artifact.key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.rename(target)
        except OSError:
            existing = self.local(artifact.key)
            if existing is None:
                raise
            return existing
        _sync(target.parent)
        return artifact

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no store key")
        return self.root / key[:2] / key


class RemoteResults:
    """Results as bundles behind a URL. Records never change, so the latest ones are remembered."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._known: dict[str, Artifact] = {}
        self._lock = threading.Lock()

    def record(self, key: str) -> Artifact | None:
        with self._lock:
            known = self._known.get(key)
        if known is None:
            text = self.remote.read(place_of(key))
            if text is None:
                return None
            known = self._remember(Artifact.model_validate_json(text))
        return known

    def bring(self, artifact: Artifact, folder: Path) -> None:
        self.remote.bring({folder / name: digest for name, digest in artifact.files.items()})

    def publish(self, artifact: Artifact, folder: Path) -> Artifact:
        files = {digest: folder / name for name, digest in artifact.files.items()}
        for digest, file in files.items():
            if digest_of_path(file) != digest:
                raise StoreDamaged(f"The stored file {file} is changed; delete its folder and run again.")
        text = self.remote.publish(place_of(artifact.key), artifact.model_dump_json(), files)
        return self._remember(Artifact.model_validate_json(text))

    def refresh(self) -> None:
        """Asks anew for each record: somebody else may have taken damaged ones out of sight."""
        with self._lock:
            self._known.clear()

    def forget(self, key: str) -> None:
        """Takes a result out of sight for everybody."""
        with self._lock:
            self._known.pop(key, None)
        self.remote.remove(place_of(key))

    def _remember(self, artifact: Artifact) -> Artifact:
        with self._lock:
            while len(self._known) >= _REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[artifact.key] = artifact
        return artifact


def place_of(key: str) -> str:
    """Where the bundle of a result lies."""
    return f"results/{key[:2]}/{key}"


_owner: Behind | None = None


def ask(owner: Behind) -> None:
    """In a worker process: what is behind the folder is had from the process that owns this one."""
    global _owner
    _owner = owner


def open_store(settings: Settings) -> Store:
    """The results of a home: its folder, and behind it what ``PARETOSCOPE_STORE`` names."""
    remote = remote_of(settings)
    return Store(settings.results, _owner or (RemoteResults(remote) if remote else None))


def forget_drafts(settings: Settings, pid: int) -> None:
    """Removes what a process that was ended left half written."""
    for draft in (settings.results / DRAFTS).glob(f"{pid}-*"):
        shutil.rmtree(draft, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
