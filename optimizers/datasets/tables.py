"""Tables of mixed columns as matrices: numbers stay or are standardized, words become one-hot columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Feature:
    """One column of the matrix: ``(raw - mean) / std``, or 1 where ``column`` equals ``category`` and 0 elsewhere."""

    name: str
    column: str
    mean: float = 0.0
    std: float = 1.0
    category: str | None = None

    def to_dict(self) -> dict[str, str | float]:
        """JSON form, as previews carry it."""
        plain: dict[str, str | float] = {"name": self.name, "mean": self.mean, "std": self.std, "column": self.column}
        return plain if self.category is None else {**plain, "category": self.category}


def learn_features(
    columns: Mapping[str, np.ndarray], rows: np.ndarray | None, categorical: Sequence[str]
) -> list[Feature]:
    """The features of a table, in order of its columns.

    Args:
        columns: Arrays of shape (n,) by name; those named in ``categorical`` hold words, the others numbers.
        rows: Rows whose mean and standard deviation scale the numbers: those of the training part. None leaves numbers
            as they are.
        categorical: Columns that become one column per word, in alphabetical order. The words come from all rows, so
            that the width does not depend on the division.
    """
    import numpy as np

    features = []
    for name, values in columns.items():
        if name in categorical:
            words = sorted({str(v) for v in values})
            features += [Feature(f"{name}={word}", name, category=word) for word in words]
        elif rows is None:
            features.append(Feature(name, name))
        else:
            seen = np.asarray(values, dtype=np.float64)[rows]
            features.append(Feature(name, name, float(seen.mean()), float(seen.std()) or 1.0))
    return features


def encode(columns: Mapping[str, np.ndarray], features: Sequence[Feature]) -> np.ndarray:
    """The matrix: float32, shape (n, features)."""
    import numpy as np

    made = [
        (np.asarray(columns[f.column], dtype=np.float64) - f.mean) / f.std
        if f.category is None
        else np.array([str(v) == f.category for v in columns[f.column]], dtype=np.float64)
        for f in features
    ]
    with np.errstate(over="ignore"):
        return np.stack(made, axis=1).astype(np.float32)
