"""What the weights of a LiteRT file hold: zeros, distinct values, and how few bits could tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from optimizers.litert import compression
from optimizers.litert.anatomy import Anatomy, Place, anatomy
from optimizers.litert.file import LiteRtFile
from optimizers.litert.layer_names import layer_of
from optimizers.litert.weights import StoredWeight

_REMEMBERED = 4
_SMALL = 8
"""Numbers of at most so many bits are looked up in a table of all that there are."""


@dataclass(frozen=True)
class Counted:
    """One stored weight in numbers.

    Attributes:
        place: Its subgraph and its number there.
        layer: As tensor names tell it.
        users: The names of what each operator that uses it writes.
        bits: Of one number as it is stored.
        stored_bytes: Of all its numbers, scales not included.
        entropy: Bits per number of an ideal code that knows how often each value occurs (order 0).
        bound: Fewest bytes for its numbers with such a code, of whole numbers or of their bytes, see `fewest_bytes`.
    """

    place: Place
    name: str
    layer: str
    users: frozenset[tuple[str, ...]]
    kernel: bool
    dtype: str
    bits: int
    values: int
    nonzero: int
    unique: int
    stored_bytes: int
    entropy: float
    bound: float


@dataclass(frozen=True)
class Census:
    """All weights of a file, each buffer once, what its bytes are for, and bytes of all but the weights' numbers.

    ``rest_bytes`` is what the best compressor makes of everything but the numbers.
    """

    weights: tuple[Counted, ...]
    anatomy: Anatomy
    rest_bytes: int

    @property
    def parameters(self) -> int:
        """Numbers in all weights."""
        return sum(weight.values for weight in self.weights)

    @property
    def nonzero(self) -> int:
        return sum(weight.nonzero for weight in self.weights)

    @property
    def kernels(self) -> tuple[Counted, ...]:
        return tuple(weight for weight in self.weights if weight.kernel)

    @property
    def bound(self) -> int:
        """The entropy bound of the whole file, bytes: that of its weights, and everything else compressed."""
        return round(sum(weight.bound for weight in self.weights)) + self.rest_bytes


def census(path: Path) -> Census:
    """The census of a file. Raises `ModelRefused` where it is damaged."""
    state = path.stat()
    return _census(path, state.st_size, state.st_mtime_ns)


@lru_cache(_REMEMBERED)
def _census(path: Path, size: int, changed: int) -> Census:
    """Several metrics and analyses ask about the same file one after the other."""
    file = LiteRtFile(path.read_bytes())
    found, seen = [], set()
    for weight in file.weights:
        if weight.buffer not in seen:
            seen.add(weight.buffer)
            found.append(_counted(weight))
    parts = anatomy(file)
    rest = compression.sizes(_without(file.content, parts.numbers))
    return Census(tuple(found), parts, rest[compression.best(rest)])


def _counted(weight: StoredWeight) -> Counted:
    _, counts = value_counts(weight.values, weight.bits)
    n = int(weight.values.size)
    return Counted(
        place=(weight.subgraph, weight.tensor),
        name=weight.name,
        layer=layer_of(weight),
        users=frozenset(consumer.outputs for consumer in weight.consumers),
        kernel=weight.kernel,
        dtype=weight.dtype.lower(),
        bits=weight.bits,
        values=n,
        nonzero=n - round(weight.sparsity * n),
        unique=len(counts),
        stored_bytes=weight.stored_bytes,
        entropy=entropy(counts),
        bound=min(float(weight.stored_bytes), fewest_bytes(counts, weight.bits), _by_bytes(weight.values)),
    )


def value_counts(values: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values and how often each occurs; both of shape (distinct,)."""
    flat = values.reshape(-1)
    if bits <= _SMALL and flat.size:
        low = int(flat.min())
        found = np.bincount(flat.astype(np.int16) - low)
        present = np.flatnonzero(found)
        return present + low, found[present]
    return np.unique(flat, return_counts=True)


def entropy(counts: np.ndarray) -> float:
    """Shannon's entropy in bits per value of values that occur so often; 0 where there are none."""
    total = counts.sum()
    if not total:
        return 0.0
    shares = counts / total
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def fewest_bytes(counts: np.ndarray, bits: int) -> float:
    """Fewest bytes that tell one number after the other, if the receiver must also learn which values there are.

    The list of values costs their own width each, or, where that is less, one bit for each value that the width has
    room for. Without the list float32 weights, which hardly ever repeat, would seem to need log2(n) bits each.
    """
    values = len(counts)
    listed = min(values * bits, 2**bits)
    return float(counts.sum() * entropy(counts) + listed) / 8


def _by_bytes(values: np.ndarray) -> float:
    """Fewest bytes if each byte of a number has its own code: real numbers hardly ever repeat, their exponents do."""
    width = values.dtype.itemsize
    if width == 1 or not values.size:
        return float(values.nbytes)
    planes = np.ascontiguousarray(values).view(np.uint8).reshape(-1, width)
    return sum(fewest_bytes(found[found > 0], 8) for found in (np.bincount(plane) for plane in planes.T))


def owners(census: Census, survey: Mapping[str, str]) -> dict[Place, str]:
    """The layer of each weight: the Keras layer that the survey of the conversion tells, else as tensor names tell it.

    The survey knows kernels only; a bias belongs to the kernel that the same operator uses.

    Args:
        census: Of the file.
        survey: Keras layers by tensor name.
    """
    near = {user: survey[kernel.name] for kernel in census.kernels if kernel.name in survey for user in kernel.users}

    def owner(weight: Counted) -> str:
        if weight.name in survey:
            return survey[weight.name]
        return next((near[user] for user in sorted(weight.users) if user in near), weight.layer)

    return {weight.place: owner(weight) for weight in census.weights}


def _without(content: bytes, stretches: tuple[tuple[int, int], ...]) -> bytes:
    """The content without some stretches of it, which are in order."""
    kept, at = [], 0
    for start, end in stretches:
        kept.append(content[at:start])
        at = max(at, end)
    return b"".join([*kept, content[at:]])
