"""ZIP and TAR files that would write outside their folder, unpack without end, or lie about what they hold."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.hostile.files import HostileFile
from tests.hostile.sound import keras_archive, saved_model_members, tarred, zipped

_DIRECTORY, _END = b"PK\x01\x02", b"PK\x05\x06"
_UNSAFE_NAMES = ("../evil", "/etc/passwd", "a/../../b", "..\\evil", "C:/x", "\\\\host\\share", "x" * 300)


def zip_files(marker: Path) -> Iterator[HostileFile]:
    """ZIP files."""
    sound = {"config.json": b"{}", "model.weights.h5": b"x"}
    for i, name in enumerate((*_UNSAFE_NAMES, str(marker), f"../../../../../../../..{marker}")):
        yield HostileFile(f"path-{i}.keras", _zip([*sound.items(), (name, b"x")]), codes=("unsafe-file",))
    twice = [("config.json", b"{}"), ("config.json", b"[]")]
    yield HostileFile("twice.keras", _zip(twice), codes=("unsafe-file",))
    yield HostileFile("link.keras", _zip([(_link("config.json"), b"/etc/passwd")]), codes=("unsafe-file",))
    yield HostileFile("locked.keras", _patched(8, b"\x01"), codes=("unsafe-file",))
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield HostileFile(f"method-{method}.keras", zipped(sound, method), codes=("unsafe-file",))
    yield HostileFile("method-99.keras", _patched(10, b"\x63"), codes=("unsafe-file",))
    yield HostileFile("size-too-small.keras", _patched(24, struct.pack("<I", 4)), codes=("bad-file", "bad-json"))
    yield HostileFile("size-too-large.keras", _patched(24, struct.pack("<I", 1 << 18)), codes=("bad-file",))
    yield HostileFile("offset-outside.keras", _patched(42, struct.pack("<I", 1 << 30)), codes=("bad-file",))
    yield HostileFile("overlapping.keras", _overlapping(), codes=("unsafe-file", "bad-file"))
    yield HostileFile("many-members.keras", _zip((f"f{i}", b"") for i in range(600)), codes=("too-large",))
    yield HostileFile("a-million-members.keras", _long_directory(1_000_000), codes=("too-large",))
    yield HostileFile("bomb-config.keras", zipped({"config.json": b" " * (64 << 20)}), codes=("too-large",))
    bomb = {"config.json": b"{}", "model.weights.h5": bytes(256 << 20)}
    yield HostileFile("bomb-weights.keras", zipped(bomb), codes=("too-large",))
    nested = b"x"
    for _ in range(9):
        nested = zipped({"config.json": nested})
    yield HostileFile("nested.keras", nested, codes=("bad-json",))
    yield HostileFile(
        "two-ends.keras", keras_archive() + zipped({"config.json": b"{}"}), codes=("bad-file", "bad-config")
    )
    yield HostileFile("end-alone.keras", b"PK\x03\x04" + _END + bytes(18), codes=("unknown-format",))
    yield HostileFile("with-comment.keras", keras_archive()[:-2] + b"\xff\xff" + bytes(65535), harmless=True)
    yield HostileFile("program-in-front.keras", b"PK\x03\x04#!/bin/sh\n" + keras_archive(), harmless=True)
    yield HostileFile("without-config.keras", zipped({"model.weights.h5": b"x"}), codes=("unknown-format",))
    yield HostileFile("without-weights.keras", keras_archive()[:0] + _without_weights(), codes=("bad-file",))


def tar_files(marker: Path) -> Iterator[HostileFile]:
    """Compressed TAR files."""
    plain = dict(saved_model_members())
    for i, name in enumerate((*_UNSAFE_NAMES[:6], str(marker), f"../../../../../../../..{marker}")):
        yield HostileFile(f"path-{i}.tar.gz", tarred({**plain, name: b"x"}), codes=("unsafe-file",))
    kinds = {
        "symlink": tarfile.SYMTYPE,
        "hardlink": tarfile.LNKTYPE,
        "fifo": tarfile.FIFOTYPE,
        "device": tarfile.CHRTYPE,
    }
    for name, kind in kinds.items():
        yield HostileFile(f"{name}.tar.gz", _special("m/saved_model.pb", kind), codes=("unsafe-file",))
    yield HostileFile("twice.tar.gz", _tar([("a", b"x"), ("a", b"y")]), codes=("unsafe-file",))
    yield HostileFile("notes.tar.gz", tarred({"notes.txt": b"x"}), codes=("unknown-format",))
    yield HostileFile("many-members.tar.gz", _tar((f"f{i}", b"") for i in range(600)), codes=("too-large",))
    yield HostileFile("a-million-members.tar.gz", _million_headers(), codes=("too-large",))
    yield HostileFile("bomb.tar.gz", tarred({**plain, "big": bytes(256 << 20)}), codes=("too-large",))
    yield HostileFile(
        "bomb-in-a-bomb.tar.gz", gzip.compress(gzip.compress(bytes(256 << 20))), codes=("bad-file", "unknown-format")
    )
    yield HostileFile("not-a-tar.tar.gz", gzip.compress(b"\0" * 20_000), codes=("unknown-format",))
    yield HostileFile("text.tar.gz", gzip.compress(b"hello " * 500), codes=("bad-file",))
    yield HostileFile("huge-size.tar.gz", _huge_header(), codes=("bad-file", "too-large"))
    yield HostileFile("long-name.tar.gz", _tar([("a/" * 5000 + "x", b"y")]), codes=("unsafe-file",))
    yield HostileFile("sparse.tar.gz", _sparse(), codes=("unsafe-file", "bad-file", "too-large"))
    yield HostileFile("trailing.tar.gz", tarred(plain) + b"garbage" * 100, codes=("bad-file",))


def _zip(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        warnings.simplefilter("ignore")
        for name, data in members:
            target.writestr(name, data)
    return buffer.getvalue()


def _link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def _patched(offset: int, value: bytes) -> bytes:
    """An archive whose first directory entry has other bytes at an offset."""
    data = bytearray(_zip([("config.json", b'{"a": 1}'), ("model.weights.h5", b"x" * 100)]))
    start = data.index(_DIRECTORY) + offset
    data[start : start + len(value)] = value
    return bytes(data)


def _overlapping() -> bytes:
    """Forty entries that share the bytes of one member."""
    whole = _zip([("config.json", bytes(900_000))])
    start, end = whole.index(_DIRECTORY), whole.index(_END)
    entry, entries = whole[start:end], b""
    for i in range(40):
        entries += entry.replace(b"config.json", f"config{i:04}j".encode())
    tail = bytearray(whole[end:])
    tail[8:20] = struct.pack("<HHII", 40, 40, len(entries), start)
    return whole[:start] + entries + bytes(tail)


def _long_directory(count: int) -> bytes:
    """A ZIP file that is almost nothing but directory, where every entry costs the reader an object."""
    whole = _zip([("a", b"")])
    start, end = whole.index(_DIRECTORY), whole.index(_END)
    entries = whole[start:end] * count
    tail = bytearray(whole[end:])
    tail[8:20] = struct.pack("<HHII", 0xFFFE, 0xFFFE, len(entries), start)
    return whole[:start] + entries + bytes(tail)


def _without_weights() -> bytes:
    with zipfile.ZipFile(io.BytesIO(keras_archive())) as source:
        return zipped({"config.json": source.read("config.json")})


def _tar(members: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as target:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _special(name: str, kind: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as target:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        target.addfile(info)
    return buffer.getvalue()


def _million_headers() -> bytes:
    header = tarfile.TarInfo("folder").tobuf()
    directory = bytearray(header)
    directory[156:157] = tarfile.DIRTYPE
    directory[148:156] = b" " * 8
    directory[148:156] = f"{sum(directory[:512]):06o}\0 ".encode()
    return gzip.compress(bytes(directory) * 200_000, 1)


def _huge_header() -> bytes:
    info = tarfile.TarInfo("saved_model.pb")
    info.size = 1 << 50
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def _sparse() -> bytes:
    """A member that is said to be sparse: a few bytes that stand for a terabyte."""
    info = tarfile.TarInfo("saved_model.pb")
    info.size = 512
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40), "GNU.sparse.name": "saved_model.pb"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as target:
        target.addfile(info, io.BytesIO(bytes(512)))
    return buffer.getvalue()
