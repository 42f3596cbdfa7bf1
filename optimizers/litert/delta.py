"""Binary deltas: the bytes that turn a file which a device has into another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zstandard

_LEVEL = 19
_LARGEST_WINDOW = 31
"""Bits; zstd cannot look back further than two gibibytes."""
_LONG = 27
"""Bits of a window from which on zstd's command line must be told ``--long``."""


@dataclass(frozen=True)
class Way:
    """One kind of delta: ``make`` from the old and the new file, ``apply`` to the old one and the delta."""

    name: str
    ending: str
    make: Callable[[bytes, bytes], bytes]
    apply: Callable[[bytes, bytes], bytes]
    command: str


def _bsdiff(old: bytes, new: bytes) -> bytes:
    import bsdiff4

    return bytes(bsdiff4.diff(old, new))


def _bspatch(old: bytes, delta: bytes) -> bytes:
    import bsdiff4

    return bytes(bsdiff4.patch(old, delta))


def _zstd(old: bytes, new: bytes) -> bytes:
    import zstandard

    window = _window(old, new)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, source_size=len(new), dict_size=len(old), window_log=window, enable_ldm=window >= _LONG
    )
    return zstandard.ZstdCompressor(dict_data=_dictionary(old), compression_params=parameters).compress(new)


def _unzstd(old: bytes, delta: bytes) -> bytes:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(dict_data=_dictionary(old), max_window_size=1 << _LARGEST_WINDOW)
    return decompressor.decompress(delta)


def _dictionary(old: bytes) -> zstandard.ZstdCompressionDict:
    import zstandard

    return zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _window(old: bytes, new: bytes) -> int:
    """Bits of a window that reaches from the end of the new file back to the beginning of the old one."""
    return min(_LARGEST_WINDOW, max(10, (len(old) + len(new)).bit_length()))


WAYS = (
    Way("bsdiff", "bsdiff", _bsdiff, _bspatch, "bspatch OLD NEW PATCH"),
    Way("zstd --patch-from", "zst", _zstd, _unzstd, "zstd -d --patch-from=OLD PATCH -o NEW"),
)
"""bsdiff writes the format BSDIFF40; zstd, level 19, has the old file as its dictionary.

Source: C. Percival, "Naive differences of executable code", 2003.
"""


def delta(way: Way, old: bytes, new: bytes) -> bytes:
    """The delta from one file to another, after it was applied and gave the new file bit by bit.

    Raises:
        ValueError: Applied, it gives something else.
    """
    made = way.make(old, new)
    if way.apply(old, made) != new:
        raise ValueError(f"the delta of {way.name} does not give the new file")
    return made
