"""Labels of positions that are not judged: 255 in masks of PASCAL VOC and Cityscapes, -1 or -100 in tags.

Such positions have the class number `NOT_JUDGED`. Losses, metrics and pictures leave them out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optimizers.datasets.targets import MAX_CLASSES, Targets, named_classes
from optimizers.errors import DataRefused
from optimizers.records import Task

if TYPE_CHECKING:
    import numpy as np

NOT_JUDGED = -1
_USUAL = (255, 65535)
"""What is written where a label is the largest number that a pixel can hold."""
_FAR = 20


def read_judged(labels: np.ndarray, name: str, task: Task | None, ignore: str, *, ranked: bool = False) -> Targets:
    """Classes of positions, those of the labels in ``ignore`` being `NOT_JUDGED`; ``y`` is int16.

    Args:
        labels: Shape (n, ...), words or numbers.
        name, task, ranked: As for `targets.read_targets`.
        ignore: One label or several with commas between them.

    Raises:
        DataRefused: There is one label per example, labels are no classes, or all of them are ignored.
    """
    import numpy as np

    from optimizers.datasets.target_arrays import read_classes

    if labels.ndim < 2 or task not in (None, "segmentation"):
        raise DataRefused(
            f"Only labels of positions, such as masks and tags, may be ignored, and {name} has "
            f"{'one label per example' if labels.ndim < 2 else 'other ones'}; leave ignore out.",
            code="bad-labels",
        )
    left = np.isin(labels, _values(labels, ignore, name))
    if left.all():
        raise DataRefused(
            f"All labels in {name} are {ignore}, so none counts; choose another ignore.", code="bad-labels"
        )
    kept = labels[~left]
    if labels.dtype.kind in "SU":
        found = named_classes(kept, name, ())
    else:
        found = read_classes(kept, name, ranked=ranked, mask=labels.ndim > 2)
    y = np.full(labels.shape, NOT_JUDGED, np.int16)
    y[~left] = found.y
    told = f"Positions labelled {ignore.replace(',', ' or ')} do not count: {left.mean():.2%} of all."
    empty = int(left.reshape(len(left), -1).all(axis=1).sum())
    more = (f"In {empty:,} of {len(left):,} examples no position counts.",) if empty else ()
    return replace(found, y=y, task="segmentation", notes=(*found.notes, told, *more))


def holds(labels: np.ndarray, ignore: str) -> bool:
    """Whether one of the labels in ``ignore``, a text as for `read_judged`, occurs."""
    import numpy as np

    found = np.unique(labels)
    told = {f"{each:.15g}" for each in found.tolist()} if found.dtype.kind in "biuf" else set(found.astype(str))
    return bool(told & {word.strip() for word in ignore.split(",")})


def _values(labels: np.ndarray, ignore: str, name: str) -> list[str] | list[int]:
    words = [word.strip() for word in ignore.split(",")]
    if labels.dtype.kind in "SU":
        return [word.encode() for word in words] if labels.dtype.kind == "S" else words  # type: ignore[return-value]
    try:
        return [int(word) for word in words]
    except ValueError:
        raise DataRefused(
            f"{name} holds numbers, so what is ignored must be whole numbers, not {ignore[:50]!r}.",
            code="bad-preparation",
        ) from None


def far_labels(present: np.ndarray) -> tuple[str, int]:
    """Labels that look as if they marked positions that do not count: one below 0, one far above all others, or both.

    Args:
        present: Whole numbers that occur, ascending.

    Returns:
        As ``ignore`` is written, and 1 more than the highest other label; empty and 0 where there are none, or fewer
        than two other labels.
    """
    below, others = present[present < 0].tolist(), present[present >= 0].tolist()
    above = [others.pop()] if len(others) > 2 and _is_far(others[-1], others[-2]) else []
    if not (above or below) or len(below) > 1 or len(others) < 2 or others[-1] >= MAX_CLASSES:
        return "", 0
    return ",".join(f"{label:g}" for label in (*above, *below)), int(others[-1]) + 1


def _is_far(label: float, next_one: float) -> bool:
    gap = label - next_one
    return gap > 1 if label in _USUAL else gap > max(_FAR, next_one)
