"""A few examples of a data set as plain JSON, for pages. They always come from the training part.

The dictionary has a ``kind``:

- ``images``: ``images`` (each h x w or h x w x channels, as nested lists), ``labels``, and ``masks`` (addresses of
  pictures) where every pixel has a class.
- ``sequences``: ``columns``, ``windows`` (each steps x columns), ``labels``.
- ``table``: ``columns``, ``rows``; the target is the last column.
- ``none``: examples of another shape.

Where there are several inputs, one that can be shown is, and ``input`` tells which.

``sequences`` and ``table`` show raw values. Where the data set scales them, ``encoding`` has one entry per input
feature, in the model's order: ``name``, ``column``, ``mean``, ``std``, and ``category`` if it is one-hot. A raw value
becomes ``(value - mean) / std``; a one-hot feature is 1 where the column has that category, else 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optimizers.datasets.shaping import COLOURS, is_plain_image

if TYPE_CHECKING:
    import numpy as np

    from optimizers.declarations import Part
    from optimizers.records import Target

EXAMPLES = 10
_FEW = 3


def images(x: np.ndarray, y: np.ndarray, classes: Sequence[str], examples: int = EXAMPLES) -> dict[str, Any]:
    """Up to ``examples`` images of different classes. ``x`` has shape (n, h, w) or (n, h, w, channels)."""
    rows = varied(y, examples, classes)
    plain = x[..., 0] if x.ndim == 4 and x.shape[-1] == 1 else x
    shown = {"kind": "images", "images": [listed(plain[row]) for row in rows]}
    if classes and y.ndim == 3:
        from optimizers.datasets.pictures import mask_picture

        masks = [mask_picture(y[row], len(classes)) for row in rows]
        return {**shown, "labels": [""] * len(rows), "masks": masks}
    return {**shown, "labels": _labels(y, rows, classes)}


def sequences(
    x: np.ndarray, y: np.ndarray, classes: Sequence[str], columns: Sequence[str], examples: int = 2
) -> dict[str, Any]:
    """A few sequences of different classes. ``x`` has shape (n, steps, columns)."""
    rows = varied(y, examples, classes)
    return {
        "kind": "sequences",
        "columns": list(columns),
        "windows": [listed(x[row]) for row in rows],
        "labels": _labels(y, rows, classes),
    }


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Rows of raw values, the target last."""
    return {"kind": "table", "columns": list(columns), "rows": [list(row) for row in rows]}


def of_part(train: Part, classes: Sequence[str], targets: Sequence[Target] = ()) -> dict[str, Any]:
    """Examples as images, sequences or rows, by their shape: (h, w) of similar size are taken for an image.

    Args:
        train: Examples and labels.
        classes: Names of the classes, if labels are such.
        targets: What is known of the labels of each of several outputs.
    """
    if targets:
        return _of_outputs(train, targets)
    if train.x.dtype.names:
        return _of_one_input(train, classes)
    shape = train.x.shape[1:]
    if max(shape, default=0) > 1024:
        return {"kind": "none"}
    if (len(shape) == 3 and shape[-1] in COLOURS) or is_plain_image(shape):
        return images(train.x, train.y, classes)
    if len(shape) == 2:
        return sequences(train.x, train.y, classes, [f"feature {i + 1}" for i in range(shape[1])])
    if len(shape) == 1:
        rows = varied(train.y, 6, classes)
        titles = [*(f"feature {i + 1}" for i in range(shape[0])), "target"]
        labels = _labels(train.y, rows, classes)
        return table(titles, [[*listed(train.x[row]), label] for row, label in zip(rows, labels, strict=True)])
    return {"kind": "none"}


def _of_outputs(train: Part, targets: Sequence[Target]) -> dict[str, Any]:
    """Examples that differ in the labels of the first output, each with those of all."""
    import numpy as np

    first = targets[0]
    y = train.y[first.name]
    rows = varied(y, EXAMPLES, first.classes if y.ndim == 1 else ())
    labels = [by_name(train.y[row], targets) for row in rows]
    numbers = np.arange(len(rows))
    return of_part(replace(train, x=train.x[rows], y=numbers), labels)


def by_name(labels: np.ndarray, targets: Sequence[Target]) -> str:
    """The labels of one example, one record, in a few words: what each output is to say."""
    return ", ".join(f"{one.name} {worded(labels[one.name], one.classes)}" for one in targets)


def worded(label: Any, classes: Sequence[str]) -> str:
    """The label of one output in a few words."""
    if getattr(label, "ndim", 0):
        return told(label, classes)
    return classes[int(label)] if classes else f"{float(label):.4g}"


def _of_one_input(train: Part, classes: Sequence[str]) -> dict[str, Any]:
    """Of several inputs the first that is shown as images, else as sequences, else as rows."""
    names = train.x.dtype.names or ()
    shown = [{**of_part(replace(train, x=train.x[name]), classes), "input": name} for name in names]
    ranked = [preview for kind in ("images", "sequences", "table") for preview in shown if preview["kind"] == kind]
    return ranked[0] if ranked else {"kind": "none"}


def varied(y: np.ndarray, examples: int, classes: Sequence[str]) -> list[int]:
    """Row numbers of the first examples, class by class; without classes, rows spread from low to high targets.

    Where a label is several numbers, rows are spread from those of low to those of high ones.
    """
    import numpy as np

    if y.ndim > 1:
        y, classes = y.reshape(len(y), -1).sum(axis=1, dtype=np.float64), ()
    if not classes:
        order = np.argsort(y, kind="stable")
        return [int(order[i]) for i in np.linspace(0, len(y) - 1, min(examples, len(y))).astype(int)]
    per_class = [np.flatnonzero(y == number).tolist() for number in range(min(len(classes), examples))]
    chosen: list[int] = []
    while len(chosen) < examples and any(per_class):
        for rows in per_class:
            if rows and len(chosen) < examples:
                chosen.append(rows.pop(0))
    return chosen


def listed(values: np.ndarray) -> Any:
    """Nested lists of numbers with six significant digits: more is not to be seen on a page."""
    import numpy as np

    return np.vectorize(lambda v: float(f"{v:.6g}"), otypes=[float])(values).tolist() if values.size else []


def _labels(y: np.ndarray, rows: list[int], classes: Sequence[str]) -> list[Any]:
    if y.ndim > 1:
        return [told(y[row], classes) for row in rows]
    return [classes[int(y[row])] if classes else float(f"{y[row]:.6g}") for row in rows]


def told(label: np.ndarray, classes: Sequence[str]) -> str:
    """A label of several numbers in a few words: what is true, the classes that positions have, or the numbers."""
    import numpy as np

    flat = label.reshape(-1)
    if not flat.size:
        return ""
    if not classes:
        return ", ".join(f"{v:.3g}" for v in flat[:_FEW]) + (" …" if flat.size > _FEW else "")
    if label.ndim == 1 and len(classes) == len(label) and flat.max() <= 1 and flat.min() >= 0:
        return ", ".join(name for name, true in zip(classes, flat, strict=True) if true) or "none"
    flat = flat[flat >= 0]
    if not flat.size:
        return "none counts"
    shares = np.bincount(flat.astype(np.int64), minlength=len(classes)) / flat.size
    order = [int(i) for i in np.argsort(-shares, kind="stable") if shares[i]]
    more = " …" if len(order) > _FEW else ""
    return ", ".join(f"{classes[i]}: {shares[i]:.0%}" for i in order[:_FEW]) + more
