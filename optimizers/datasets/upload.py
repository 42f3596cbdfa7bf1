"""Data sets that a visitor uploaded: ``upload:TOKEN``."""

from __future__ import annotations

from optimizers import uploads
from optimizers.datasets.preparation import NOTHING, Preparation
from optimizers.declarations import Dataset, DatasetOrigin
from optimizers.records import DatasetRef
from optimizers.settings import Settings


def _resolve(token: str) -> DatasetRef:
    _, upload = uploads.find(token, "data", Settings())
    return DatasetRef(uri=upload.uri, name=upload.name, digest=upload.digest, scope=upload.scope)


def _load(token: str) -> Dataset:
    return _read(token, NOTHING)


def _read(token: str, preparation: Preparation) -> Dataset:
    from optimizers.datasets.files import load_file

    path, upload = uploads.find(token, "data", Settings())
    return load_file(path, preparation, name=upload.name)


ORIGIN = DatasetOrigin(
    prefix=uploads.PREFIX, title="Uploaded data", list=lambda: (), resolve=_resolve, load=_load, read=_read
)
