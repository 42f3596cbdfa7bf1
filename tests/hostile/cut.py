"""Sound files that were cut off, and files that are not what their names say."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from tests.hostile.files import HostileFile, Pickled
from tests.hostile.sound import csv, keras_archive, npz, saved_model_members, tarred, tflite, whole_hdf5, zipped

Kind = Literal["model", "data"]


def _wholes() -> Mapping[str, tuple[bytes, Kind]]:
    plain = saved_model_members()
    return {
        "model.keras": (keras_archive(), "model"),
        "model.h5": (whole_hdf5(), "model"),
        "model.zip": (zipped(plain), "model"),
        "model.tar.gz": (tarred(plain), "model"),
        "model.tflite": (tflite(), "model"),
        "data.npz": (npz(), "data"),
        "data.csv": (csv(), "data"),
    }


def truncations(marker: Path) -> Iterator[HostileFile]:
    """Every format, cut at every hundredth of its length; what is inside archives, cut at every tenth."""
    for name, (whole, kind) in _wholes().items():
        may_be_read = name in ("data.csv", "model.tflite")  # a table with fewer rows is still a table
        for percent in range(100):
            content = whole[: len(whole) * percent // 100]
            yield HostileFile(f"{percent}%-{name}", content, kind, harmless=may_be_read)
    for name, (whole, kind) in _wholes().items():
        if name not in ("model.keras", "model.zip", "data.npz"):
            continue
        with zipfile.ZipFile(io.BytesIO(whole)) as source:
            members = {member: source.read(member) for member in source.namelist()}
        for member, data in members.items():
            unread = member in ("metadata.json", "fingerprint.pb") or (
                member == "saved_model.pb" and "keras_metadata.pb" in members
            )
            for tenth in range(10):
                cut = {**members, member: data[: len(data) * tenth // 10]}
                short = member.rsplit("/", 1)[-1]
                yield HostileFile(f"{tenth}0%-of-{short}-in-{name}", zipped(cut), kind, harmless=unread)


def disguises(marker: Path) -> Iterator[HostileFile]:
    """Contents under the names of other formats."""
    wholes = _wholes()
    for name in ("model.keras", "model.h5", "model.zip", "model.tar.gz"):
        for ending in (".keras", ".tar.gz", ".png", ""):
            yield HostileFile(f"{name.split('.')[1]}-called{ending}", wholes[name][0], harmless=True)
        yield HostileFile(f"{name}-as-data.npz", wholes[name][0], "data")
    for name in ("data.npz", "data.csv"):
        yield HostileFile(f"{name}-as-model.keras", wholes[name][0])
        for ending in (".csv", ".npz", ".keras", ""):
            yield HostileFile(f"{name.split('.')[1]}-called{ending}", wholes[name][0], "data", harmless=True)
    for name, content in _foreign(marker).items():
        codes = ("unknown-format", "bad-file", "user-error")
        yield HostileFile(f"{name}.keras", content, codes=codes)
        yield HostileFile(f"{name}.h5", content, codes=codes)
        yield HostileFile(f"{name}.npz", content, "data")
        yield HostileFile(f"{name}.csv", content, "data")
    for name in (
        "../../evil.keras",
        "/etc/passwd",
        "a\0b.keras",
        "con",
        "x" * 5000,
        "<b>é</b>\n.keras",
        "=1+1.keras",
        ".",
    ):
        yield HostileFile(name, wholes["data.csv"][0], "data", harmless=True)
        yield HostileFile(name, b"garbage")


def _foreign(marker: Path) -> dict[str, bytes]:
    return {
        "nothing": b"",
        "one-byte": b"P",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(200),
        "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200),
        "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(200),
        "program": b"\x7fELF\x02\x01\x01" + bytes(200),
        "windows-program": b"MZ\x90\x00" + bytes(200),
        "pickle": pickle.dumps(Pickled(marker)),
        "pytorch": zipped({"archive/data.pkl": pickle.dumps(Pickled(marker)), "archive/version": b"3\n"}),
        "document": zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"}),
        "onnx": b"\x08\x08\x12\x07pytorch\x1a\x051.9.0" + bytes(200),
        "parquet": b"PAR1" + bytes(200) + b"PAR1",
        "sqlite": b"SQLite format 3\0" + bytes(200),
        "seven-zip": b"7z\xbc\xaf\x27\x1c" + bytes(200),
        "rar": b"Rar!\x1a\x07\x01\x00" + bytes(200),
        "bzip2": b"BZh91AY&SY" + bytes(200),
        "xz": b"\xfd7zXZ\x00" + bytes(200),
        "gzip-of-text": gzip.compress(csv()),
        "web-page": b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>",
        "git-lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
    }
