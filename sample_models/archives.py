"""ZIP files whose bytes depend on their contents only: no clock time, no memory addresses, members in a fixed order."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

_SAVED_AT = "2026-01-01@00:00:00"
_MEMBER_DATE = (2026, 1, 1, 0, 0, 0)


def timeless_keras(path: Path) -> None:
    """Rewrites a ``.keras`` file in place, with fixed dates of members and of saving.

    Keras tells objects that several layers share apart by their memory address; here they are numbered instead.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    members["metadata.json"] = json.dumps({**metadata, "date_saved": _SAVED_AT}).encode()
    numbers: dict[str, int] = {}
    members["config.json"] = re.sub(
        r'(?<="shared_object_id": )\d+',
        lambda found: str(numbers.setdefault(found[0], len(numbers))),
        members["config.json"].decode(),
    ).encode()
    write(path, members, zipfile.ZIP_STORED)


def zipped_folder(folder: Path, path: Path) -> None:
    """Writes all files of a folder into a new ZIP file, sorted by name."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    write(path, {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}, zipfile.ZIP_DEFLATED)


def write(path: Path, members: Mapping[str, bytes], compression: int) -> None:
    """Writes a ZIP file of these members, in this order, all dated alike."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, _MEMBER_DATE)
            info.compress_type = compression
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
