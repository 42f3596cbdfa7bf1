"""Tables of mixed columns as matrices: numbers stay or are standardized, words become one-hot columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizers.datasets import previews
from optimizers.declarations import RawData, RawPart
from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

TARGET_NAMES = ("target", "label", "class", "y")
MAX_COLUMNS = 10_000
MAX_CELLS = 20_000_000
MAX_WORDS = 100
"""Most different words in a column that is turned into one-hot columns."""

MAX_WORD_LENGTH = 200
_PREVIEW_ROWS = 6


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


def raw_data(columns: Mapping[str, np.ndarray], target: str, name: str) -> RawData:
    """The columns of a file as features and labels; all rows are one part.

    Args:
        columns: Numbers without NaN, truth values, or words (dtype kind U), each of shape (n,).
        target: The column to predict, or several of numbers with commas between them; if empty, the column named
            target, label, class or y (in this order, in upper or lower case), else the last one.
        name: What people call the file, for messages.

    Raises:
        DataRefused: No such column, no features, a column of very many different words, numbers beyond float32.
    """
    import numpy as np

    targets = _targets(tuple(columns), target, name)
    if len(columns) < 1 + len(targets):
        few = "one column" if len(columns) == 1 else f"{len(columns)} columns"
        raise DataRefused(f"{name} has {few}; it needs features and a column to predict.", code="no-labels")
    inputs = {title: values for title, values in columns.items() if title not in targets}
    words = tuple(title for title, values in inputs.items() if values.dtype.kind == "U")
    if len(targets) > 1 and (text := [title for title in targets if columns[title].dtype.kind == "U"]):
        raise DataRefused(
            f"Column {text[0]!r} of {name} holds words; several columns to predict must be numbers or 0 and 1.",
            code="bad-labels",
        )
    for title in words:
        different = len(set(inputs[title].tolist()))
        if different > MAX_WORDS:
            raise DataRefused(
                f"Column {title!r} of {name} holds {different} different words, more than {MAX_WORDS}; remove it or "
                "turn it into numbers.",
                code="too-many-words",
            )
    features = learn_features(inputs, None, words)
    x = encode(inputs, features)
    too_large = np.flatnonzero(~np.isfinite(x).all(axis=0))
    if len(too_large):
        raise DataRefused(
            f"Column {features[too_large[0]].column!r} of {name} has numbers beyond the range of float32; scale them.",
            code="not-finite",
        )
    shown = (*inputs, *targets)
    rows = [[columns[title][row].item() for title in shown] for row in range(min(_PREVIEW_ROWS, len(x)))]
    preview = previews.table(shown, rows) | {"encoding": [feature.to_dict() for feature in features]}
    named = ", ".join(map(repr, targets))
    several = len(targets) > 1
    notes: tuple[str, ...] = (f"The column{'s' if several else ''} to predict {'are' if several else 'is'} {named}.",)
    if words:
        notes = (*notes, f"Turned into one-hot columns: {', '.join(words)}.")
    labels = np.stack([columns[title] for title in targets], axis=1) if several else columns[targets[0]]
    title = f"column{'s' if several else ''} {named} of {name}"
    return RawData(
        {"train": RawPart(x, labels)}, title, notes, tuple(f.name for f in features), preview,
        targets if several else (),
    )  # fmt: skip


def is_number(text: str) -> bool:
    """Whether a title, a cell or a class stands for a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_0 as ten


def check_titles(titles: Sequence[str], name: str) -> None:
    """Raises `DataRefused` where columns cannot be told apart or are very many."""
    if len(titles) > MAX_COLUMNS:
        raise DataRefused(
            f"{name} has {len(titles)} columns, more than {MAX_COLUMNS}; save it as NPZ.", code="too-many-columns"
        )
    doubled = sorted({title for title in titles if titles.count(title) > 1})
    if doubled:
        raise DataRefused(f"{name} has several columns named {doubled[0]!r}; rename them.", code="doubled-column")


def check_cells(cells: int, name: str) -> None:
    """Raises `DataRefused` where a table is too large."""
    if cells > MAX_CELLS:
        raise DataRefused(
            f"{name} has more than {MAX_CELLS:,} values; use fewer rows or save it as NPZ.", code="too-large"
        )


def check_words(words: Sequence[str], title: str, name: str) -> None:
    """Raises `DataRefused` where a column holds whole texts."""
    longest = max(len(word) for word in words)
    if longest > MAX_WORD_LENGTH:
        raise DataRefused(
            f"Column {title!r} of {name} holds a text of {longest} characters; remove the column.",
            code="too-many-words",
        )


def missing(title: str, name: str, count: int) -> DataRefused:
    """The refusal of a column with gaps."""
    return DataRefused(
        f"Column {title!r} of {name} has {count} missing value{'s' if count > 1 else ''}; fill them or remove these "
        "rows.",
        code="not-finite",
    )


def numbers(values: np.ndarray, title: str, name: str) -> np.ndarray:
    """The numbers of a column. Raises `DataRefused` where some are infinite."""
    import numpy as np

    infinite = int((~np.isfinite(values)).sum())
    if infinite:
        raise DataRefused(
            f"Column {title!r} of {name} has {infinite} infinite value{'s' if infinite > 1 else ''}; correct or remove "
            "these rows.",
            code="not-finite",
        )
    return values


def _targets(titles: tuple[str, ...], wanted: str, name: str) -> tuple[str, ...]:
    if not wanted:
        lower = {title.lower(): title for title in reversed(titles)}
        return (next((lower[name] for name in TARGET_NAMES if name in lower), titles[-1]),)
    asked = (wanted,) if wanted in titles else tuple(dict.fromkeys(part.strip() for part in wanted.split(",")))
    missing = [title for title in asked if title not in titles]
    if missing:
        some = ", ".join(titles[:12]) + (" …" if len(titles) > 12 else "")
        raise DataRefused(f"{name} has no column {missing[0]!r} to predict; it has: {some}.", code="no-column")
    return asked
