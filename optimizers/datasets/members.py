"""The files inside a ZIP file or a folder, read alike. Nothing is unpacked to the disk, so names can do no harm."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from optimizers.errors import DataRefused

MAX_MEMBERS = 100_000
PARTS = {"train": "train", "training": "train", "validation": "validation", "val": "validation",
         "valid": "validation", "dev": "validation", "test": "test", "testing": "test"}  # fmt: skip
"""The part of a data set that a word in a file's or a folder's name stands for."""

_ENTRY_MAGIC = b"PK\x01\x02"
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Members:
    """Files by their names with forward slashes, in alphabetical order, and their unpacked sizes in bytes.

    Hidden files and what operating systems leave behind are not among them.
    """

    name: str
    sizes: dict[str, int]
    _source: zipfile.ZipFile | Path

    def read(self, member: str) -> io.BytesIO:
        """The whole contents of a file, never more than its size says. Raises `DataRefused`."""
        size = self.sizes[member]
        try:
            if isinstance(self._source, Path):
                content = (self._source / member).read_bytes()
            else:
                with self._source.open(member) as stream:
                    content = stream.read(size + 1)
        except MemoryError:
            raise
        except Exception as error:  # damaged bytes raise whatever the unpacker came across
            raise _damaged(self.name, error) from None
        if len(content) != size:
            raise _damaged(self.name, f"{member} has {len(content)} bytes instead of {size}")
        return io.BytesIO(content)


@contextmanager
def opened(path: Path, name: str) -> Iterator[Members]:
    """The files in a ZIP file or folder.

    Args:
        path: The ZIP file or folder.
        name: What people call it, for messages.

    Raises:
        DataRefused: No ZIP file, damaged, encrypted, or very many files.
    """
    if path.is_dir():
        files = sorted(found for found in path.rglob("*") if found.is_file() and not found.is_symlink())
        named = {found.relative_to(path).as_posix(): found.stat().st_size for found in files}
        yield _members(name, named, path)
        return
    _check_directory(path, name)
    try:
        archive = zipfile.ZipFile(path)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise _damaged(name, error) from None
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if any(entry.flag_bits & 1 for entry in entries):
            raise DataRefused(f"{name} is locked with a password; save it without one.", code="encrypted")
        doubled = len(entries) - len({entry.filename for entry in entries})
        if doubled:
            raise _damaged(name, f"{doubled} names occur twice")
        yield _members(name, {entry.filename: entry.file_size for entry in entries}, archive)


def _check_directory(path: Path, name: str) -> None:
    """Counts the entries before Python makes an object of each."""
    count, tail = 0, b""
    with path.open("rb") as stream:
        while block := stream.read(1 << 24):
            count += (tail + block).count(_ENTRY_MAGIC)
            tail = block[-len(_ENTRY_MAGIC) + 1 :]
    if count > 2 * MAX_MEMBERS:  # contents may hold the same four bytes by chance
        raise _too_many(name, count)


def _too_many(name: str, count: int) -> DataRefused:
    return DataRefused(
        f"{name} holds {count:,} files, more than {MAX_MEMBERS:,}; use fewer examples.", code="too-many-files"
    )


def is_zip(path: Path) -> bool:
    """Whether a file begins as ZIP files do."""
    with path.open("rb") as stream:
        return stream.read(4) in ZIP_STARTS


def names_in(path: Path) -> tuple[str, ...]:
    """Names of the files in a ZIP file or folder; none where it is neither."""
    if path.is_dir():
        return _names(path)
    stat = path.stat()
    return _names_of_file(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1)
def _names_of_file(path: Path, changed_ns: int, size: int) -> tuple[str, ...]:
    """Remembered, because one format after the other asks."""
    return _names(path)


def _names(path: Path) -> tuple[str, ...]:
    try:
        with opened(path, path.name) as members:
            return tuple(members.sizes)
    except DataRefused:
        return ()


def _members(name: str, sizes: dict[str, int], source: zipfile.ZipFile | Path) -> Members:
    if len(sizes) > MAX_MEMBERS:
        raise _too_many(name, len(sizes))
    kept = {member: size for member, size in sorted(sizes.items()) if not _is_clutter(PurePosixPath(member))}
    return Members(name, kept, source)


def _is_clutter(member: PurePosixPath) -> bool:
    return any(part in _CLUTTER or part.startswith(".") for part in member.parts)


def _damaged(name: str, why: object) -> DataRefused:
    return DataRefused(
        f"{name} is damaged or was not copied completely; save or upload it again.", code="damaged", detail=str(why)
    )
