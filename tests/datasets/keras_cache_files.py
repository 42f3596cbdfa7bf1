"""Small files in the formats, and under the names, that Keras's cache has."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

RANDOM = np.random.default_rng(7)
TRAIN, TEST, BATCH = 60, 20, 15
KINDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Python2Pickler(pickle._Pickler):
    """Writes protocol 2 as Python 2 did: bytes as its text, NumPy's functions under their old names."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def __init__(self, stream: Any) -> None:
        super().__init__(stream, protocol=2)

    def save_bytes(self, value: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    def save_global(self, value: Any, name: str | None = None) -> None:
        if getattr(value, "__name__", "") == "_reconstruct":
            self.write(pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n")
            self.memoize(value)
        else:
            super().save_global(value, name)

    dispatch[bytes] = save_bytes


Python2Pickler.dispatch[type(np.zeros)] = Python2Pickler.save_global


def images(count: int, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, *shape), dtype=np.uint8)


def labels(count: int, classes: int = 10) -> np.ndarray:
    return (np.arange(count) % classes).astype(np.uint8)


def mnist(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": TRAIN, "test": TEST}
    arrays = {f"x_{part}": images(count, 28, 28) for part, count in parts.items()}
    np.savez(folder / "mnist.npz", **arrays, **{f"y_{part}": labels(count) for part, count in parts.items()})


def fashion_mnist(folder: Path) -> None:
    folder = folder / "fashion-mnist"
    folder.mkdir(parents=True, exist_ok=True)
    for start, count in (("train", TRAIN), ("t10k", TEST)):
        for name, array in (("images-idx3", images(count, 28, 28)), ("labels-idx1", labels(count))):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{start}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))


def cifar10(folder: Path, inside: str = "cifar-10-batches-py-target/cifar-10-batches-py") -> None:
    folder = folder / inside
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        python2(folder / name, {b"batch_label": name.encode(), b"labels": labels(BATCH).tolist(),
                                b"data": images(BATCH, 3072), b"filenames": [b"a.png"] * BATCH})  # fmt: skip
    python2(folder / "batches.meta", {b"label_names": [kind.encode() for kind in KINDS], b"num_vis": 3072})


def cifar100(folder: Path, inside: str = "cifar-100-python-target/cifar-100-python") -> None:
    folder = folder / inside
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", 500), ("test", 200)):
        python2(folder / name, {b"fine_labels": labels(count, 100).tolist(), b"data": images(count, 3072),
                                b"coarse_labels": (labels(count, 100) // 5).tolist()})  # fmt: skip
    names = {b"fine_label_names": [b"kind_%d" % n for n in range(100)],
             b"coarse_label_names": [b"group_%d" % n for n in range(20)]}  # fmt: skip
    python2(folder / "meta", names)


def imdb(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        reviews = np.empty(count, object)
        reviews[:] = [RANDOM.integers(1, 500, RANDOM.integers(1, 40)).tolist() for _ in range(count)]
        arrays[f"x_{part}"], arrays[f"y_{part}"] = reviews, labels(count, 2).astype(np.int64)
    np.savez(folder / "imdb.npz", **arrays)


def python2(path: Path, value: Any) -> None:
    with path.open("wb") as stream:
        Python2Pickler(stream).dump(value)
