"""Files of the app's machine that a task names by path (``file:/data/digits.npz``), taken to a worker elsewhere.

They travel as a bundle behind ``PARETOSCOPE_STORE``, under their digest; on the worker addresses lead to its copy.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optimizers.errors import Unexpected
from optimizers.records import digest_of_path
from optimizers.remote import Remote, remote_of
from optimizers.settings import Settings

_PREFIX = "file:"


def strings(value: Any) -> Iterator[str]:
    """Every text in the parameters of a task."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one)


def packed(params: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Publishes the files that a task names; addresses and the bundles that they lead to.

    Without a ``PARETOSCOPE_STORE`` nothing is published: app and workers share a home then, and with it their files.
    """
    remote = remote_of(settings)
    if remote is None:
        return {}
    found: dict[str, str] = {}
    named = params.get("models", ())  # other models that a recipe names, perhaps by a bare path
    for text in {*(text for text in strings(params) if text.startswith(_PREFIX)), *named}:
        path = _path(text)
        if path is not None:
            found[text] = _publish(remote, path)
    return found


def unpacked(params: Mapping[str, Any], bundles: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    """The parameters with addresses of local copies. Raises `StoreDamaged` if a bundle is not whole."""
    remote = remote_of(settings)
    if not bundles or remote is None:
        return dict(params)
    local = {}
    for address, digest in bundles.items():
        name, folder = _bring(remote, digest, settings)
        rest = address.removeprefix(_PREFIX)
        path, query = (rest, "") if rest.endswith(name) else (rest.rpartition("?")[0], f"?{rest.rpartition('?')[2]}")
        prefix = _PREFIX if address.startswith(_PREFIX) else ""
        local[address] = f"{prefix}{folder / Path(path).name}{query}"
    replaced: dict[str, Any] = _replaced(dict(params), local)
    return replaced


def _path(text: str) -> Path | None:
    """The file or folder that an address leads to, or None where it is no such address."""
    rest = text.removeprefix(_PREFIX)
    if rest == text and not text.startswith("/"):
        return None
    for path in (Path(rest), Path(rest.rpartition("?")[0] or rest)):
        with contextlib.suppress(OSError):
            if path.exists() and path.is_absolute() and path != Path("/"):
                return path
    return None


def _place(digest: str) -> str:
    return f"given/{digest}"


def _publish(remote: Remote, path: Path) -> str:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    named = {("" if file == path else file.relative_to(path).as_posix()): digest_of_path(file) for file in files}
    digest = digest_of_path(path)
    by_digest = {named["" if file == path else file.relative_to(path).as_posix()]: file for file in files}
    remote.publish(_place(digest), json.dumps({"name": path.name, "files": named}), by_digest)
    return digest


def _bring(remote: Remote, digest: str, settings: Settings) -> tuple[str, Path]:
    """The name of what was given, and the folder in which its copy lies."""
    text = remote.read(_place(digest))
    if text is None:
        raise Unexpected("A file of the app's machine did not reach the worker; try again.")
    told = json.loads(text)
    name, folder = Path(told["name"]).name, settings.home / "given" / digest
    if not folder.exists():
        draft = settings.home / "given" / f".{uuid.uuid4().hex}"
        try:
            wanted = {draft / name / inner if inner else draft / name: d for inner, d in told["files"].items()}
            if any(".." in file.parts for file in wanted):
                raise Unexpected("A file of the app's machine has no usable name.")
            draft.mkdir(parents=True)
            remote.bring(wanted)
            with contextlib.suppress(OSError):  # another task was faster
                draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return name, folder


def _replaced(value: Any, local: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return local.get(value, value)
    if isinstance(value, dict):
        return {name: _replaced(one, local) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(one, local) for one in value]
    return value
