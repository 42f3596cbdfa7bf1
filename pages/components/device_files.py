"""The files of a comparison for other devices: their names, sizes, and addresses that only this visitor knows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.runtime import exists, get_instance

from optimizers.devices import example
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures.names import names
from optimizers.records import Artifact, Run
from pages.components import session
from pages.components.details import file_name
from pages.components.soon import soon

_SECRET = "device_secret"


@dataclass(frozen=True)
class DeviceFile:
    """A file of the comparison, and a run that it belongs to."""

    label: str
    artifact: Artifact
    run: Run
    is_baseline: bool

    @property
    def digest(self) -> str:
        return self.artifact.digest

    @property
    def download(self) -> str:
        """The name under which Compare offers it."""
        return file_name(self.run.model.name, self.label)


def device_files(queue: JobQueue, frame: pd.DataFrame, runs: list[Run]) -> list[DeviceFile]:
    """Each file of a comparison once, baselines first, as far as the store still has them."""
    found: dict[str, DeviceFile] = {}
    for label, (_, row) in zip(names(frame, full=True), frame.iterrows(), strict=True):
        digest = str(row["artifact_digest"])
        whose = next((run for run in runs if digest in (run.artifact_digest, run.baseline_digest)), None)
        artifact = queue.store.get(str(row["artifact_key"])) if row["artifact_key"] else None
        if whose is not None and artifact is not None:
            found.setdefault(digest, DeviceFile(label, artifact, whose, bool(row["is_baseline"])))
    return list(found.values())


def examples(queue: JobQueue, files: Sequence[DeviceFile]) -> dict[str, Path | ParetoscopeError] | None:
    """By digest an example for each file or what went wrong; None while they are computed, which the page says."""
    known = [(file, session.sees_examples(file.run)) for file in files]

    def work() -> dict[str, Path | ParetoscopeError]:
        return {file.digest: _example(queue, file, real) for file, real in known}

    key = ("examples", *((file.digest, file.run.id, real) for file, real in known))
    return soon(queue, key, work, "Getting the files ready …")


def _example(queue: JobQueue, file: DeviceFile, real: bool) -> Path | ParetoscopeError:
    try:
        return example.example(queue.driver, file.run, file.artifact, real=real)
    except ParetoscopeError as error:
        return error


def addresses(queue: JobQueue, file: DeviceFile, answer: Path | ParetoscopeError) -> dict[str, Any]:
    """Where this visitor's browser finds a file and the example for it. Raises `ParetoscopeError`."""
    if isinstance(answer, ParetoscopeError):
        raise answer
    if not exists():
        raise ParetoscopeError("Files are served by the running app only.")
    return {"model": _served(queue.store.path(file.artifact), file), "example": _served(answer, file)}


def _served(path: Path, file: DeviceFile) -> str:
    """Address of a file's bytes while this visitor is here.

    Streamlit makes it from samples of the bytes and from the name, so the name has the digest, which tells variants of
    equal length apart, and a secret of this session, which keeps others from guessing it.
    """
    secret = st.session_state.setdefault(_SECRET, secrets.token_urlsafe(24))
    name = f"{secret}-{file.digest}-{path.name}"
    manager = get_instance().media_file_mgr
    return manager.add(path.read_bytes(), "application/octet-stream", f"device-{file.digest}-{path.name}", name)
