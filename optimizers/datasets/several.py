"""Examples for a model with several inputs, kept in one array.

It has one field per input, in the model's order, so that rows are picked, counted and concatenated as in any array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike


def joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One array of examples from one array per input, each of shape (n, ...); a single array is given back as it is."""
    if len(arrays) == 1:
        return arrays[0]
    fields = [(str(number), array.dtype, array.shape[1:]) for number, array in enumerate(arrays)]
    examples = np.empty(len(arrays[0]), np.dtype(fields))
    for number, array in enumerate(arrays):
        examples[str(number)] = array
    return examples


def arrays_of(x: np.ndarray) -> list[np.ndarray]:
    """One array of shape (n, ...) per input: the inverse of `joined`."""
    if x.dtype.names is None:
        return [x]
    return [np.ascontiguousarray(x[name]) for name in x.dtype.names]


def one_by_one(x: np.ndarray, dtypes: Sequence[DTypeLike]) -> list[list[np.ndarray]]:
    """For each example one array per input, of the input's dtype, with a batch dimension of 1."""
    typed = [array.astype(dtype, copy=False) for array, dtype in zip(arrays_of(x), dtypes, strict=True)]
    return [[array[row : row + 1] for array in typed] for row in range(len(x))]
