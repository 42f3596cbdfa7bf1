"""Data files on this machine (``file:/data/digits.npz``), for the command line and notebooks.

Whoever may name a path may read that file: pages that strangers use offer uploads instead.
"""

from __future__ import annotations

from pathlib import Path

from optimizers.datasets.files import load_file
from optimizers.datasets.preparation import NOTHING, Preparation
from optimizers.declarations import Dataset, DatasetOrigin
from optimizers.errors import DataRefused
from optimizers.records import DatasetRef, digest_of_path

LOCAL = "local"


def resolve(rest: str) -> DatasetRef:
    """The reference of a data file, or a folder of arrays or images; its digest is that of the contents.

    Raises:
        DataRefused: There is no such file.
    """
    path = _path(rest)
    if not path.exists():
        raise DataRefused(f"There is no file {path}; check the path.", code="missing-file")
    return DatasetRef(uri=f"file:{path}", name=path.name, digest=digest_of_path(path), scope=LOCAL)


def load(rest: str) -> Dataset:
    """The examples of the file. Raises `DataRefused`, see `load_file`."""
    return read(rest, NOTHING)


def read(rest: str, preparation: Preparation) -> Dataset:
    """The examples, read as the preparation says. Raises `DataRefused`, see `load_file`."""
    return load_file(_path(rest), preparation)


def _path(rest: str) -> Path:
    return Path(rest).expanduser().absolute()


ORIGIN = DatasetOrigin(
    prefix="file", title="A file on this machine", list=lambda: (), resolve=resolve, load=load, read=read
)
