"""Models on this machine's disk: ``file:/some/where/model.keras``."""

from __future__ import annotations

from pathlib import Path

from optimizers.declarations import ModelOrigin
from optimizers.errors import ModelRefused
from optimizers.records import ModelRef, digest_of_path

PREFIX, SCOPE = "file", "local"


def resolve(rest: str) -> tuple[Path, ModelRef]:
    """Path and reference of a model file or SavedModel folder.

    Args:
        rest: An absolute or relative path; ``~`` is the home folder.

    Raises:
        ModelRefused: ``missing-file`` when there is nothing at that path.
    """
    path = Path(rest).expanduser().resolve()
    if not rest or not path.exists():
        raise ModelRefused(
            f"There is no file or folder {rest!r}; give the path of a .keras or .h5 file or of a SavedModel folder.",
            code="missing-file",
        )
    return path, ModelRef(uri=f"{PREFIX}:{path}", name=path.name, digest=digest_of_path(path), scope=SCOPE)


ORIGIN = ModelOrigin(prefix=PREFIX, title="A file on this machine", list=lambda: (), resolve=resolve)
