"""``.npz`` files that hold pickled objects, bombs or headers that lie."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.hostile.archives import _long_directory, _patched
from tests.hostile.files import HostileFile, Pickled, payload
from tests.hostile.sound import npz, zipped

_LABELS = np.arange(40) % 2


def arrays(marker: Path) -> Iterator[HostileFile]:
    """Files offered as data."""
    for name, content in _files(marker):
        yield HostileFile(f"{name}.npz", content, "data")
    for name, content in _never_looked_at(marker):
        yield HostileFile(f"{name}.npz", content, "data", harmless=True)
    yield HostileFile("pickled.keras", pickle.dumps(Pickled(marker)), codes=("unknown-format",))


def _files(marker: Path) -> Iterator[tuple[str, bytes]]:
    objects = np.array([Pickled(marker)] * 40, dtype=object)
    yield "pickled-x", npz(x=objects, y=_LABELS)
    yield "pickled-y", npz(x=np.ones((40, 3)), y=objects)
    yield "pickled-alone", pickle.dumps({"x": Pickled(marker)})
    yield "pickled-member", zipped({"x.npy": pickle.dumps(Pickled(marker)), "y.npy": _npy(_LABELS)})
    for name, header in _headers(marker):
        yield f"header-{name}", zipped({"x.npy": header, "y.npy": _npy(_LABELS)})
    yield "fields", npz(x=np.zeros(40, [("a", "f4"), ("b", "f4")]), y=_LABELS)
    yield "dates", npz(x=np.zeros(40, "datetime64[s]"), y=_LABELS)
    yield "complex", npz(x=np.zeros((40, 3), complex), y=_LABELS)
    yield "bytes", npz(x=np.full((40, 3), b"abc"), y=_LABELS)
    yield "not-a-number", npz(x=np.full((40, 3), np.nan), y=_LABELS)
    yield "beyond-float32", npz(x=np.full((40, 3), 1e300), y=_LABELS)
    yield "no-examples", npz(x=np.zeros((0, 3)), y=_LABELS[:0])
    yield "one-number", npz(x=np.float32(1), y=np.int64(1))
    yield "lengths-differ", npz(x=np.ones((40, 3)), y=_LABELS[:30])
    yield "giant-label", npz(x=np.ones((40, 3)), y=_LABELS * (2**62))
    yield "very-long-words", npz(x=np.ones((40, 3)), y=np.array(["a" * 100_000, "b"] * 20))
    yield "bomb", zipped({"x.npy": _npy_header((1 << 28,), "<f8") + bytes(64 << 20), "y.npy": _npy(_LABELS)})
    yield "many-entries", zipped({f"a{i}.npy": b"" for i in range(3000)})
    yield "many-more-entries", _long_directory(100_000)
    yield "no-arrays", zipped({"readme.txt": b"hello"})
    yield "empty-archive", zipped({})
    yield "locked", _patched(8, b"\x01")
    yield "twice", npz(x=np.ones((40, 3)), X=np.ones((40, 3)), y=_LABELS)


def _headers(marker: Path) -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "magic-alone", b"\x93NUMPY"
    yield "unknown-version", b"\x93NUMPY\x09\x00" + bytes(100)
    yield "giant", _npy_header((10**12,), "<f8") + bytes(8)
    yield "negative", _npy_header((-40, 3), "<f8") + bytes(960)
    yield "overflowing", _npy_header((2**62, 4), "<f8") + bytes(960)
    yield "code", _raw(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({payload(marker)},)}}")
    yield "import", _raw(f"__import__('os').system('touch {marker}')")
    yield "parentheses", _raw("(" * 9_000)
    yield "minus-signs", _raw("-" * 9_000 + "1")
    yield "long", b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 30) + b" " * 1000
    yield "not-text", b"\x93NUMPY\x01\x00\x10\x00" + b"\xff" * 16
    yield "odd-type", _raw("{'descr': 'O', 'fortran_order': False, 'shape': (40,)}") + pickle.dumps([Pickled(marker)])
    yield "nested-type", _raw("{'descr': [('a', [('b', '|O')])], 'fortran_order': False, 'shape': (40,)}")
    yield "empty-type", _raw("{'descr': '|V0', 'fortran_order': False, 'shape': (40,)}")
    yield "no-width", _npy_header((1 << 40,), "<U0")


def _never_looked_at(marker: Path) -> Iterator[tuple[str, bytes]]:
    yield "half-a-million-classes", npz(x=np.ones((500_000, 1), "uint8"), y=np.arange(500_000))
    sound = {"x.npy": _npy(np.random.default_rng(0).random((40, 3))), "y.npy": _npy(_LABELS)}
    yield "pickled-beside", zipped({**sound, "extra.npy": pickle.dumps(Pickled(marker))})
    yield "path-beside", zipped({**sound, f"../../../../../..{marker}": b"x"})
    yield "path-of-an-array", zipped({"../../x.npy": sound["x.npy"], "/y.npy": sound["y.npy"]})
    yield "duplicates-in-folders", zipped({**sound, "a/x.npy": sound["x.npy"]})


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _npy_header(shape: tuple[int, ...], descr: str) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _raw(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"
