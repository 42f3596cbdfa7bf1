"""ZIP files, compressed TAR files and folders from strangers, read into memory. Nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Protocol

from optimizers.errors import ModelRefused
from optimizers.models.reader.limits import LIMITS
from optimizers.models.reader.values import shown

ZIP_MAGIC = b"PK\x03\x04"
GZIP_MAGIC = b"\x1f\x8b"
_ENTRY_MAGIC = b"PK\x01\x02"


class Container(Protocol):
    """Named byte strings, under names with forward slashes."""

    @property
    def names(self) -> frozenset[str]: ...

    def read(self, name: str, limit: int) -> bytes: ...


def _damaged(what: str, reason: object) -> ModelRefused:
    return ModelRefused(
        f"{what} is damaged or incomplete ({shown(reason).rstrip('.')}); copy or download the file again.",
        code="bad-file",
    )


def _too_large(what: str) -> ModelRefused:
    return ModelRefused(
        f"{what} unpacks to more than is accepted ({LIMITS.zip_members} members, {LIMITS.weight_bytes >> 20} MiB, "
        f"{LIMITS.zip_ratio} times its packed size); save the model again without extra files.",
        code="too-large",
    )


def _unsafe(what: str, reason: str) -> ModelRefused:
    return ModelRefused(f"{what} {reason}; pack the model again from the files that Keras wrote.", code="unsafe-file")


def _check_name(what: str, name: str) -> None:
    """Refuses names that would leave the container: absolute, with dots, drives or control characters."""
    parts = name.replace("\\", "/").split("/")
    if not name or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name or len(name) > 255:
        raise _unsafe(what, f"has a member with the unsafe name {shown(name)!r}")


class ZipContainer:
    """A ZIP file whose directory was checked before anything is unpacked."""

    def __init__(self, data: bytes) -> None:
        """Checks names, sizes and kinds of all members. Raises `ModelRefused`."""
        what = "The ZIP file"
        try:
            if data.count(_ENTRY_MAGIC) > LIMITS.zip_members:  # each costs an object, before it can be counted
                raise _too_large(what)
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            infos = self._zip.infolist()
        except (ModelRefused, MemoryError):
            raise
        except Exception as error:
            raise _damaged(what, error) from None
        if len(infos) > LIMITS.zip_members:
            raise _too_large(what)
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            self._check(what, info)
            self._members[info.filename] = info
        if sum(info.file_size for info in infos) > LIMITS.weight_bytes:
            raise _too_large(what)
        if sum(info.compress_size for info in infos) > len(data):
            raise _unsafe(what, "has members that overlap")

    def _check(self, what: str, info: zipfile.ZipInfo) -> None:
        _check_name(what, info.orig_filename)
        _check_name(what, info.filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _unsafe(what, f"has a symbolic link ({shown(info.filename)!r})")
        if info.filename in self._members:
            raise _unsafe(what, f"has two members named {shown(info.filename)!r}")
        if info.flag_bits & 1:
            raise _unsafe(what, "is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _unsafe(what, "uses an unusual compression")
        if info.file_size > max(1 << 20, LIMITS.zip_ratio * info.compress_size):
            raise _too_large(what)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._members)

    def read(self, name: str, limit: int) -> bytes:
        """Content of a member of at most ``limit`` bytes."""
        info, what = self._members[name], f"{shown(name)!r} in the ZIP file"
        if info.file_size > limit:
            raise ModelRefused(
                f"{what} is {info.file_size >> 20} MiB; at most {limit >> 20} MiB are read: use a smaller model.",
                code="too-large",
            )
        try:
            with self._zip.open(info) as stream:
                data = stream.read(limit + 1)
        except MemoryError:
            raise
        except Exception as error:
            raise _damaged(what, error or type(error).__name__) from None
        if len(data) != info.file_size:
            raise _damaged(what, "its size is not what the directory says")
        return data


class TarContainer:
    """A ``.tar.gz`` file, unpacked into memory within the limits."""

    def __init__(self, data: bytes) -> None:
        """Reads all regular members. Raises `ModelRefused` for links, devices, repeated or unsafe names."""
        what = "The .tar.gz file"
        allowed = min(LIMITS.weight_bytes, max(1 << 20, LIMITS.zip_ratio * len(data)))
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                unpacked = stream.read(allowed + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise _damaged(what, error) from None
        if len(unpacked) > allowed:
            raise _too_large(what)
        try:
            self._members = self._collect(what, unpacked)
        except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, IndexError) as error:
            raise _damaged(what, error) from None

    @staticmethod
    def _collect(what: str, unpacked: bytes) -> dict[str, bytes]:
        members: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
            for count, info in enumerate(tar):
                if count >= LIMITS.zip_members:
                    raise _too_large(what)
                name = info.name.removeprefix("./")
                if info.isdir():
                    continue
                _check_name(what, name)
                if not info.isreg() or info.issparse():
                    raise _unsafe(what, f"has a link, a device or a sparse file ({shown(name)!r})")
                if name in members:
                    raise _unsafe(what, f"has two members named {shown(name)!r}")
                stream = tar.extractfile(info)
                content = stream.read() if stream else b""
                if len(content) != info.size:
                    raise _damaged(what, f"{shown(name)!r} is cut off")
                members[name] = content
        return members

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._members)

    def read(self, name: str, limit: int) -> bytes:
        """Content of a member of at most ``limit`` bytes."""
        return _bounded(self._members[name], name, limit)


class FolderContainer:
    """A folder on this machine. Links inside it are refused, so that nothing outside it is read."""

    def __init__(self, root: Path) -> None:
        self._files: dict[str, Path] = {}
        for folder, subfolders, files in os.walk(root):
            for entry in (*subfolders, *files):
                path = Path(folder) / entry
                if path.is_symlink():
                    raise _unsafe(f"The folder {root.name!r}", f"has a symbolic link ({shown(entry)!r})")
                if entry in files and path.is_file():
                    self._files[path.relative_to(root).as_posix()] = path
            if len(self._files) > 20 * LIMITS.zip_members:
                raise _too_large(f"The folder {root.name!r}")

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._files)

    def read(self, name: str, limit: int) -> bytes:
        """Content of a file of at most ``limit`` bytes."""
        return read_bounded(self._files[name], limit)


def read_bounded(path: Path, limit: int) -> bytes:
    """Content of a file of at most ``limit`` bytes. Raises `ModelRefused` (``too-large``, ``bad-file``)."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            # not limit + 1: read() makes room for all that it is asked for, here 2 GiB, before it looks at the file
            return _bounded(stream.read(min(size, limit) + 1), path.name, limit)
    except OSError as error:
        raise ModelRefused(
            f"{path.name!r} cannot be read ({error.strerror}); check the file and its permissions.", code="bad-file"
        ) from None


def _bounded(data: bytes, name: str, limit: int) -> bytes:
    if len(data) > limit:
        raise ModelRefused(
            f"{shown(name)!r} is larger than {limit >> 20} MiB, the most that is read; use a smaller model.",
            code="too-large",
        )
    return data
