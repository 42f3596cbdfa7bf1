"""Finds out what is to be predicted from the labels alone.

| one label per example | task |
|---|---|
| words or true/false | classes in alphabetical order |
| one-hot rows | classes, numbered by column |
| whole numbers, at most 20 different, or numbered 0, 1, 2 … without a gap | classes, numbered as they are |
| whole numbers otherwise | regression |
| 0.0 and 1.0 only | two classes |
| other decimal numbers | regression |

Two classes make a ``binary`` task, more a ``classification``. Several numbers per example are read by
`optimizers.datasets.target_arrays`. Whoever knows better names the task.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optimizers.errors import DataRefused
from optimizers.records import Target, Task

if TYPE_CHECKING:
    import numpy as np

FEW = 20
MAX_CLASSES = 1000
MAX_NAME_LENGTH = 200


@dataclass(frozen=True)
class Targets:
    """Labels in the form that parts have: ``y`` is int64 class numbers or float32, shape (n,).

    Where a label is several numbers ``y`` has shape (n, ...), uint8, int32 or float32, and ``alternatives`` tells what
    else than ``task`` they may be: the model's outputs decide. ``far`` are labels that may mark positions that do not
    count, see `optimizers.datasets.not_judged`, ``others`` is 1 more than the highest other one, and ``different`` how
    many labels occur. Labels of several outputs have one field each, and ``each`` tells of them.
    """

    y: np.ndarray
    task: Task
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alternatives: tuple[Task, ...] = ()
    far: str = ""
    others: int = 0
    different: int = 0
    each: tuple[Target, ...] = ()


def read_targets(
    labels: np.ndarray,
    name: str,
    task: Task | None = None,
    *,
    ranked: bool = False,
    columns: tuple[str, ...] = (),
    ignore: str = "",
) -> Targets:
    """The labels, understood.

    Args:
        labels: Shape (n,), or (n, ...) where a label is several numbers; numbers without NaN, or words.
        name: Of the array or column, for messages.
        task: What the labels are, if known: ``classification`` and ``binary`` ask for a class of each example,
            ``multilabel`` for several truth values, ``segmentation`` for classes of positions, ``regression`` for
            numbers.
        ranked: Whole numbers that occur are classes 0, 1, 2 and so on in ascending order, whatever they are.
        columns: What the numbers of a label are called, where that is known.
        ignore: Labels of positions that are not judged, with commas between them.

    Raises:
        DataRefused: Labels that are neither classes nor numbers, negative class numbers, or a single class.
    """
    from optimizers.datasets.not_judged import read_judged
    from optimizers.datasets.target_arrays import is_one_hot, read_arrays

    notes: tuple[str, ...] = ()
    if labels.ndim > 1:
        labels = labels.reshape(len(labels), *(length for length in labels.shape[1:] if length != 1))
    if ignore:
        return read_judged(labels, name, task, ignore, ranked=ranked)
    one_class = task in (None, "classification", "binary")
    if labels.ndim == 2 and one_class and is_one_hot(labels):
        labels, notes = labels.argmax(axis=1), ("One-hot labels were turned into class numbers.",)
    elif labels.ndim == 1 and task in ("multilabel", "segmentation"):
        raise DataRefused(
            f"{name} has one label per example, not several; leave task out, or save an array of all labels.",
            code="bad-labels",
        )
    if labels.ndim > 1:
        return read_arrays(labels, name, task, ranked=ranked, columns=columns)
    if labels.dtype.kind in "SU" or labels.dtype.kind == "b":
        if task == "regression":
            raise DataRefused(f"{name} holds words, not numbers to estimate; save numbers.", code="bad-labels")
        return named_classes(labels, name, notes)
    if ranked:
        return _ranked_classes(labels, name, notes)
    if task == "regression" or (task is None and not _are_classes(labels)):
        found = numbers(labels, name, notes)
        if task is None and (different := _whole(labels)):  # classes saved as decimal numbers, perhaps
            found = replace(found, alternatives=("classification",), different=different)
        return found
    return _numbered_classes(labels, name, notes)


def _whole(labels: np.ndarray) -> int:
    """How many different whole numbers there are; 0 if they are many, or some are not whole."""
    import numpy as np

    different = np.unique(labels)
    return len(different) if len(different) <= FEW and bool(np.all(different == np.floor(different))) else 0


def _are_classes(labels: np.ndarray) -> bool:
    import numpy as np

    different = np.unique(labels)
    if labels.dtype.kind == "f":
        return bool(np.all((different == 0) | (different == 1)))
    without_gap = different[0] == 0 and different[-1] == len(different) - 1
    return len(different) <= FEW or bool(without_gap and len(different) <= MAX_CLASSES)


def named_classes(labels: np.ndarray, name: str, notes: tuple[str, ...]) -> Targets:
    """Words or truth values of any shape as classes in alphabetical order; ``y`` has shape (n,). Raises as above."""
    import numpy as np

    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", errors="replace")
    longest = int(np.char.str_len(labels).max()) if labels.dtype.kind == "U" else 0
    if longest > MAX_NAME_LENGTH:
        raise DataRefused(
            f"{name} holds a text of {longest:,} characters, more than the name of a class may have "
            f"({MAX_NAME_LENGTH}); give shorter names or numbers.",
            code="bad-labels",
        )
    different, y = np.unique(labels, return_inverse=True)
    classes = tuple(str(word) for word in different)
    check_count(len(classes), name)
    if labels.dtype.kind != "b":
        notes = (*notes, f"Classes are numbered in alphabetical order: {first(classes)}.")
    return Targets(y.reshape(-1).astype(np.int64), _task_of(classes), classes, notes)


def _numbered_classes(labels: np.ndarray, name: str, notes: tuple[str, ...]) -> Targets:
    import numpy as np

    if labels.dtype.kind == "f" and np.any(labels != np.floor(labels)):
        raise DataRefused(f"{name} holds numbers that are not whole, so they are no class numbers.", code="bad-labels")
    low, high = labels.min(), labels.max()
    if low < 0:
        raise DataRefused(
            f"{name} holds the label {low:g}; number the classes 0, 1, 2 and so on, or choose labels=ranked.",
            code="numbered-otherwise",
        )
    if high >= MAX_CLASSES:
        raise DataRefused(
            f"{name} holds the label {high:g}; number the classes 0, 1, 2 and so on, at most {MAX_CLASSES - 1}, or "
            "choose labels=ranked.",
            code="numbered-otherwise",
        )
    y = labels.astype(np.int64)
    present = np.unique(y)
    check_count(len(present), name)
    classes = tuple(str(number) for number in range(int(high) + 1))
    absent = tuple(str(number) for number in sorted(set(range(int(high))) - set(present.tolist())))
    if absent:
        notes = (*notes, f"No example has the label {first(absent)}.")
    return Targets(y, _task_of(classes), classes, notes)


def _ranked_classes(labels: np.ndarray, name: str, notes: tuple[str, ...]) -> Targets:
    import numpy as np

    if labels.dtype.kind == "f" and np.any(labels != np.floor(labels)):
        raise DataRefused(f"{name} holds numbers that are not whole, so they are no class numbers.", code="bad-labels")
    different, y = np.unique(labels, return_inverse=True)
    check_count(len(different), name)
    classes = tuple(str(int(number)) for number in different)
    notes = (*notes, f"Labels in ascending order are the classes 0, 1, 2 and so on: {first(classes)}.")
    return Targets(y.reshape(-1).astype(np.int64), _task_of(classes), classes, notes)


def numbers(labels: np.ndarray, name: str, notes: tuple[str, ...]) -> Targets:
    """Numbers to estimate, float32 in their shape. Raises as above."""
    import numpy as np

    with np.errstate(over="ignore"):
        y = labels.astype(np.float32)
    if not np.isfinite(y).all():
        raise DataRefused(f"{name} holds numbers beyond the range of float32; scale them.", code="not-finite")
    if len(np.unique(y)) < 2:
        raise DataRefused(f"All values of {name} are equal; there is nothing to learn.", code="bad-labels")
    return Targets(y, "regression", (), notes)


def check_count(classes: int, name: str) -> None:
    """Raises `DataRefused` unless there are at least two classes, and not very many."""
    if classes < 2:
        raise DataRefused(f"All labels in {name} are equal; data of at least two classes is needed.", code="bad-labels")
    if classes > MAX_CLASSES:
        raise DataRefused(
            f"{name} holds {classes} different labels, more than {MAX_CLASSES}; name the column or array of classes.",
            code="bad-labels",
        )


def _task_of(classes: tuple[str, ...]) -> Task:
    return "binary" if len(classes) == 2 else "classification"


def first(words: tuple[str, ...], most: int = 12) -> str:
    """The first of some words, and how many more there are."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
