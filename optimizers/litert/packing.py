"""How LiteRT files pack numbers: two or four to a byte, and with the zeros left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BITS = {
    "FLOAT32": 32,
    "FLOAT16": 16,
    "BFLOAT16": 16,
    "FLOAT64": 64,
    "INT64": 64,
    "INT32": 32,
    "INT16": 16,
    "INT8": 8,
    "UINT8": 8,
    "INT4": 4,
    "UINT4": 4,
    "INT2": 2,
}
"""Bits of one number by the schema's name of its type."""

_LARGEST = 1 << 30


@dataclass(frozen=True)
class Sparse:
    """How a buffer without its zeros is laid out.

    Attributes:
        order: In which order the dimensions are gone through; those of blocks come after those of the tensor.
        block_map: For each dimension of a block the dimension of the tensor that it divides.
        levels: For each dimension in that order its size, or, where only some entries are kept, the pair
            (segments, indices) of compressed sparse rows.

    Source: the comments on ``SparsityParameters`` in the schema of LiteRT, after F. Kjolstad et al., "The tensor
    algebra compiler", 2017.
    """

    order: tuple[int, ...]
    block_map: tuple[int, ...]
    levels: tuple[int | tuple[np.ndarray, np.ndarray], ...]


def numbers(data: np.ndarray, dtype: str, count: int | None) -> np.ndarray:
    """The numbers in a buffer, shape (count,).

    Args:
        data: Bytes, shape (bytes,), uint8.
        dtype: A name in `BITS`.
        count: How many there must be, or None for as many as the bytes hold.

    Returns:
        int8 for two and four bits, uint8 for four bits without a sign, float32 for ``BFLOAT16``, else the same type.

    Raises:
        ValueError: Too few or too many bytes.
    """
    bits = BITS[dtype]
    found: np.ndarray
    if bits < 8:
        per_byte = 8 // bits
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        found = ((data[:, None] >> shifts) & (2**bits - 1)).reshape(-1).astype(np.int16)
        if not dtype.startswith("U"):
            found = np.where(found >= 2 ** (bits - 1), found - 2**bits, found)
        found = found.astype(np.uint8 if dtype.startswith("U") else np.int8)
        if count is not None and 0 <= len(found) - count < per_byte:
            found = found[:count]
    elif dtype == "BFLOAT16":
        found = (data.view("<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        found = data.view(np.dtype(dtype.lower()).newbyteorder("<"))
    if count is not None and len(found) != count:
        raise ValueError(f"{len(data)} bytes do not hold {count} numbers of type {dtype}")
    return found


def dense(kept: np.ndarray, shape: tuple[int, ...], layout: Sparse) -> np.ndarray:
    """The whole tensor, its zeros filled in.

    Args:
        kept: The numbers in the buffer, in order.
        shape: Of the whole tensor.
        layout: Where they belong.

    Raises:
        ValueError: The layout does not fit the shape or the numbers.
    """
    if int(np.prod(shape, dtype=np.int64)) > _LARGEST:
        raise ValueError(f"a sparse tensor of shape {shape} is too large")
    rank, blocks = len(shape), _block_sizes(layout, len(shape))
    divided = [size // int(np.prod([b for b, d in blocks if d == dimension])) for dimension, size in enumerate(shape)]
    sizes = [*divided, *(size for size, _ in blocks)]
    if sorted(layout.order) != list(range(len(sizes))) or len(layout.levels) != len(sizes):
        raise ValueError(f"a sparse layout of {len(layout.levels)} dimensions for a tensor of {rank}")
    # one row per kept path through the levels so far, and for each level the coordinates along the paths
    paths, coordinates = np.zeros(1, np.int64), np.zeros((0, 1), np.int64)
    for level, dimension in zip(layout.levels, layout.order, strict=True):
        paths, parents, steps = _descended(paths, level, sizes[dimension])
        coordinates = np.concatenate([coordinates[:, parents], steps[None]])
    if len(paths) > len(kept):
        raise ValueError(f"{len(kept)} numbers kept where the layout has {len(paths)}")
    position = {dimension: coordinates[i] for i, dimension in enumerate(layout.order)}
    full = [position[dimension].copy() for dimension in range(rank)]
    for number, (size, dimension) in enumerate(blocks):
        full[dimension] = full[dimension] * size + position[rank + number]
    result = np.zeros(shape, kept.dtype)
    result[tuple(full)] = kept[paths]
    return result


def _block_sizes(layout: Sparse, rank: int) -> list[tuple[int, int]]:
    """(size, divided dimension of the tensor) for each dimension of a block; blocks are always stored whole."""
    sizes: list[tuple[int, int]] = []
    for number, dimension in enumerate(layout.block_map):
        size = layout.levels[layout.order.index(rank + number)]
        if not isinstance(size, int) or not 0 < size <= _LARGEST or not 0 <= dimension < rank:
            raise ValueError("a sparse layout with blocks of no size")
        sizes.append((size, dimension))
    return sizes


def _descended(
    paths: np.ndarray, level: int | tuple[np.ndarray, np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One level down: numbers of the new paths, which old one each continues, and the coordinate each one takes."""
    if isinstance(level, int):
        if level != size or len(paths) * size > _LARGEST:
            raise ValueError(f"a sparse level of size {level} where {size} is needed")
        parents = np.repeat(np.arange(len(paths)), size)
        steps = np.tile(np.arange(size), len(paths))
        return paths[parents] * size + steps, parents, steps
    segments, indices = level
    counts = segments[paths + 1] - segments[paths]
    if (counts < 0).any() or counts.sum() > len(indices):
        raise ValueError("sparse segments that do not fit their indices")
    parents = np.repeat(np.arange(len(paths)), counts)
    offsets = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = segments[paths][parents] + offsets
    return places, parents, indices[places]
