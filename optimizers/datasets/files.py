"""Loads a data file or folder in any format of `optimizers.datasets.formats`, from wherever it came.

Numbers are not scaled here: that is what a `Preparation` is for.
"""

from __future__ import annotations

from pathlib import Path

from optimizers import registry
from optimizers.datasets.assembly import assembled
from optimizers.datasets.members import ZIP_STARTS, opened
from optimizers.datasets.preparation import NOTHING, Preparation
from optimizers.declarations import Dataset
from optimizers.errors import DataRefused

MAX_BYTES = 1 << 30


def load_file(path: Path, preparation: Preparation = NOTHING, max_bytes: int = MAX_BYTES, name: str = "") -> Dataset:
    """The examples of a file as three parts.

    Args:
        path: A file, or a folder of arrays or images; the contents decide on the format, not the name.
        preparation: What says how to read: the column to predict, the task, the size of images. The rest is done
            afterwards.
        max_bytes: Larger files are refused.
        name: What people call the file, for messages; its name on disk if left out.

    Returns:
        ``x`` has shape (n, ...), float32, or an integer dtype where the file has integers; ``y`` see `targets`.

    Raises:
        DataRefused: Says what is wrong where, and what to do about it.
    """
    name = name or path.name
    if not path.exists():
        raise DataRefused(f"There is no file {name}; check the path.", code="missing-file")
    start = b""
    if path.is_file():
        size_bytes = path.stat().st_size
        if size_bytes == 0:
            raise DataRefused(f"{name} is empty; choose a file with examples.", code="empty-file")
        if size_bytes > max_bytes:
            raise DataRefused(
                f"{name} has {size_bytes / 2**20:.0f} MiB, more than {max_bytes / 2**20:.0f} MiB; use fewer examples.",
                code="too-large",
            )
        with path.open("rb") as stream:
            start = stream.read(4096)
    for format_ in registry.data_formats().values():
        if format_.recognises(path, start):
            return assembled(format_.read(path, name, preparation), name, preparation)
    if start.startswith(ZIP_STARTS):
        with opened(path, name):  # or it is damaged
            pass
    known = ", ".join(format_.title for format_ in registry.data_formats().values())
    raise DataRefused(f"{name} is in no format that is read here; choose one of: {known}.", code="unknown-format")
