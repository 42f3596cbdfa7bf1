"""Bundles of files behind any fsspec URL (``s3://bucket/prefix``, ``file:///mnt/all``), visible whole or not at all.

A bundle is a small JSON record at a *place* and the files that it names. Files lie under their own SHA-256, so nobody
can overwrite one with something else; they are written first and the record last. Where two write a record of the same
place the first one wins, and the other takes it over.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers.errors import ParetoscopeError, StoreDamaged, Unreachable, UserError
from optimizers.records import digest_of_path

if TYPE_CHECKING:
    from optimizers.settings import Settings

_WHOLE_AT_ONCE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss"}
"""Protocols whose files appear when they are complete. Elsewhere a file is written aside and moved."""
_CREATES_AT_ONCE = _WHOLE_AT_ONCE | {"memory"}
"""Protocols that write a small content only where nothing is, in one go."""

_PAUSES = (0.5, 1.0, 2.0, 4.0)
_FINAL = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, ParetoscopeError)


def remote_of(settings: Settings) -> Remote | None:
    """What lies behind the local store, or None where the local folder is all there is."""
    return _opened(settings.store) if settings.store else None


@lru_cache(maxsize=8)
def _opened(url: str) -> Remote:
    return Remote(url)


class Remote:
    """Bundles under one URL. Safe to use from several threads, processes and hosts.

    Args:
        url: Any URL that fsspec opens. Endpoint and credentials come from where the file system's own library looks for
            them, such as ``AWS_ENDPOINT_URL`` and ``AWS_ACCESS_KEY_ID`` for S3.

    Raises:
        UserError: Nothing that is installed opens such URLs, or nothing answers there.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            from fsspec.core import url_to_fs

            self._fs, root = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as problem:
            raise UserError(
                f"Results cannot be kept at {_shown(url)} ({problem}); install requirements-scale.txt, or correct "
                "PARETOSCOPE_STORE."
            ) from None
        self._root = root.rstrip("/")
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        self._local = "file" in protocols
        self._whole_at_once = bool(protocols & _WHOLE_AT_ONCE)
        self._creates_at_once = bool(protocols & _CREATES_AT_ONCE)
        self._in_memory = "memory" in protocols

    def read(self, place: str) -> str | None:
        """The record at a place, or None."""
        try:
            return bytes(self._patiently(self._fs.cat_file, self._path(f"{place}.json"))).decode()
        except FileNotFoundError:
            return None

    def publish(self, place: str, record: str, files: Mapping[str, Path]) -> str:
        """Makes a bundle visible; gives back the record that is there then, which is another one if somebody was first.

        Args:
            place: Such as ``results/ab/abcd…``.
            record: JSON.
            files: Local files by their SHA-256.
        """
        known = self.read(place)
        if known is not None:
            return known
        for digest, file in files.items():
            self._patiently(self._put, self._file(digest), file)
        target = self._path(f"{place}.json")
        if self._patiently(self._create, target, record.encode()):
            return record
        return self.read(place) or record

    def bring(self, files: Mapping[Path, str]) -> None:
        """Copies files to local paths by their SHA-256. Raises `StoreDamaged` if one is missing or changed."""
        for target, digest in files.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._patiently(self._get, self._file(digest), target)
            except FileNotFoundError:
                raise StoreDamaged(f"A stored file ({digest[:16]}) is missing in {_shown(self.url)}.") from None
            if digest_of_path(target) != digest:
                raise StoreDamaged(f"A stored file ({digest[:16]}) was changed in {_shown(self.url)}.")

    def remove(self, place: str) -> None:
        """Takes a bundle out of sight; its files go when the doctor finds that nobody names them."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(f"{place}.json"))

    def places(self, folder: str) -> Iterator[str]:
        """Places of all bundles below a folder, such as ``results``."""
        for path in self._found(folder):
            if path.endswith(".json"):
                yield path.removesuffix(".json")

    def files(self) -> dict[str, int]:
        """Size in bytes of every file, by its SHA-256."""
        return {path.rpartition("/")[2]: int(info["size"]) for path, info in self._found("files").items()}

    def remove_files(self, digests: set[str], older_seconds: float) -> int:
        """Deletes files that are older than that, and what was left half-written; returns how many."""
        old = [
            path
            for folder in ("files", "drafts")
            for path, info in self._found(folder).items()
            if (folder == "drafts" or path.rpartition("/")[2] in digests) and _age(info) > older_seconds
        ]
        for path in old:
            self._fs.rm_file(self._path(path))
        return len(old)

    # --------------------------------------------------------------------------------------------------------------

    def _patiently(self, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What some work gives, tried again a few times when the network or the server has a bad moment.

        Raises:
            Unreachable: It had more than a moment.
        """
        for pause in (*_PAUSES, None):
            try:
                return work(*args, **options)
            except _FINAL:
                raise
            except Exception as problem:  # every file system has errors of its own
                if pause is None:
                    told = " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
                    raise Unreachable(
                        f"The store {_shown(self.url)} does not answer ({told}); the run goes on when it is back."
                    ) from problem
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _path(self, place: str) -> str:
        return f"{self._root}/{place}"

    def _file(self, digest: str) -> str:
        return self._path(f"files/{digest[:2]}/{digest}")

    def _found(self, folder: str) -> dict[str, dict[str, Any]]:
        """Everything below a folder, by its path below the root."""
        self._fs.invalidate_cache()
        try:
            found = self._patiently(self._fs.find, self._path(folder), detail=True)
        except FileNotFoundError:
            return {}
        start = len(self._fs._strip_protocol(self._root)) + 1
        return {path[start:]: info for path, info in found.items()}

    def _get(self, source: str, target: Path) -> None:
        if self._in_memory:  # whoever opens such a file shares its position with all who read it at the same time
            target.write_bytes(self._fs.cat_file(source))
        else:
            self._fs.get_file(source, str(target))

    def _put(self, target: str, file: Path) -> None:
        """Writes a file unless one of that content is there. It appears whole."""
        if self._fs.exists(target) and self._fs.size(target) == file.stat().st_size:
            return
        if self._whole_at_once:
            self._fs.put_file(str(file), target)
            return
        draft = self._draft()
        self._fs.put_file(str(file), draft)
        self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._fs.mv(draft, target)

    def _create(self, target: str, content: bytes) -> bool:
        """Writes a record unless there is one; whether it did."""
        try:
            if self._creates_at_once:
                self._fs.pipe_file(target, content, mode="create")
                return True
            draft = self._draft()
            self._fs.pipe_file(draft, content)
            self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            if self._local:
                try:
                    os.link(draft, target)  # refuses to replace
                finally:
                    Path(draft).unlink()
            elif self._fs.exists(target):  # no way to do both in one here: a record may be replaced by one as good
                self._fs.rm_file(draft)
                return False
            else:
                self._fs.mv(draft, target)
            return True
        except OSError:
            if self._fs.exists(target):
                return False
            raise

    def _draft(self) -> str:
        draft = self._path(f"drafts/{uuid.uuid4().hex}")
        self._fs.makedirs(self._path("drafts"), exist_ok=True)
        return draft


def _age(info: Mapping[str, Any]) -> float:
    """Seconds since a file was written; 0 where the file system does not tell."""
    moment = info.get("mtime") or info.get("LastModified") or info.get("created") or info.get("last_modified")
    if moment is None:
        return 0.0
    return time.time() - (moment.timestamp() if hasattr(moment, "timestamp") else float(moment))


def _shown(url: str) -> str:
    """A URL without what may be a password in it."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
