"""Which columns of a table a model predicts that gives several numbers."""

from __future__ import annotations

import math
import re

from optimizers.datasets.tables import is_number
from optimizers.records import DatasetSummary, TensorSpec

_NAMED = re.compile(r"(y|targets?|labels?|class|outputs?)([ _.-]?\d+|[ _.-].+)?", re.IGNORECASE)
_TRUTH = ("False", "True")


def several_targets(
    inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], data: DatasetSummary
) -> tuple[str, ...]:
    """Columns to predict, where a table has as many features and targets as a model takes and gives numbers.

    They are those with names such as y1, target_a or label 2, if there are as many; else the last ones.

    Args:
        inputs, outputs: The model's.
        data: The table, with other columns to predict.

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
    return tuple(named if len(named) == given else usable[-given:] if len(usable) > given else ())
