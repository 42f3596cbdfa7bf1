"""HDF5 files that reach for other files, hold objects, or declare more than they have."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from tests.hostile.files import HostileFile
from tests.hostile.sound import keras_archive, whole_hdf5
from tests.models.files import weights_bytes

Change = Callable[[h5py.Group], None]
"""Spoils the group that holds the arrays of the Dense layer."""

_UNSAFE = (
    *("external", "soft-link", "virtual", "objects", "references", "variable", "compound", "complex", "words"),
    "packed-before-shuffled",
)
_BAD = ("unsafe-file", "bad-file", "too-large", "weights-mismatch")


def hdf5(marker: Path) -> Iterator[HostileFile]:
    """Every change, in the weights of a Keras archive and in a whole-model file."""
    for name, change in _changes(marker).items():
        codes = ("unsafe-file",) if name.startswith(_UNSAFE) else _BAD
        yield HostileFile(f"{name}.keras", keras_archive(weights=_in_archive(change)), codes=codes)
        yield HostileFile(f"{name}.h5", _in_whole(change), codes=codes)
    for name, spoil in _attributes().items():
        yield HostileFile(f"{name}.h5", _in_root(spoil), codes=("bad-file", "weights-only", "bad-json", "too-large"))
    yield HostileFile("weights-only.h5", weights_bytes(), codes=("weights-only",))
    yield HostileFile("empty-weights.keras", keras_archive(weights=b""), codes=("bad-file",))
    yield HostileFile("no-weights.keras", keras_archive(weights=b"\x89HDF\r\n\x1a\n"), codes=("bad-file",))
    yield HostileFile("linked-groups.h5", _circle(), codes=_BAD)
    yield HostileFile("very-deep-groups.keras", keras_archive(weights=_deep()), harmless=True)
    yield HostileFile("many-groups.keras", keras_archive(weights=_wide()), codes=_BAD, harmless=True)


def _in_archive(change: Change) -> bytes:
    return weights_bytes(lambda file: change(_renamed(file["layers/dense/vars"], ("0", "1"))))


def _in_whole(change: Change) -> bytes:
    buffer = io.BytesIO(whole_hdf5())
    with h5py.File(buffer, "r+") as file:
        change(_renamed(file["model_weights/dense/dense"], ("kernel", "bias")))
    return buffer.getvalue()


def _renamed(group: h5py.Group, names: tuple[str, str]) -> h5py.Group:
    """The group, with the name of its kernel noted for `_replaced`."""
    group.attrs["spoiled"] = names[0]
    return group


def _replaced(make: Callable[[h5py.Group, str], None]) -> Change:
    def change(group: h5py.Group) -> None:
        name = group.attrs["spoiled"]
        del group[name]
        make(group, name)

    return change


def _changes(marker: Path) -> dict[str, Change]:
    text = h5py.string_dtype()
    compound = np.dtype([("a", "f4"), ("b", "f4")])
    beside = f"{marker}.bin"
    giant = {"shape": (1 << 20, 1 << 12), "dtype": "float32", "chunks": (1024, 1024)}
    made: dict[str, Callable[[h5py.Group, str], object]] = {
        "external-link": lambda g, n: g.__setitem__(n, h5py.ExternalLink("/etc/passwd", "/x")),
        "external-link-to-marker": lambda g, n: g.__setitem__(n, h5py.ExternalLink(str(marker), "/x")),
        "soft-link": lambda g, n: g.__setitem__(n, h5py.SoftLink("/layers")),
        "soft-link-to-nowhere": lambda g, n: g.__setitem__(n, h5py.SoftLink("/nowhere")),
        "soft-link-to-itself": lambda g, n: g.__setitem__(n, h5py.SoftLink(f"{g.name}/{n}")),
        "external-storage": lambda g, n: g.create_dataset(n, (3, 2), "float32", external=[("/etc/passwd", 0, 24)]),
        "external-storage-of-marker": lambda g, n: g.create_dataset(n, (3, 2), "f4", external=[(beside, 0, 24)]),
        "virtual": _virtual,
        "objects": lambda g, n: g.create_dataset(n, (3, 2), text),
        "references": lambda g, n: g.create_dataset(n, (3, 2), h5py.ref_dtype),
        "variable-length": lambda g, n: g.create_dataset(n, (3, 2), h5py.vlen_dtype("float32")),
        "compound": lambda g, n: g.create_dataset(n, (3, 2), compound),
        "complex": lambda g, n: g.create_dataset(n, (3, 2), "complex64"),
        "words": lambda g, n: g.create_dataset(n, data=np.full((3, 2), b"abc")),
        "enumeration": lambda g, n: g.create_dataset(n, (3, 2), h5py.enum_dtype({"a": 1, "b": 2}, basetype="i4")),
        "array-type": lambda g, n: g.create_dataset(n, (3,), np.dtype(("f4", (2,)))),
        "opaque": lambda g, n: g.create_dataset(n, data=np.zeros((3, 2), "V8")),
        "giant-and-sparse": lambda g, n: g.create_dataset(n, **giant),
        "giant-and-filled": lambda g, n: g.create_dataset(n, fillvalue=1.0, **giant),
        "giant-packed": lambda g, n: _packed(g, n, (1 << 12, 1 << 13)),
        "giant-chunk": lambda g, n: _in_one_chunk(g, n, 4000, np.ones((3, 2), "float32")),
        "chunk-that-goes-on": lambda g, n: _endless(g, n),
        "packed-before-shuffled": lambda g, n: _shuffled_last(g, n),
        "no-space": lambda g, n: g.create_dataset(n, data=h5py.Empty("float32")),
        "scalar": lambda g, n: g.create_dataset(n, data=np.float32(1)),
        "many-dimensions": lambda g, n: g.create_dataset(n, (1,) * 32, "float32"),
        "empty-dimension": lambda g, n: g.create_dataset(n, (0, 2), "float32"),
        "not-a-number": lambda g, n: g.create_dataset(n, data=np.full((3, 2), np.nan, "float32")),
        "infinite": lambda g, n: g.create_dataset(n, data=np.full((3, 2), np.inf, "float32")),
        "other-shape": lambda g, n: g.create_dataset(n, data=np.ones((2, 3), "float32")),
        "group-instead": lambda g, n: g.create_group(n),
        "named-type-instead": lambda g, n: g.__setitem__(n, np.dtype("f4")),
        "missing": lambda g, n: None,
    }
    return {name: _replaced(make) for name, make in made.items()}


def _virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((3, 2), "float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (3, 2))
    group.create_virtual_dataset(name, layout)


def _packed(group: h5py.Group, name: str, shape: tuple[int, int]) -> None:
    group.create_dataset(name, data=np.zeros(shape, "float32"), compression="gzip", compression_opts=9)


def _in_one_chunk(group: h5py.Group, name: str, side: int, values: np.ndarray) -> None:
    """A small array in a chunk that takes 64 megabytes when it is unpacked."""
    data = group.create_dataset(
        name, values.shape, "float32", chunks=(side, side), maxshape=(None, None), compression="gzip"
    )
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(4 * side)) for _ in range(side))
    data.id.write_direct_chunk((0, 0), rows + packer.flush())


def _endless(group: h5py.Group, name: str) -> None:
    """An array of 24 bytes whose chunk unpacks to 40 megabytes."""
    data = group.create_dataset(name, (3, 2), "float32", chunks=(3, 2), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(bytes(40 << 20), 9))


def _shuffled_last(group: h5py.Group, name: str) -> None:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((3, 2))
    creation.set_deflate(9)
    creation.set_shuffle()
    space = h5py.h5s.create_simple((3, 2))
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, creation).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.ones((3, 2), "float32")
    )


def _in_root(spoil: Callable[[h5py.File], None]) -> bytes:
    buffer = io.BytesIO(whole_hdf5())
    with h5py.File(buffer, "r+") as file:
        del file.attrs["model_config"]
        spoil(file)
    return buffer.getvalue()


def _attributes() -> dict[str, Callable[[h5py.File], None]]:
    def set_to(value: object, dtype: object = None) -> Callable[[h5py.File], None]:
        return lambda file: file.attrs.create("model_config", value, dtype=dtype)

    def reference(file: h5py.File) -> None:
        file.attrs.create("model_config", file["model_weights"].ref, dtype=h5py.ref_dtype)

    return {
        "config-is-a-number": set_to(3),
        "config-is-a-list": set_to([b"a", b"b"]),
        "config-is-empty": set_to(""),
        "config-is-nothing": set_to(h5py.Empty("f4")),
        "config-is-no-json": set_to("lambda x: x"),
        "config-is-not-utf-8": set_to(b"\xff\xfe{}"),
        "config-is-a-reference": reference,
        "config-is-missing": lambda file: None,
    }


def _circle() -> bytes:
    """Groups that contain themselves."""
    buffer = io.BytesIO(whole_hdf5())
    with h5py.File(buffer, "r+") as file:
        del file["model_weights/dense/dense"]
        file["model_weights/dense/dense"] = file["model_weights"]
    return buffer.getvalue()


def _deep() -> bytes:
    return weights_bytes(lambda file: file.create_group("layers/dense" + "/a" * 3000))


def _wide() -> bytes:
    def add(file: h5py.File) -> None:
        for i in range(5000):
            file.create_group(f"layers/dense/vars/{i + 2}")

    return weights_bytes(add)
