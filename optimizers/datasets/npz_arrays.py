"""Reads arrays of numbers or words out of an ``.npz`` file that a stranger may have made.

Every member's header is checked before anything is allocated, and pickled objects are never opened.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

MAX_MEMBERS = 64
MAX_BYTES = 2 << 30
"""Most bytes that the arrays of one file may take up in memory."""


def read_arrays(path: Path, wanted: Collection[str], name: str) -> dict[str, np.ndarray]:
    """Those arrays of the file whose names, in lower case, are wanted; keys are lower case.

    Args:
        path: The file.
        wanted: Lower-case names.
        name: What people call the file, for messages.

    Raises:
        DataRefused: Not an NPZ file, damaged, too large when unpacked, pickled objects, or two names that differ only
            in case.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise DataRefused(
                    f"{name} holds {len(members)} entries, more than {MAX_MEMBERS}; save only x and y arrays in it.",
                    code="too-many-arrays",
                )
            chosen: dict[str, zipfile.ZipInfo] = {}
            for member in members:
                key = PurePosixPath(member.filename).name.removesuffix(".npy").lower()
                if not member.filename.endswith(".npy") or key not in wanted or "__MACOSX" in member.filename:
                    continue
                if key in chosen:
                    raise DataRefused(
                        f"{name} holds {key!r} more than once; keep one of them.", code="ambiguous-arrays"
                    )
                chosen[key] = member
            if sum(member.file_size for member in chosen.values()) > MAX_BYTES:
                raise DataRefused(
                    f"The arrays of {name} take more than {MAX_BYTES >> 30} GiB when unpacked; use fewer examples.",
                    code="too-large",
                )
            return {key: _read(archive, member, name, key) for key, member in chosen.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataRefused(
            f"{name} is damaged or was not copied completely; save or upload it again.",
            code="damaged",
            detail=str(error),
        ) from None


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, key: str) -> np.ndarray:
    import numpy as np

    try:
        with archive.open(member) as stream:
            major, minor = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            if (major, minor) not in {(1, 0), (2, 0)}:
                raise ValueError(f"unknown version {major}.{minor}")
            shape, _, dtype = header(stream)
            if dtype.hasobject:
                raise DataRefused(
                    f"{key} in {name} holds pickled Python objects, which are not opened because they can run code; "
                    "save it as an array of numbers.",
                    code="pickled",
                )
            if dtype.kind not in "biufSU":
                raise DataRefused(
                    f"{key} in {name} has dtype {dtype}; save it as an array of numbers, labels also as words.",
                    code="odd-dtype",
                )
            if math.prod(shape) * dtype.itemsize != member.file_size - stream.tell() or min(shape, default=0) < 0:
                raise ValueError(f"shape {shape} does not fit {member.file_size} bytes")
        with archive.open(member) as stream:
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
            return array
    except (DataRefused, zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise
    except Exception as error:  # NumPy tokenizes the header as Python: odd bytes raise whatever a tokenizer can raise
        raise DataRefused(
            f"{key} in {name} is not a readable NumPy array; save the file again with numpy.savez.",
            code="damaged",
            detail=str(error),
        ) from None
