"""Files that visitors brought. Each lies in a folder with an unguessable name; its own name is never a path."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import Field

from optimizers import sessions
from optimizers.errors import UnknownName, UserError
from optimizers.records import Record, digest_of_path, now
from optimizers.remote import remote_of
from optimizers.settings import Settings

PREFIX = "upload"
KEPT_FOR = timedelta(days=7)
MOST_FILES = 50
"""Uploads that one visitor may have at the same time."""

_TOKEN = re.compile(r"[0-9a-f]{32}")
CONTENT, RECORD = "content", "upload.json"


class Upload(Record):
    """One uploaded file. ``scope`` says whose it is."""

    token: str
    name: str
    kind: Literal["model", "data"]
    scope: str
    digest: str
    size_bytes: int
    uploaded_at: datetime = Field(default_factory=now)

    @property
    def uri(self) -> str:
        return f"{PREFIX}:{self.token}"


def keep(content: BinaryIO, name: str, kind: Literal["model", "data"], scope: str, settings: Settings) -> str:
    """Stores an upload and returns its URI. The same file brought twice by one visitor is kept once.

    Args:
        content: The file, read from its present position.
        name: What the visitor called it; shown, never used as a path.
        scope: Whose it is.

    Raises:
        UserError: The file is empty or larger than the limit, or the visitor has no room left.
    """
    expire(settings)
    token = secrets.token_hex(16)
    draft = settings.uploads / f".{token}"
    draft.mkdir(parents=True, mode=0o700)
    shown = re.sub(r"[^\w .()+-]", "_", Path(name).name)[:80] or "unnamed"
    try:
        size = _copy(content, draft / CONTENT, settings.upload_mib, shown)
        digest = digest_of_path(draft / CONTENT)
        upload = Upload(token=token, name=shown, kind=kind, scope=scope, digest=digest, size_bytes=size)
        with sessions.in_turn(scope):
            mine = listed(scope, settings)
            for known in mine:
                if (known.digest, known.name, known.kind) == (digest, shown, kind):
                    return known.uri
            _check_room(mine, size, shown, settings)
            (draft / RECORD).write_text(upload.model_dump_json(), encoding="utf-8")
            remote = remote_of(settings)
            if remote is not None:
                remote.publish(_place(token), upload.model_dump_json(), {digest: draft / CONTENT})
            draft.rename(settings.uploads / token)
        return upload.uri
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def keep_together(files: Sequence[tuple[BinaryIO, str]], scope: str, settings: Settings) -> str:
    """Stores data files that belong together, such as an array of examples and one of labels, as one ZIP file.

    Returns:
        The URI of the upload.

    Raises:
        UserError: As `keep`, two files have the same name, or one is no array.
    """
    names = [Path(name).name for _, name in files]
    others = [name for name in names if not name.lower().endswith(".npy")]
    if others:
        raise UserError(f"Only .npy arrays belong together; upload {others[0]} alone.")
    if len(set(names)) < len(names):
        raise UserError("Two of the files have the same name; rename one of them.")
    settings.uploads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.uploads) as whole:
        with zipfile.ZipFile(whole, "w") as archive:
            for (content, _), name in zip(files, names, strict=True):
                entry = zipfile.ZipInfo(name)  # without a date: the same files are the same upload
                with archive.open(entry, "w", force_zip64=True) as target:
                    shutil.copyfileobj(content, target)
        whole.seek(0)
        return keep(whole, " + ".join(names), "data", scope, settings)


def find(token: str, kind: Literal["model", "data"], settings: Settings) -> tuple[Path, Upload]:
    """Path and record of an upload. Raises `UnknownName` when there is none, or it has expired."""
    folder = settings.uploads / token
    known = _TOKEN.fullmatch(token) and ((folder / RECORD).exists() or _bring(token, settings))
    if not known:
        raise UnknownName("This upload is not here any more; please upload the file again.")
    upload = Upload.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))
    if upload.uploaded_at < now() - KEPT_FOR:
        raise UnknownName(f"The upload {upload.name} has expired; please upload the file again.")
    if upload.kind != kind:
        raise UnknownName(f"The upload {upload.name} is a {upload.kind} file, but a {kind} file is needed here.")
    return folder / CONTENT, upload


def listed(scope: str, settings: Settings) -> list[Upload]:
    """A visitor's own uploads, newest first."""
    found = [Upload.model_validate_json(record.read_text(encoding="utf-8")) for record in _records(settings)]
    return sorted((u for u in found if u.scope == scope), key=lambda u: u.uploaded_at, reverse=True)


def _records(settings: Settings) -> list[Path]:
    """Of all uploads; what is still being written has a hidden name."""
    if not settings.uploads.is_dir():
        return []
    folders = [folder for folder in settings.uploads.iterdir() if _TOKEN.fullmatch(folder.name)]
    return [folder / RECORD for folder in folders if (folder / RECORD).exists()]


def expire(settings: Settings, before: datetime | None = None) -> int:
    """Deletes uploads older than ``before`` (a week ago unless given); returns how many."""
    before = before or now() - KEPT_FOR
    gone = 0
    for record in _records(settings):
        folder = record.parent
        if Upload.model_validate_json(record.read_text(encoding="utf-8")).uploaded_at < before:
            shutil.rmtree(folder, ignore_errors=True)
            remote = remote_of(settings)
            if remote is not None:
                remote.remove(_place(folder.name))
            gone += 1
    return gone


def _place(token: str) -> str:
    return f"uploads/{token}"


def _bring(token: str, settings: Settings) -> bool:
    """Fetches an upload that was brought to another host; whether there is one."""
    remote = remote_of(settings)
    text = remote.read(_place(token)) if remote is not None else None
    if remote is None or text is None:
        return False
    draft = settings.uploads / f".{secrets.token_hex(16)}"
    draft.mkdir(parents=True, mode=0o700)
    try:
        remote.bring({draft / CONTENT: Upload.model_validate_json(text).digest})
        (draft / RECORD).write_text(text, encoding="utf-8")
        with contextlib.suppress(OSError):  # another process was faster
            draft.rename(settings.uploads / token)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def _check_room(mine: list[Upload], size: int, name: str, settings: Settings) -> None:
    free = f"every upload is deleted after {KEPT_FOR.days} days, or work with a file that is already here."
    if len(mine) >= MOST_FILES:
        raise UserError(f"{name} was not kept because you have {MOST_FILES} uploads, the most there may be; {free}")
    taken = sum(upload.size_bytes for upload in mine)
    if taken + size > settings.session_mib * 2**20:
        raise UserError(
            f"{name} was not kept because your uploads would take up more than {settings.session_mib} MiB together; "
            f"{free}"
        )


def _copy(content: BinaryIO, target: Path, most_mib: int, name: str) -> int:
    size = 0
    with target.open("wb") as stream:
        while block := content.read(1 << 20):
            size += len(block)
            if size > most_mib * 2**20:
                raise UserError(f"{name} is larger than {most_mib} MiB, the largest file that may be uploaded.")
            stream.write(block)
    if size == 0:
        raise UserError(f"{name} is empty; choose another file.")
    return size
