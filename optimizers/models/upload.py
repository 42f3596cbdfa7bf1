"""Models that a visitor uploaded: ``upload:TOKEN``."""

from __future__ import annotations

from pathlib import Path

from optimizers import uploads
from optimizers.declarations import ModelOrigin
from optimizers.records import ModelRef
from optimizers.settings import Settings


def _resolve(token: str) -> tuple[Path, ModelRef]:
    path, upload = uploads.find(token, "model", Settings())
    return path, ModelRef(uri=upload.uri, name=upload.name, digest=upload.digest, scope=upload.scope)


ORIGIN = ModelOrigin(prefix=uploads.PREFIX, title="Uploaded models", list=lambda: (), resolve=_resolve)
