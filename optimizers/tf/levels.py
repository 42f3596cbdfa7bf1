"""Columns that an 8-bit input cannot tell apart: all of its columns share one scale, which the widest one sets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizers.datasets.several import arrays_of
from optimizers.figures.format import listed

_LEVELS = 256
_FEWEST = 4.0
"""Levels within the middle nine tenths of a column's values below which next to nothing of it is left."""
_MOST_COLUMNS = 256


def lost_columns(examples: np.ndarray) -> Iterator[str]:
    """A sentence for each input some of whose columns have next to no levels in 8 bits.

    Args:
        examples: As calibration takes them, shape (n, columns) or (n, steps, columns), with one field per input where
            there are several. Pictures and whole numbers, such as of words, are not looked at.
    """
    names = examples.dtype.names or ("",)
    for name, values in zip(names, arrays_of(examples), strict=True):
        if values.dtype.kind != "f" or values.ndim not in (2, 3) or not 2 <= values.shape[-1] <= _MOST_COLUMNS:
            continue
        columns = values.reshape(-1, values.shape[-1]).astype(np.float64)
        step = (max(columns.max(), 0.0) - min(columns.min(), 0.0)) / (_LEVELS - 1)
        low, high = np.quantile(columns, (0.05, 0.95), axis=0)
        varied = columns.max(axis=0) > columns.min(axis=0)
        lost = np.flatnonzero(varied & (high > low) & (high - low < _FEWEST * step))
        if len(lost):
            which = listed(str(number + 1) for number in lost)
            of = f"input {name}" if name else "input"
            yield (
                f"All columns of the {of} share one scale of {_LEVELS} levels, of which {len(lost)} of "
                f"{len(varied)} (number {which}) have fewer than {_FEWEST:g}, so next to nothing of them reaches the "
                "model. Train it on columns of one range, with their scaling in front of it, or use int16x8 or "
                "dynamic_range."
            )
