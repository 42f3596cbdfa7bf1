"""The folder in which Keras keeps downloaded data sets, read and filled as Keras does, without Keras.

Names, addresses and SHA-256 are those of ``keras/src/datasets`` (3.15) and ``tf_keras/src/datasets`` (2.21).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from filelock import FileLock

from optimizers.errors import DataRefused

_BLOCK = 1 << 20
_SILENCE_SECONDS = 30


@dataclass(frozen=True)
class Download:
    """A file to be had from the network.

    ``saved_as`` is its place below Keras's folder of data sets; in an archive the files of the set are packed.
    """

    url: str
    size_bytes: int
    sha256: str
    saved_as: str
    archive: bool = False


@dataclass(frozen=True)
class Published:
    """The files of a data set.

    Attributes:
        folders: Where Keras keeps them, below its folder of data sets; the newest habit first.
        files: Names, and digests as ``sha256:…`` or ``md5:…``.
        downloads: Where they come from.
    """

    folders: tuple[str, ...]
    files: Mapping[str, str]
    downloads: tuple[Download, ...]

    @property
    def size_bytes(self) -> int:
        """What is to be downloaded."""
        return sum(download.size_bytes for download in self.downloads)


def root() -> Path:
    """Keras's folder of data sets: ``datasets`` in ``$KERAS_HOME`` or ``~/.keras``."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def places(published: Published) -> dict[str, Path]:
    """Where each file is or will be: all in the folder that has them all, else in that of the newest Keras."""
    folders = [root() / folder for folder in published.folders]
    complete = [folder for folder in folders if all((folder / name).is_file() for name in published.files)]
    return {name: (complete or folders)[0] / name for name in published.files}


def missing(published: Published) -> list[str]:
    """Names of the files that have to be downloaded."""
    return [name for name, path in places(published).items() if not path.is_file()]


def digests(published: Published) -> dict[str, str]:
    """What identifies each file: its published digest, or its own SHA-256 where another file lies in its place."""
    return {
        name: _digest(path, published.files[name]) if path.is_file() else published.files[name]
        for name, path in places(published).items()
    }


def fetch(published: Published, name: str) -> dict[str, Path]:
    """The files of a data set, downloaded where they are missing.

    Several processes may ask for the same files. A download that was interrupted is continued.

    Args:
        published: The data set.
        name: Its name, for messages.

    Raises:
        DataRefused: No network, another file than the published one, or a folder that cannot be written.
    """
    if not missing(published):
        return places(published)
    try:
        root().mkdir(parents=True, exist_ok=True)
        with FileLock(root() / f".{published.downloads[0].saved_as.replace('/', '-')}.lock"):
            absent = missing(published)  # somebody else may have downloaded them meanwhile
            for download in published.downloads:
                if download.archive and absent:
                    _unpack(_downloaded(download, name), {places(published)[file] for file in absent})
                elif PurePosixPath(download.saved_as).name in absent:
                    _downloaded(download, name)
    except OSError as error:
        raise DataRefused(
            f"{name} could not be saved in {root()}; make that folder writable, or let KERAS_HOME name another one.",
            code="cache-unwritable",
            detail=str(error),
        ) from None
    return places(published)


def _downloaded(download: Download, name: str) -> Path:
    target = root() / download.saved_as
    if target.is_file() and _digest(target, f"sha256:{download.sha256}") == f"sha256:{download.sha256}":
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        _receive(download, part)
    except (OSError, HTTPException) as error:  # URLError is an OSError
        raise DataRefused(
            f"{name} is not on this machine and could not be downloaded from {download.url}; check the network, or "
            f"save that file as {target}.",
            code="no-download",
            detail=str(error),
        ) from None
    if _hash(part, "sha256") != download.sha256:
        part.unlink()
        raise DataRefused(
            f"{download.url} did not send the published file of {name}, so it was not kept; try again later, or save "
            f"the published file as {target}.",
            code="wrong-download",
        )
    part.replace(target)
    return target


def _receive(download: Download, part: Path) -> None:
    """Appends to ``part`` what it still lacks."""
    there = part.stat().st_size if part.is_file() else 0
    if there >= download.size_bytes:
        return
    request = urllib.request.Request(download.url, headers={"Range": f"bytes={there}-"} if there else {})
    with (
        urllib.request.urlopen(request, timeout=_SILENCE_SECONDS) as response,
        part.open("ab" if response.status == 206 else "wb") as out,
    ):
        while (block := response.read(_BLOCK)) and out.tell() <= download.size_bytes:
            out.write(block)
        out.flush()
        os.fsync(out.fileno())


def _unpack(archive: Path, wanted: set[Path]) -> None:
    """Writes the wanted files out of an archive; the names in the archive decide nothing but which file is meant."""
    by_name = {path.name: path for path in wanted}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            target = by_name.get(PurePosixPath(member.name).name)
            content = tar.extractfile(member) if target and member.isfile() else None
            if target is None or content is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.part")
            with content, part.open("wb") as out:
                shutil.copyfileobj(content, out, _BLOCK)
            part.replace(target)


def _digest(path: Path, published: str) -> str:
    """``published`` if the file has that digest, else its SHA-256."""
    state = path.stat()
    return _digest_of_state(path, state.st_size, state.st_mtime_ns, published)


@lru_cache(maxsize=256)
def _digest_of_state(path: Path, size: int, changed: int, published: str) -> str:
    algorithm, _, digest = published.partition(":")
    return published if _hash(path, algorithm) == digest else f"sha256:{_hash(path, 'sha256')}"


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
