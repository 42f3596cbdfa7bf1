"""The owner's answers to a worker process that asks for results behind the local folder, or has made one."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from optimizers.engine.store import DRAFTS, Behind, Store, open_store
from optimizers.errors import ParetoscopeError, Unexpected
from optimizers.records import Artifact
from optimizers.settings import Settings


def answers_of(settings: Settings) -> Answers | None:
    """Who answers, or None where nothing is behind the folder."""
    store = open_store(settings)
    return Answers(store, store.behind) if store.behind is not None else None


class Answers:
    """Brings and publishes for a worker process. What it may name is a draft folder and files in it, nothing else."""

    def __init__(self, store: Store, behind: Behind) -> None:
        self._store, self._behind = store, behind

    def to(self, event: dict[str, Any]) -> dict[str, Any]:
        """The answer to an event of the kind ``ask``: a value, or an error as JSON."""
        try:
            return {"value": self._value(event), "error": None}
        except ParetoscopeError as error:
            return {"value": None, "error": error.to_dict()}
        except Exception as problem:
            told = f"The store failed unexpectedly ({type(problem).__name__}: {problem})."
            return {"value": None, "error": Unexpected(told).to_dict()}

    def _value(self, event: dict[str, Any]) -> Any:
        if event["what"] == "record":
            found = self._behind.record(event["key"])
            return None if found is None else found.model_dump(mode="json")
        artifact = Artifact.model_validate(event["artifact"])
        folder = self._draft(event["folder"], artifact)
        if event["what"] == "bring":
            self._behind.bring(artifact, folder)
            return None
        return self._behind.publish(artifact, folder).model_dump(mode="json")

    def _draft(self, name: str, artifact: Artifact) -> Path:
        folder = (self._store.root / DRAFTS / Path(name).name).resolve()
        for file in artifact.files:
            parts = PurePosixPath(file).parts
            wrong = not parts or file.startswith("/") or ".." in parts
            if wrong or (folder / file).is_symlink() or folder not in (folder / file).resolve().parents:
                raise Unexpected(f"{file!r} is no file of a result.")
        return folder
