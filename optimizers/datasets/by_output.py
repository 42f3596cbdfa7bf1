"""Labels of several outputs: each is read by the rules of a single one, and keeps its name.

They are kept in one array with a field for each (`optimizers.datasets.several`), so that whatever picks or counts rows
need not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizers.datasets import several
from optimizers.datasets.not_judged import holds
from optimizers.datasets.targets import Targets, read_targets
from optimizers.errors import DataRefused
from optimizers.kinds import KINDS
from optimizers.records import InputRange, Target, Task

if TYPE_CHECKING:
    import numpy as np

BANDS = 4
"""Into how many bands numbers fall for a division: few, so that other outputs can be heeded as well."""
_LEAST_ENTROPY = 0.1
_FEWEST_ALIKE = 5
"""A division heeds a further output's labels where every combination with those before has so many examples."""


def value_range(x: np.ndarray) -> InputRange:
    """From the lowest to the highest number."""
    return InputRange(low=float(x.min()), high=float(x.max()), whole=x.dtype.kind in "biu")


def target(name: str, targets: Targets) -> Target:
    """What is known of the labels of one output."""
    import numpy as np

    several_numbers = targets.y.ndim > 1
    return Target(
        name=name,
        task=targets.task,
        classes=targets.classes,
        n_labels=int((np.unique(targets.y) >= 0).sum()) if targets.classes else targets.different,
        label_shape=targets.y.shape[1:] if several_numbers else (),
        label_values=value_range(targets.y) if several_numbers else None,
        alternatives=targets.alternatives,
        far_labels=targets.far,
    )


def read(labels: np.ndarray, where: str, *, ranked: bool, ignore: str = "") -> Targets:
    """The labels of every output, understood.

    Args:
        labels: Shape (n,), with one field for each output.
        where: What people call the file.
        ranked: Whole numbers are classes in ascending order, whatever they are.
        ignore: Labels of positions that are not judged, for outputs that have labels of positions.

    Raises:
        DataRefused: As `targets.read_targets`, about the labels of one output; or no output has labels of positions.
    """
    names = labels.dtype.names or ()
    ignoring = {name for name in names if ignore and _ignores(labels[name], ignore)}
    if ignore and not ignoring:
        raise DataRefused(
            f"No output in {where} has labels of positions, such as masks or tags, of which some are {ignore}; "
            "leave ignore out.",
            code="bad-labels",
        )
    found, notes = {}, []
    for name in names:
        own = labels[name]
        found[name] = read_targets(
            own, f"y_{name} in {where}", ranked=ranked and own.dtype.kind in "iu",
            ignore=ignore if name in ignoring else "",
        )  # fmt: skip
        notes += [f"{name}: {note}" for note in found[name].notes]
    y = several.named({name: told.y for name, told in found.items()})
    each = tuple(target(name, told) for name, told in found.items())
    return Targets(y, "several", (), tuple(notes), each=each)


def _ignores(labels: np.ndarray, ignore: str) -> bool:
    """Whether labels of one output are of positions; those in rows may mean else, unless some are to be ignored."""
    return labels.ndim > 2 or (labels.ndim == 2 and holds(labels, ignore))


def of_one(targets: Targets, one: Target) -> Targets:
    """The same with the labels of one output only."""
    return Targets(targets.y[one.name], one.task, one.classes, (), one.alternatives)


def check_parts(labels: list[np.ndarray], name: str) -> None:
    """Raises `DataRefused` where the parts have labels for different outputs, or labels that differ in shape."""
    outputs = [set(y.dtype.names or ()) for y in labels]
    if any(own != outputs[0] for own in outputs):
        lacking = {one for own in outputs for other in outputs for one in own ^ other}
        told = ", ".join(sorted(lacking)) or "one of them"
        raise DataRefused(
            f"Not every part of {name} has labels for the output {told}; save y_train_NAME, y_val_NAME and y_test_NAME "
            "for the same outputs.",
            code="bad-labels",
        )


def strata(each: list[np.ndarray]) -> np.ndarray:
    """What a division keeps in proportion, shape (n,): combinations of all outputs' strata, as far as there are enough.

    Args:
        each: For every output what a division by it alone would keep in proportion, shape (n,).
    """
    import numpy as np

    together = np.zeros(len(each[0]), np.int64)
    for own in each:
        _, number = np.unique(own, return_inverse=True)
        finer = np.unique(together * (number.max() + 1) + number.reshape(-1), return_inverse=True)[1].reshape(-1)
        if np.bincount(finer).min() >= _FEWEST_ALIKE or not together.any():
            together = finer
    return together


def constant_loss(y: np.ndarray, task: Task) -> float:
    """The loss of whoever always gives the same best answer for the labels of one output, shape (n, ...); above 0.

    That is the entropy of the classes in nats (the mean over labels where there are several), or the mean variance of
    the numbers. Labels that are nearly always the same count as if they had an entropy of 0.1, so that their few others
    do not outweigh everything else.
    """
    import numpy as np

    if not KINDS[task].decides:
        return float(y.reshape(len(y), -1).var(axis=0, dtype=np.float64).mean()) or 1.0
    if task == "multilabel":
        true = y.mean(axis=0, dtype=np.float64)
        shares = np.stack([true, 1 - true])
    else:
        counted = y[y >= 0].astype(np.int64)
        shares = np.bincount(counted)[:, None] / counted.size
    entropy = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=0)
    return max(_LEAST_ENTROPY, float(entropy.mean()))
