"""The formats of the files that `keras.datasets` reads, each read to the examples that Keras gives.

Every function takes the files' paths by name and the preparation that was asked for.
"""

from __future__ import annotations

import array
import gzip
import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers.datasets import members, pickles
from optimizers.datasets.preparation import NOTHING, Preparation
from optimizers.datasets.scaling import MAX_BYTES
from optimizers.declarations import RawData, RawPart
from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

_START, _UNKNOWN, _FIRST_WORD, _SHUFFLE = 1, 2, 3, 113
"""The defaults of ``keras.datasets.imdb.load_data``."""

Files = Mapping[str, Path]
Read = Callable[[Files, Preparation], tuple[RawData, tuple[str, ...]]]
"""Gives the examples and the names of the classes, by number. Raises `DataRefused`."""


def mnist(files: Files, preparation: Preparation) -> tuple[RawData, tuple[str, ...]]:
    """Examples uint8 of shape (n, 28, 28)."""
    from optimizers.datasets.formats import arrays

    return arrays.read(files["mnist.npz"], "mnist.npz", NOTHING), tuple("0123456789")


def fashion_mnist(files: Files, preparation: Preparation) -> tuple[RawData, tuple[str, ...]]:
    """Examples uint8 of shape (n, 28, 28)."""
    parts = {
        part: RawPart(_idx(files, f"{start}-images-idx3-ubyte.gz", 3), _idx(files, f"{start}-labels-idx1-ubyte.gz", 1))
        for part, start in (("train", "train"), ("test", "t10k"))
    }
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    return RawData(parts), classes


def cifar10(files: Files, preparation: Preparation) -> tuple[RawData, tuple[str, ...]]:
    """Examples uint8 of shape (n, 32, 32, 3)."""
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    parts = {"train": _cifar(files, batches, "labels"), "test": _cifar(files, ["test_batch"], "labels")}
    return RawData(parts), _class_names(files, "batches.meta", "label_names")


def cifar100(level: str) -> Read:
    """Reads the ``fine`` or the ``coarse`` labels."""

    def read(files: Files, preparation: Preparation) -> tuple[RawData, tuple[str, ...]]:
        """Examples uint8 of shape (n, 32, 32, 3)."""
        parts = {part: _cifar(files, [part], f"{level}_labels") for part in ("train", "test")}
        return RawData(parts), _class_names(files, "meta", f"{level}_label_names")

    return read


def imdb(files: Files, preparation: Preparation) -> tuple[RawData, tuple[str, ...]]:
    """Examples int32 of shape (n, words of the longest review, or ``length``), zeros in front."""
    import numpy as np

    names = [f"{letter}_{part}" for part in ("train", "test") for letter in "xy"]
    stored = _imdb_arrays(files["imdb.npz"], names)
    random = np.random.RandomState(_SHUFFLE)
    reviews: dict[str, list[np.ndarray]] = {}
    labels: dict[str, np.ndarray] = {}
    for part in ("train", "test"):
        words, y = (stored[f"{letter}_{part}"] for letter in "xy")
        if y.shape != (len(words),):
            raise pickles.damaged("imdb.npz", f"{len(words)} reviews but labels of shape {y.shape}")
        order = np.arange(len(words))
        random.shuffle(order)
        reviews[part] = [_review(words[row]) for row in order]
        labels[part] = y[order]
    everything = [review for part in reviews.values() for review in part]
    # without a number of words Keras takes the largest one, which so becomes unknown itself
    vocabulary = preparation.words or int(max(review.max() for review in everything))
    longest = max(map(len, everything))
    length = preparation.length or longest
    size = 4 * len(everything) * length
    if size > MAX_BYTES:
        raise DataRefused(
            f"The reviews of imdb.npz, filled up to {length} words each, take {size / 2**30:.1f} GiB; give a smaller "
            "length.",
            code="too-large",
        )
    parts = {part: RawPart(_padded(reviews[part], length, vocabulary), labels[part]) for part in reviews}
    note = (
        f"Words are numbered as keras.datasets.imdb does by default; the longest review has {longest} of them, and "
        f"every example {length}: zeros in front of shorter reviews, the end of longer ones."
    )
    return RawData(parts, notes=(note,)), ("negative", "positive")


def _idx(files: Files, name: str, dimensions: int) -> np.ndarray:
    """The array of bytes in a packed IDX file. Source: http://yann.lecun.com/exdb/mnist/ (file formats)."""
    import numpy as np

    try:
        with gzip.open(files[name]) as stream:
            content = stream.read(pickles.MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise pickles.damaged(name, error) from None
    header = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4))
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) != header + math.prod(shape):
        raise pickles.damaged(name, f"{len(content)} bytes are no IDX file of {dimensions} dimensions")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _cifar(files: Files, names: list[str], labels: str) -> RawPart:
    import numpy as np

    xs, ys = [], []
    for name in names:
        batch = _dictionary(files, name)
        x, y = (pickles.numbers(batch.get(key.encode()), name) for key in ("data", labels))
        if x.dtype != np.uint8 or x.shape != (len(y), 3072) or y.ndim != 1:
            raise pickles.damaged(name, f"data {x.dtype} {x.shape}, labels {y.shape}")
        xs.append(x.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        ys.append(y)
    return RawPart(np.concatenate(xs), np.concatenate(ys))


def _class_names(files: Files, name: str, key: str) -> tuple[str, ...]:
    words = _dictionary(files, name).get(key.encode())
    if type(words) is not list or not all(isinstance(word, bytes) for word in words):
        raise pickles.damaged(name, f"{key} is no list of names")
    return tuple(word.decode("utf-8", errors="replace").replace("_", " ") for word in words)


def _dictionary(files: Files, name: str) -> dict[bytes, object]:
    if files[name].stat().st_size > pickles.MAX_BYTES:
        raise pickles.damaged(name, "longer than any published file")
    found = pickles.loads(files[name].read_bytes(), name)
    if type(found) is not dict:
        raise pickles.damaged(name, f"a {type(found).__name__} instead of a dictionary")
    return {key.encode() if isinstance(key, str) else key: value for key, value in found.items()}


def _imdb_arrays(path: Path, names: list[str]) -> dict[str, Any]:
    """The labels as arrays, the reviews as lists of whatever the file has for a review."""
    import numpy as np

    found: dict[str, Any] = {}
    with members.opened(path, path.name) as packed:
        for name in names:
            size = packed.sizes.get(f"{name}.npy", 0)
            if not 0 < size <= pickles.MAX_BYTES:
                raise pickles.damaged(path.name, f"{name} has {size} bytes")
            stream = packed.read(f"{name}.npy")
            try:
                version = np.lib.format.read_magic(stream)
                older = version == (1, 0)
                header = np.lib.format.read_array_header_1_0 if older else np.lib.format.read_array_header_2_0
                shape, _, dtype = header(stream)
                if dtype.hasobject:
                    found[name] = pickles.objects(pickles.loads(stream.read(), path.name), path.name)
                else:
                    found[name] = np.frombuffer(stream.read(), dtype).reshape(shape)
            except (DataRefused, MemoryError):
                raise
            except Exception as error:  # NumPy tokenizes the header as Python, see formats.arrays
                raise pickles.damaged(path.name, error) from None
    return found


def _review(words: object) -> np.ndarray:
    """A review as Keras numbers it: its start, then its words."""
    import numpy as np

    try:
        if type(words) is not list:
            raise TypeError(f"a {type(words).__name__} instead of a list of word numbers")
        numbers = np.array(array.array("i", [_START, *words]))  # refuses everything but whole numbers
    except (TypeError, OverflowError) as error:
        raise pickles.damaged("imdb.npz", error) from None
    if numbers.min() < 0 or numbers.max() >= 1 << 30:
        raise pickles.damaged("imdb.npz", "a word number out of range")
    numbers[1:] += _FIRST_WORD
    return numbers


def _padded(reviews: list[np.ndarray], length: int, vocabulary: int) -> np.ndarray:
    """Shape (n, length). Source: the defaults of ``keras.utils.pad_sequences``."""
    import numpy as np

    x = np.zeros((len(reviews), length), np.int32)
    for row, review in enumerate(reviews):
        end = review[-length:]
        x[row, length - len(end) :] = np.where(end >= vocabulary, _UNKNOWN, end)
    return x
