"""Labels of several numbers per example: what they can be, and what they are for a model.

| labels of one example | what they are |
|---|---|
| 0 and 1, in a row | several truth values (``multilabel``), or a class of two at every step |
| 0 and 1, otherwise | a class of two at every position (``segmentation``) |
| one-hot along the last dimension | a class at every position |
| words | a class at every position |
| whole numbers | a class at every position, or numbers |
| other numbers | numbers (``regression``) |

Where several readings are left, the shape of the model's outputs decides (`optimizers.datasets.fit`); whoever knows
better names the task.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optimizers.datasets.not_judged import far_labels
from optimizers.datasets.targets import MAX_CLASSES, Targets, check_count, named_classes, numbers
from optimizers.errors import DataRefused
from optimizers.records import Task

if TYPE_CHECKING:
    import numpy as np


def is_one_hot(labels: np.ndarray) -> bool:
    """Whether numbers are 0 but for a single 1 along the last dimension, which has at least two places."""
    import numpy as np

    if labels.ndim < 2 or labels.shape[-1] < 2 or labels.dtype.kind not in "biuf":
        return False
    return bool(np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis=-1) == 1))


def read_arrays(
    labels: np.ndarray, name: str, task: Task | None, *, ranked: bool = False, columns: tuple[str, ...] = ()
) -> Targets:
    """Labels of shape (n, ...), no dimension of length 1 among the further ones; see `targets.read_targets`."""
    import numpy as np

    if labels[:1].size == 0:
        raise DataRefused(
            f"{name} has labels of shape {labels.shape[1:]}, which are empty; save at least one for each example.",
            code="bad-labels",
        )
    if task in ("classification", "binary"):
        raise DataRefused(
            f"{name} has {labels[0].size} numbers per example that are not one-hot; for one class per example save one "
            "number, else leave task out.",
            code="bad-labels",
        )
    if labels.dtype.kind in "SU":
        if task not in (None, "segmentation"):
            raise DataRefused(f"{name} holds words, not numbers; save numbers.", code="bad-labels")
        named = named_classes(labels.reshape(-1), name, ())
        return Targets(_small(named.y).reshape(labels.shape), "segmentation", named.classes, named.notes)
    if task != "regression" and task != "multilabel" and labels.ndim > 2 and is_one_hot(labels):
        note = "One-hot labels were turned into class numbers, position by position."
        return _classes(labels.argmax(axis=-1), name, (note,))
    if task == "regression" or not _whole(labels):
        if task not in (None, "regression"):
            raise DataRefused(f"{name} holds numbers that are not whole, so they are no classes.", code="bad-labels")
        return numbers(labels, name, ())
    present = np.unique(labels)
    check_count(min(2, len(present)), name)
    truth_values = present[0] == 0 and present[-1] == 1
    if task == "multilabel" or (truth_values and task is None and labels.ndim == 2):
        return _several(labels, name, columns, task)
    mask = labels.ndim > 2
    if ranked or task == "segmentation" or _is_pair(present, mask):
        found = read_classes(labels, name, ranked=ranked, mask=mask)
    else:
        found = Targets(_small(labels), *_numbers_or_classes(labels, present))
    far, others = far_labels(present)
    return replace(found, far=far, others=others, different=len(present))


def read_classes(labels: np.ndarray, name: str, *, ranked: bool, mask: bool) -> Targets:
    """Numbers in any shape as classes of positions; two in a mask, such as 0 and 255, are the classes 0 and 1.

    Raises:
        DataRefused: Numbers that are not whole or no class numbers, or a single one.
    """
    import numpy as np

    if not _whole(labels):
        raise DataRefused(f"{name} holds numbers that are not whole, so they are no classes.", code="bad-labels")
    present = np.unique(labels)
    if ranked or _is_pair(present, mask):
        note = f"Labels in ascending order are the classes 0, 1, 2 and so on: {', '.join(f'{v:g}' for v in present)}."
        return _classes(np.searchsorted(present, labels), name, (note,), tuple(f"{v:g}" for v in present))
    return _classes(labels, name, ())


def _is_pair(present: np.ndarray, mask: bool) -> bool:
    """Whether these are the two numbers of a mask, other than 0 and 1."""
    return mask and len(present) == 2 and (present[0] != 0 or present[1] != 1)


def _numbers_or_classes(
    labels: np.ndarray, present: np.ndarray
) -> tuple[Task, tuple[str, ...], tuple[str, ...], tuple[Task, ...]]:
    """Task, classes, notes and alternatives of whole numbers."""
    if present[0] < 0 or present[-1] >= MAX_CLASSES:
        return "regression", (), (), ()
    if labels.dtype.kind == "f" and present[-1] > 1:
        return "regression", (), (), ("segmentation",)
    return "segmentation", numbered(int(present[-1]) + 1), (), ("regression",)


def numbered(count: int) -> tuple[str, ...]:
    """Names of classes that have none."""
    return tuple(map(str, range(count)))


def _several(labels: np.ndarray, name: str, columns: tuple[str, ...], task: Task | None) -> Targets:
    import numpy as np

    if labels.ndim > 2:
        raise DataRefused(
            f"{name} has labels of shape {labels.shape[1:]}; several labels per example are a row of 0 and 1.",
            code="bad-labels",
        )
    if not np.all((labels == 0) | (labels == 1)):
        raise DataRefused(f"{name} holds other numbers than 0 and 1; save a row of these.", code="bad-labels")
    width = labels.shape[1]
    if width > MAX_CLASSES and task is not None:
        raise DataRefused(f"{name} has {width} labels per example, more than {MAX_CLASSES}.", code="bad-labels")
    names = columns or numbered(width)
    share = labels.mean(axis=0)
    same = [title for title, part in zip(names, share, strict=True) if part in (0, 1)]
    notes = (f"Labels that are the same in every example: {', '.join(same[:12])}.",) if same else ()
    return Targets(_small(labels), "multilabel", names, notes, () if task else ("segmentation", "regression"))


def _classes(labels: np.ndarray, name: str, notes: tuple[str, ...], names: tuple[str, ...] = ()) -> Targets:
    import numpy as np

    low, high = labels.min(), labels.max()
    if low < 0 or high >= MAX_CLASSES:
        raise DataRefused(
            f"{name} holds the label {low if low < 0 else high:g}; number the classes 0, 1, 2 and so on, at most "
            f"{MAX_CLASSES - 1}, or choose labels=ranked.",
            code="bad-labels",
        )
    check_count(len(np.unique(labels)), name)
    return Targets(_small(labels), "segmentation", names or numbered(int(high) + 1), notes)


def _whole(labels: np.ndarray) -> bool:
    import numpy as np

    with np.errstate(over="ignore"):  # the bound is beyond half precision
        return labels.dtype.kind in "biu" or bool(np.all(labels == np.floor(labels)) and np.all(np.abs(labels) < 2**31))


def _small(labels: np.ndarray) -> np.ndarray:
    """Whole numbers in few bytes: masks are many of them."""
    import numpy as np

    low, high = labels.min(), labels.max()
    if low >= 0 and high < 256:
        return labels.astype(np.uint8)
    return labels.astype(np.int32 if low >= -(2**31) and high < 2**31 else np.float32)
