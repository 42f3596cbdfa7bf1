"""Reads arrays from HDF5 bytes without following what could lead outside them.

Hard links only, local storage only, plain numbers only, filters that are built into HDF5 only.
"""

from __future__ import annotations

import io
import math
import re
import zlib
from typing import Any

import h5py
import numpy as np

from optimizers.errors import ModelRefused
from optimizers.models.reader.limits import LIMITS
from optimizers.models.reader.values import shown

MAGIC = b"\x89HDF\r\n\x1a\n"
_PLAIN = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,)}
_DEFLATE, _FLETCHER = 1, 3
_BUILT_IN_FILTERS = frozenset({_DEFLATE, 2, _FLETCHER, 4})  # with shuffle and szip
_LONGEST_ATTRIBUTE = 8 << 20
_SMALL, _MOST_KEPT = 64 << 10, 64 << 20
"""Bytes of an array that is kept, since a model is checked and built several times, and of all of them."""
_AGAIN = "save the model again with model.save('model.keras')."


def _unsafe(what: str) -> ModelRefused:
    return ModelRefused(f"The HDF5 file {what}, which is not allowed here; {_AGAIN}", code="unsafe-file")


def _damaged(what: str) -> ModelRefused:
    return ModelRefused(f"The HDF5 file {what}: it is damaged or not from Keras; {_AGAIN}", code="bad-file")


class Hdf5:
    """Read-only view of an HDF5 file that is held in memory."""

    def __init__(self, data: bytes) -> None:
        """Opens the bytes. Raises `ModelRefused` (``bad-file``) when they are no HDF5 file."""
        self._read_bytes = 0
        self._counted: set[str] = set()
        self._kept: dict[str, np.ndarray] = {}
        self._kept_bytes = 0
        try:
            self._file = h5py.File(io.BytesIO(data), "r")
        except MemoryError:
            raise
        except Exception as error:
            raise _damaged(f"cannot be opened ({shown(error)})") from None

    def node(self, path: str) -> Any:
        """Group or array at a path below the root; None where there is nothing."""
        current: Any = self._file
        for part in filter(None, path.split("/")):
            if part in (".", ".."):
                raise _unsafe("has a path with dots")
            if not isinstance(current, h5py.Group):
                return None
            try:
                link = current.get(part, getlink=True)
                if link is None:
                    return None
                if not isinstance(link, h5py.HardLink):
                    raise _unsafe(f"has a link to another place at {shown(path)!r}")
                current = current[part]
            except (ModelRefused, MemoryError):
                raise
            except Exception as error:
                raise _damaged(f"cannot be read at {shown(path)!r} ({shown(error)})") from None
        return current

    def children(self, path: str) -> list[str]:
        """Names directly below a group, sorted; empty where there is no group."""
        group = self.node(path)
        try:
            return sorted(group) if isinstance(group, h5py.Group) else []
        except MemoryError:
            raise
        except Exception as error:
            raise _damaged(f"cannot be listed at {shown(path)!r} ({shown(error)})") from None

    def stored_bytes(self, path: str) -> int:
        """Bytes that the arrays at and below a path take in the file; each counts once, however many links lead to it.

        Raises:
            ModelRefused: ``unsafe-file`` or ``bad-file``.
        """
        total, seen, waiting = 0, set(), [path]
        while waiting:
            current = waiting.pop()
            node = self.node(current)
            if node is None or (place := h5py.h5o.get_info(node.id).addr) in seen:
                continue
            seen.add(place)
            if isinstance(node, h5py.Dataset):
                total += int(node.id.get_storage_size())
            else:
                waiting += [f"{current}/{name}" for name in self.children(current)]
        return total

    def array(self, path: str) -> np.ndarray | None:
        """The array at a path, not to be changed; None where there is nothing. bfloat16 comes back as float32.

        Raises:
            ModelRefused: ``unsafe-file``, ``too-large`` or ``bad-file``.
        """
        if path in self._kept:
            return self._kept[path]
        dataset = self.node(path)
        if dataset is None:
            return None
        if not isinstance(dataset, h5py.Dataset):
            raise _damaged(f"has no array at {shown(path)!r}")
        try:
            half = self._check(dataset, path)
            values = np.asarray(dataset[()])
        except (ModelRefused, MemoryError):
            raise
        except Exception as error:
            raise _damaged(f"cannot be read at {shown(path)!r} ({shown(error)})") from None
        if half:
            values = (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        if values.nbytes <= _SMALL and self._kept_bytes + values.nbytes <= _MOST_KEPT:
            self._kept[path] = values
            self._kept_bytes += values.nbytes
        values.flags.writeable = False
        return values

    def _check(self, dataset: Any, path: str) -> bool:
        """Refuses what is not plain local data of bearable size. Returns whether it is bfloat16."""
        if dataset.external or dataset.is_virtual:
            raise _unsafe(f"keeps {shown(path)!r} in other files")
        kind, width = dataset.dtype.kind, dataset.dtype.itemsize
        plain = kind in _PLAIN and width in _PLAIN[kind] and dataset.dtype.metadata is None
        opaque = kind == "V" and width == 2 and dataset.dtype.names is None and dataset.dtype.subdtype is None
        if not plain and not opaque:
            raise _unsafe(f"has data of type {shown(dataset.dtype)} at {shown(path)!r}")
        chunk = math.prod(dataset.chunks) if dataset.chunks else 0  # unpacked whole, however little of it is used
        declared = max(math.prod(dataset.shape), chunk) * width
        if path not in self._counted:  # a model may be built several times from one file
            self._counted.add(path)
            self._read_bytes += declared
        too_sparse = declared > 1 << 20 and declared > LIMITS.hdf5_ratio * max(dataset.id.get_storage_size(), 1)
        if self._read_bytes > LIMITS.weight_bytes or too_sparse:
            raise ModelRefused(
                f"The array {shown(path)!r} declares {declared >> 20} MiB, more than the file can hold or than the "
                f"limit of {LIMITS.weight_bytes >> 20} MiB for all weights; {_AGAIN}",
                code="too-large",
            )
        creation = dataset.id.get_create_plist()
        if any(creation.get_filter(i)[0] not in _BUILT_IN_FILTERS for i in range(creation.get_nfilters())):
            raise _unsafe("needs a plug-in to be unpacked")
        if chunk and creation.get_nfilters():
            filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
            _check_chunks(dataset.id, filters, chunk * width, path)
        return opaque

    def text(self, path: str, name: str) -> str | None:
        """A text attribute of a group; None where there is none."""
        value = self._attribute(path, name, LIMITS.json_bytes)
        if value is None:
            return None
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if not isinstance(value, str):
            raise _damaged(f"has an attribute {name!r} that is no text")
        return value

    def texts(self, path: str, name: str) -> list[str]:
        """A list of texts that Keras may have split over the attributes ``name0``, ``name1`` …"""
        whole = self._attribute(path, name, _LONGEST_ATTRIBUTE)
        if whole is not None:
            return _as_texts(whole, name)
        found: list[str] = []
        for i in range(10_000):
            part = self._attribute(path, f"{name}{i}", _LONGEST_ATTRIBUTE)
            if part is None:
                break
            found += _as_texts(part, name)
        return found

    def _attribute(self, path: str, name: str, longest: int) -> Any:
        node = self.node(path)
        if node is None:
            return None
        try:
            if name not in node.attrs:
                return None
            attribute = node.attrs.get_id(name)
            numbers = re.fullmatch("[SO]", attribute.dtype.kind) is None
            if numbers or attribute.dtype.itemsize * math.prod(attribute.shape or (1,)) > longest:
                raise _damaged(f"has an attribute {name!r} that is too large or no text")
            return node.attrs[name]
        except (ModelRefused, MemoryError):
            raise
        except Exception as error:
            raise _damaged(f"has an attribute {name!r} that cannot be read ({shown(error)})") from None


def _check_chunks(dataset: Any, filters: list[int], most: int, path: str) -> None:
    """Refuses chunks that unpack to more than the bytes that they may hold, since HDF5 unpacks them to the end."""
    if _DEFLATE not in filters:
        return
    place = filters.index(_DEFLATE)
    if filters[place + 1 :] not in ([], [_FLETCHER]):
        raise _unsafe(f"packs {shown(path)!r} in an unusual order")
    chunks: list[tuple[int, ...]] = []
    dataset.chunk_iter(lambda chunk: chunks.append(chunk.chunk_offset))
    for offset in chunks:
        skipped, packed = dataset.read_direct_chunk(offset)
        if skipped >> place & 1:
            continue
        try:
            found = zlib.decompressobj().decompress(packed, most + 1)
        except zlib.error:
            continue  # HDF5 finds that, too
        if len(found) > most:
            raise ModelRefused(
                f"The array {shown(path)!r} unpacks to more than its {most:,} bytes; {_AGAIN}", code="too-large"
            )


def _as_texts(value: Any, name: str) -> list[str]:
    items = np.asarray(value).reshape(-1).tolist()
    if not all(isinstance(item, bytes | str) for item in items):
        raise _damaged(f"has an attribute {name!r} that is no list of texts")
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in items]
