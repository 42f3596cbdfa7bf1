"""What an uploaded Keras file spends its bytes on: weights, and what only training needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from optimizers.errors import ModelRefused
from optimizers.models.reader.containers import ZIP_MAGIC, ZipContainer, read_bounded
from optimizers.models.reader.hdf5 import MAGIC, Hdf5
from optimizers.models.reader.limits import LIMITS

_ARCHIVE_WEIGHTS = "model.weights.h5"
_OPTIMIZER = ("optimizer", "optimizer_weights")
"""Where Keras 3 and Keras 2 keep the optimizer's state, below the root of their HDF5 files."""


@dataclass(frozen=True)
class Original:
    """Bytes of a Keras file, and of the arrays in it that only training needs."""

    size: int
    optimizer: int


def original(path: Path) -> Original | None:
    """What a Keras archive or an HDF5 file holds; None for anything else."""
    if not path.is_file():
        return None
    try:
        data = read_bounded(path, LIMITS.file_bytes)
        if data.startswith(MAGIC):
            file = Hdf5(data)
        elif data.startswith(ZIP_MAGIC):
            file = Hdf5(ZipContainer(data).read(_ARCHIVE_WEIGHTS, LIMITS.weight_bytes))
        else:
            return None
    except (ModelRefused, KeyError):
        return None
    return Original(len(data), sum(file.stored_bytes(root) for root in _OPTIMIZER))
