"""How examples are divided into train, validation and test: fixed by a seed, every class in proportion.

The same code divides the sample sets, files and uploads, so that a data set always has the same three parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

SEED = 20
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.2


class Split(NamedTuple):
    """Row numbers of the three parts: int64, ascending, disjoint, together all rows."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def stratified(labels: np.ndarray, *, validation: float | int, test: float | int, seed: int = SEED) -> Split:
    """A division in which every part holds every class in proportion.

    At least one example of each class goes to train; a class of very few examples may then be absent elsewhere.
    ``numpy.random.RandomState`` is used because its stream is frozen: newer NumPy versions divide alike.

    Args:
        labels: Shape (n,), any sortable dtype. For regression pass `target_bands`.
        validation, test: How many examples (int) or which share of all (float from 0 to 1). Zero leaves a part empty.
        seed: The same seed and labels always give the same division.

    Raises:
        DataRefused: The examples do not suffice for parts of these sizes.
    """
    import numpy as np

    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    n_test, n_validation = _count(test, len(labels)), _count(validation, len(labels))
    spare = sizes - 1
    if n_test + n_validation > spare.sum():
        raise DataRefused(
            f"{len(labels)} examples of {len(sizes)} classes are too few to set {n_validation} aside for validation "
            f"and {n_test} for the test; add examples.",
            code="too-few",
        )
    in_test = _allot(spare, n_test)
    in_validation = _allot(spare - in_test, n_validation)
    random = np.random.RandomState(seed)
    part = np.zeros(len(labels), dtype=np.int8)
    for number in range(len(sizes)):
        rows = random.permutation(np.flatnonzero(group.reshape(-1) == number))
        part[rows[: in_test[number]]] = 2
        part[rows[in_test[number] : in_test[number] + in_validation[number]]] = 1
    return Split(*(np.flatnonzero(part == which).astype(np.int64) for which in range(3)))


def target_bands(y: np.ndarray, bands: int = 10) -> np.ndarray:
    """Which of up to ``bands`` equally filled bands each regression target lies in: int64, shape (n,).

    To be given to `stratified`, so that small and large targets occur in all parts. Fewer bands for few examples.
    """
    import numpy as np

    bands = max(1, min(bands, len(y) // 5))
    rank = np.empty(len(y), dtype=np.int64)
    rank[np.argsort(y, kind="stable")] = np.arange(len(y))
    return rank * bands // max(1, len(y))


def present(y: np.ndarray, classes: int) -> np.ndarray:
    """Which classes occur in each example: bool, shape (n, classes), from class numbers of shape (n, ...)."""
    import numpy as np

    flat = y.reshape(len(y), -1)
    return np.stack([(flat == number).any(axis=1) for number in range(classes)], axis=1)


def rarest(there: np.ndarray) -> np.ndarray:
    """Of what an example has the rarest, numbered by column, int64, shape (n,); the number of columns if it has none.

    To be given to `stratified`, so that rare labels occur in all parts. What a single example has counts for nothing.

    Args:
        there: What each example has, 0 or 1, shape (n, columns).
    """
    import numpy as np

    counts = there.sum(axis=0, dtype=np.int64)
    known = np.where((there != 0) & (counts > 1), counts, len(there) + 1)
    none = known.min(axis=1) > len(there)
    return np.asarray(np.where(none, there.shape[1], known.argmin(axis=1)), np.int64)


def windows(x: np.ndarray, y: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """All runs of ``length`` consecutive rows, each with the label of its last row.

    Divide by time *before* calling this, once per part: then no window reaches from one part into another.

    Args:
        x: Shape (rows, features), in order of time.
        y: Shape (rows,).
        length: Rows per window, at most ``rows``.

    Returns:
        Arrays of shape (rows - length + 1, length, features) and (rows - length + 1,).
    """
    import numpy as np

    view = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)
    return np.ascontiguousarray(view.transpose(0, 2, 1)), y[length - 1 :].copy()


def _count(share: float | int, n: int) -> int:
    return share if isinstance(share, int) else round(share * n)


def _allot(sizes: np.ndarray, total: int) -> np.ndarray:
    """``total`` shared out in proportion to ``sizes``, by largest remainder; never more than a size."""
    import numpy as np

    if total == 0:
        return np.zeros(len(sizes), dtype=np.int64)
    exact = sizes * (total / sizes.sum())
    counts: np.ndarray = np.floor(exact + 1e-9).astype(np.int64)
    remainder = np.argsort(-(exact - counts), kind="stable")
    counts[remainder[: total - int(counts.sum())]] += 1
    return counts
