"""Which columns of a table a model predicts that gives several numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from optimizers.datasets.tables import is_number
from optimizers.records import DatasetSummary, TensorSpec

_NAMED = re.compile(r"(y|targets?|labels?|class|outputs?)([ _.-]?\d+|[ _.-].+)?", re.IGNORECASE)
_TRUTH = ("False", "True")


def several_targets(
    inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], data: DatasetSummary, activation: str = ""
) -> tuple[str, ...]:
    """Columns to predict, where a table has as many features and targets as a model takes and gives numbers.

    They are those with names such as y1, target_a or label 2, if there are as many; else the last ones.

    Args:
        inputs, outputs: The model's.
        data: The table, with other columns to predict.
        activation: Of the model's output layer. What comes out of a softmax are shares: each from 0 to 1, together 1.

    Returns:
        At least two columns of numbers, in order; none where numbers do not match or the table fits as it is.
    """
    encoding, columns = data.preview.get("encoding", ()), [str(c) for c in data.preview.get("columns", ())]
    sizes = [math.prod(length or 0 for length in spec.shape) for spec in (*inputs, *outputs)]
    if len(sizes) != 2 or not encoding or 0 in sizes:
        return ()
    taken, given = sizes
    used = {str(feature["column"]) for feature in encoding}
    if given < 2 or len(encoding) == taken or len(encoding) + len(columns) - len(used) != taken + given:
        return ()
    words = {str(feature["column"]) for feature in encoding if "category" in feature}
    if data.classes != _TRUTH and not all(map(is_number, data.classes)) and not data.label_shape:
        return ()  # words, which would become features of unknown number
    usable = [column for column in columns if column not in words and "," not in column]
    named = [column for column in usable if _NAMED.fullmatch(column)]
    found = tuple(named if len(named) == given else usable[-given:] if len(usable) > given else ())
    return () if activation == "softmax" and not _shares(found, columns, data.preview.get("rows", ())) else found


def _shares(wanted: tuple[str, ...], columns: list[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Whether the columns hold, in every row that is shown, numbers from 0 to 1 that add up to 1."""
    shown = [[float(row[columns.index(title)]) for title in wanted] for row in rows]
    return all(min(row) >= 0 and max(row) <= 1 and abs(sum(row) - 1) < 1e-3 for row in shown)


def class_column(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], data: DatasetSummary) -> str:
    """The column of words that a classifier predicts, where it is the only one whose number of words tells.

    Args:
        inputs, outputs: The model's.
        data: The table, with another column to predict.

    Returns:
        Its name, if without it the table has as many features as the model takes, and as many words as it has output
        units (two for one unit); empty where the table fits as it is, or none or several would do.
    """
    encoding = data.preview.get("encoding", ())
    sizes = [math.prod(length or 0 for length in spec.shape) for spec in (*inputs, *outputs)]
    if len(sizes) != 2 or not encoding or len(encoding) == sizes[0]:
        return ""
    named, number = bool(data.classes) and not all(map(is_number, data.classes)), data.classes == _TRUTH
    predicted = len(data.classes) if named and not number else 1  # as a feature
    words = [str(feature["column"]) for feature in encoding if "category" in feature]
    wanted = max(2, sizes[1])
    suited = [
        title
        for title in dict.fromkeys(words)
        if words.count(title) == wanted and len(encoding) - wanted + predicted == sizes[0]
    ]
    return suited[0] if len(suited) == 1 and not data.label_shape else ""


def made_of_words(data: DatasetSummary) -> str:
    """Which columns of a table became several features, to be put behind the number of features; empty if none."""
    words = [str(feature["column"]) for feature in data.preview.get("encoding", ()) if "category" in feature]
    columns = list(dict.fromkeys(words))
    told = ", ".join(f"{column!r} {words.count(column)}" for column in columns[:4])
    more = " and so on" if len(columns) > 4 else ""
    return f" (columns of words have a feature for each word: {told}{more})" if columns else ""
