"""Examples for a model with several inputs, or labels of several outputs, kept in one array.

It has one field per input, in the model's order, so that rows are picked, counted and concatenated as in any array.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import DTypeLike

from optimizers.records import TensorSpec


def joined(arrays: Sequence[np.ndarray], names: Sequence[str] = ()) -> np.ndarray:
    """One array of examples from one array per input, each of shape (n, ...); a single array is given back as it is.

    Args:
        arrays: One per input.
        names: What the inputs are called, where that is known.
    """
    if len(arrays) == 1:
        return arrays[0]
    names = names or [f"#{number}" for number in range(len(arrays))]
    return named(dict(zip(names, arrays, strict=True)))


def named(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """One array with a field for each of one or more arrays of shape (n, ...)."""
    fields = [(name, array.dtype, array.shape[1:]) for name, array in arrays.items()]
    rows = np.empty(len(next(iter(arrays.values()))), np.dtype(fields))
    for name, array in arrays.items():
        rows[name] = array
    return rows


def inputs_of(x: np.ndarray) -> tuple[TensorSpec, ...]:
    """Name, shape and dtype of every input, where there are several; else none."""
    fields = [(name, x.dtype[name]) for name in x.dtype.names or ()]
    return tuple(TensorSpec(name=name, shape=field.shape, dtype=str(field.base)) for name, field in fields)


def arrays_of(x: np.ndarray) -> list[np.ndarray]:
    """One array of shape (n, ...) per input: the inverse of `joined`."""
    if x.dtype.names is None:
        return [x]
    return [np.ascontiguousarray(x[name]) for name in x.dtype.names]


def one_by_one(x: np.ndarray, dtypes: Sequence[DTypeLike]) -> list[list[np.ndarray]]:
    """For each example one array per input, of the input's dtype, with a batch dimension of 1."""
    typed = [array.astype(dtype, copy=False) for array, dtype in zip(arrays_of(x), dtypes, strict=True)]
    return [[array[row : row + 1] for array in typed] for row in range(len(x))]
