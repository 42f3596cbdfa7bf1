"""How small files become in transit: the same compressors at the same settings for every file."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

_REMEMBERED = 8
GZIP = "gzip -9"


def _zstd(content: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=19).compress(content)


def _brotli(content: bytes) -> bytes:
    import brotli

    # quality 11 takes three times as long as 10 and saves 0.2% on average over files of the sample models
    packed: bytes = brotli.compress(content, quality=10, lgwin=24)
    return packed


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    GZIP: lambda content: gzip.compress(content, compresslevel=9, mtime=0),
    "zstd -19": _zstd,
    "brotli -q 10": _brotli,
    "xz -9e": lambda content: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME),
}
"""By the command line that does the same. All give the same bytes whenever they are asked."""


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
