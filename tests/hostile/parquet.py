"""Parquet files of absurd sizes and types, and damaged ones."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.files import HostileFile

_ROWS = 40


def parquet(marker: Path) -> Iterator[HostileFile]:
    """Files offered as data."""
    for name, values in _columns().items():
        yield HostileFile(f"{name}.parquet", _written(z=values), "data", harmless=True)
    zeros = pa.array(np.zeros(21_000_000, np.int8))
    yield HostileFile("many-rows.parquet", _written(a=zeros, y=zeros), "data")
    yield HostileFile("many-columns.parquet", _written(**{f"c{i}": pa.array([1]) for i in range(10_001)}), "data")
    odd = {"../../x": 1, "<script>": 2, "\u202egpj": 3, "🙂" * 500: 4, "": 5, "t" * 100_000: 6}
    titles = {title: pa.array(np.arange(_ROWS) * n) for title, n in odd.items()}
    yield HostileFile("titles.parquet", _written(**titles), "data", harmless=True)
    whole = _written()
    length = struct.unpack("<I", whole[-8:-4])[0]
    yield HostileFile("giant-footer.parquet", whole[:-8] + struct.pack("<I", 0xFFFFFFF0) + b"PAR1", "data")
    yield HostileFile("locked.parquet", b"PARE" + whole[4:-4] + b"PARE", "data")
    random = np.random.default_rng(0)
    for number in range(30):  # bytes of the footer, then of the pages
        low, high = (len(whole) - 8 - length, len(whole) - 8) if number < 20 else (4, len(whole) - 8 - length)
        spoilt = bytearray(whole)
        for place in random.integers(low, high, random.integers(1, 4)):
            spoilt[place] = random.integers(0, 256)
        yield HostileFile(f"spoilt-{number}.parquet", bytes(spoilt), "data", harmless=True)


def _columns() -> dict[str, Any]:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    return {
        "lists": pa.array([[1, 2]] * _ROWS),
        "structures": pa.array([{"a": 1}] * _ROWS),
        "maps": pa.array([[("a", 1)]] * _ROWS, pa.map_(pa.string(), pa.int64())),
        "deep-lists": pa.array([deep] * _ROWS),
        "bytes": pa.array([b"\xff\0"] * _ROWS),
        "nothing": pa.nulls(_ROWS),
        "gaps": pa.array([1, None] * (_ROWS // 2)),
        "days": pa.array([0] * _ROWS, pa.date32()),
        "times": pa.array([0] * _ROWS, pa.timestamp("ns")),
        "giant-decimals": pa.array([10**70] * _ROWS, pa.decimal256(76, 0)),
        "giant-integers": pa.array([2**64 - 1] * _ROWS, pa.uint64()),
        "not-a-number": pa.array([float("nan")] * _ROWS),
        "infinite": pa.array([float("inf")] * _ROWS),
        "beyond-float32": pa.array([1e300] * _ROWS),
        "long-words": pa.array(["x" * 5_000_000, "y"] * (_ROWS // 2)),
        "markup": pa.array(["<b>=1+1</b>", "\x1b[2J"] * (_ROWS // 2)),
        "coded-words": pa.array(["a", "b"] * (_ROWS // 2)).dictionary_encode(),
        "half-precision": pa.array(np.ones(_ROWS, np.float16)),
    }


def _written(**columns: Any) -> bytes:
    sound = {"a": pa.array(range(_ROWS)), "y": pa.array([i % 2 for i in range(_ROWS)])}
    alone = columns and len(next(iter(columns.values()))) != _ROWS
    stream = io.BytesIO()
    pq.write_table(pa.table(columns if alone else columns | sound), stream)
    return stream.getvalue()
