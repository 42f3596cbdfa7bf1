"""How small files become in transit: the same compressors for every file."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

_REMEMBERED = 8
_LARGE = 16_000_000
GZIP = "gzip -9"


def _zstd(content: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=19).compress(content)


def _brotli(content: bytes) -> bytes:
    import brotli

    # quality 11 takes three times as long as 10 and saves 0.2% on average over files of the sample models; 10 does half
    # a megabyte a second, 9 from ten to thirty and leaves 1% more of dense weights
    quality = 10 if len(content) <= _LARGE else 9
    packed: bytes = brotli.compress(content, quality=quality, lgwin=24)
    return packed


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    GZIP: lambda content: gzip.compress(content, compresslevel=9, mtime=0),
    "zstd -19": _zstd,
    "brotli": _brotli,
    "xz -9e": lambda content: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME),
}
"""By the command line that does the same; brotli as `_brotli` tells. All give the same bytes every time."""


def sizes(content: bytes) -> dict[str, int]:
    """Bytes after each compressor, by name in the order of `COMPRESSORS`."""
    with ThreadPoolExecutor(len(COMPRESSORS)) as threads:
        packed = threads.map(lambda pack: len(pack(content)), COMPRESSORS.values())
        return dict(zip(COMPRESSORS, packed, strict=True))


def of_file(path: Path) -> dict[str, int]:
    """Bytes of a file after each compressor; remembered, since several metrics and analyses ask."""
    state = path.stat()
    return dict(_of_file(path, state.st_size, state.st_mtime_ns))


@lru_cache(_REMEMBERED)
def _of_file(path: Path, size: int, changed: int) -> dict[str, int]:
    return sizes(path.read_bytes())


def best(sizes: dict[str, int]) -> str:
    """The compressor that leaves fewest bytes."""
    return min(sizes, key=lambda name: sizes[name])
