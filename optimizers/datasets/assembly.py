"""From examples as a file has them to a data set: labels understood, three parts, what people should know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optimizers.datasets import by_output, previews, several, splits
from optimizers.datasets.by_output import value_range
from optimizers.datasets.preparation import NOTHING, Preparation
from optimizers.datasets.tables import is_number
from optimizers.datasets.targets import Targets, read_targets
from optimizers.declarations import Dataset, Part, RawData
from optimizers.errors import DataRefused
from optimizers.records import DatasetSummary

if TYPE_CHECKING:
    import numpy as np

MIN_EXAMPLES = 10
_SHORT = 512
"""Most bytes of an example that are hashed column by column."""

_BY_RAREST = ("multilabel", "segmentation")


def assembled(raw: RawData, name: str, preparation: Preparation = NOTHING) -> Dataset:
    """The data set. A missing part is split off from the training part, every class in proportion, always alike.

    Args:
        raw: With at least a ``train`` part; either all parts have labels or none has.
        name: What people call the data, for messages.
        preparation: Its task and class numbers say what the labels are; otherwise found out, see `targets`.

    Raises:
        DataRefused: Examples or labels of the parts differ in kind, labels that cannot be understood, too few examples.
    """
    import numpy as np

    shapes = {part: _shapes(raw_part.x) for part, raw_part in raw.parts.items()}
    if any(shape != shapes["train"] for shape in shapes.values()):
        told = ", ".join(f"{raw.parts[part].title} {shape}" for part, shape in shapes.items())
        raise DataRefused(f"The examples in {name} differ in shape: {told}; make them alike.", code="shapes-differ")
    labels = [part.labels for part in raw.parts.values() if part.labels is not None]
    if not labels:
        return _without_labels(raw, name)
    ranked = preparation.labels == "ranked"
    if any(y.dtype.names for y in labels):
        by_output.check_parts(labels, name)
    for one in labels[0].dtype.names or ("",):
        _check_alike([y[one] if one else y for y in labels], f" y_{one}" if one else "", name)
    if labels[0].dtype.names:
        if preparation.known_task is not None:
            raise DataRefused(
                f"{name} has labels for several outputs, each with a task of its own; leave task out.",
                code="bad-preparation",
            )
        targets = by_output.read(np.concatenate(labels), name, ranked=ranked, ignore=preparation.ignore)
        return _with_all_parts(_with_labels(raw, targets), targets, raw, name)
    targets = read_targets(
        np.concatenate(labels),
        raw.labels_title,
        preparation.known_task,
        ranked=ranked,
        columns=raw.targets,
        ignore=preparation.ignore,
    )
    return _with_all_parts(_with_labels(raw, targets), targets, raw, name)


def _check_alike(labels: list[np.ndarray], which: str, name: str) -> None:
    kinds = {"words" if y.dtype.kind in "SU" else "numbers" for y in labels}
    if len(kinds) > 1 or len({y.shape[1:] for y in labels}) > 1:
        raise DataRefused(
            f"The labels{which} of the parts of {name} differ in kind or shape; make them alike.", code="bad-labels"
        )


def _with_labels(raw: RawData, targets: Targets) -> dict[str, Part]:
    import numpy as np

    ends = np.cumsum([len(part.x) for part in raw.parts.values()])
    ys = np.split(targets.y, ends[:-1])
    return {name: Part(part.x, y) for (name, part), y in zip(raw.parts.items(), ys, strict=True)}


def _without_labels(raw: RawData, name: str) -> Dataset:
    import numpy as np

    count = sum(len(part.x) for part in raw.parts.values())
    note = (
        f"{name} has no labels: steps that train learn what the original answers, and what is measured is how close a "
        "variant's answers are to it, or, where a model gives back its input, how well it does."
    )
    targets = Targets(np.zeros((count, 0), np.float32), "fidelity", (), (note,))
    return _with_all_parts(_with_labels(raw, targets), targets, raw, name)


def _with_all_parts(given: Mapping[str, Part], targets: Targets, raw: RawData, name: str) -> Dataset:
    import numpy as np

    _check_enough(targets, name)
    notes = (*raw.notes, *targets.notes, *_far(targets))
    missing = [part for part in ("validation", "test") if part not in given]
    parts = dict(given)
    if missing:
        whole = given["train"]
        validation = splits.VALIDATION_SHARE if "validation" in missing else 0
        test = splits.TEST_SHARE if "test" in missing else 0
        split = splits.stratified(_strata(whole.y, targets), validation=validation, test=test)
        pieces = zip(("train", "validation", "test"), split, strict=True)
        parts |= {part: Part(whole.x[rows], whole.y[rows]) for part, rows in pieces if part in ("train", *missing)}
        told = " and ".join(f"{len(parts[part])} for {'the test' if part == 'test' else part}" for part in missing)
        absent = f"The file has no {' and no '.join(missing)} part"
        notes = (*notes, f"{absent}: {told} were set aside, {_kept(targets)}, always the same.")
    repeated = _repeated(parts["train"].x, parts["test"].x)
    if repeated:
        share = f"{repeated} of {len(parts['test'])} test examples"
        notes = (*notes, f"{share} are also in the training part, which makes the test too easy.")
    tested = parts["test"].y
    for one in tested.dtype.names or ("",):
        alike = _constant(tested[one] if one else tested, raw.targets)
        notes = (*notes, *(f"{one}: {note}" if one else note for note in alike))
    train, values, several_numbers = parts["train"], None, targets.y.ndim > 1 and targets.task != "fidelity"
    inputs = several.inputs_of(train.x)
    if not inputs:
        values = value_range(train.x)
        notes = (*notes, f"The values in the file go from {values.low:g} to {values.high:g}.")
    summary = DatasetSummary(
        task=targets.task,
        input_shape=inputs[0].shape if inputs else train.x.shape[1:],
        input_dtype=inputs[0].dtype if inputs else str(train.x.dtype),
        inputs=inputs,
        n_train=len(train),
        n_validation=len(parts["validation"]),
        n_test=len(parts["test"]),
        classes=targets.classes,
        features=raw.features,
        values=values,
        n_labels=int((np.unique(targets.y) >= 0).sum()) if targets.classes else targets.different,
        label_shape=targets.y.shape[1:] if several_numbers else (),
        label_values=value_range(targets.y) if several_numbers else None,
        alternatives=targets.alternatives,
        far_labels=targets.far,
        other_labels=targets.others,
        targets=targets.each,
        source=name,
        notes=notes,
        preview=dict(raw.preview) or previews.of_part(train, targets.classes, targets.each),
    )
    return Dataset(train, parts["validation"], parts["test"], summary)


def _kept(targets: Targets) -> str:
    """What a division keeps in proportion, in words."""
    if targets.task == "fidelity":
        return "picked at random"
    if targets.each:
        return "labels of all outputs in proportion as far as there are enough examples"
    if targets.task in _BY_RAREST:
        return f"rare {'labels' if targets.task == 'multilabel' else 'classes'} in proportion"
    return "every class in proportion" if targets.classes else "small and large targets in proportion"


def _constant(y: np.ndarray, columns: tuple[str, ...]) -> tuple[str, ...]:
    """What figures leave out: numbers to estimate that are the same in every test example."""
    import numpy as np

    if y.ndim != 2 or y.dtype.kind != "f" or y.shape[1] < 2:
        return ()
    alike = np.flatnonzero(np.ptp(y, axis=0) == 0)
    if not len(alike):
        return ()
    named = ", ".join(columns[i] if columns else str(i + 1) for i in alike[:12]) + (" …" if len(alike) > 12 else "")
    return (f"The same in every test example, and left out of R²: number {named} of {y.shape[1]}.",)


def _far(targets: Targets) -> tuple[str, ...]:
    """What may be meant by a label that is far from the others."""
    if not targets.far or "segmentation" not in (targets.task, *targets.alternatives):
        return ()
    return (
        f"The label {targets.far.replace(',', ' and ')} is far from the others; if it marks positions that do not "
        f"count, prepare the data with ignore={targets.far}.",
    )


def _shapes(x: np.ndarray) -> object:
    """Shape of an example, of every input by its name where there are several."""
    return {spec.name: spec.shape for spec in several.inputs_of(x)} or x.shape[1:]


def _strata(y: np.ndarray, targets: Targets, bands: int = 10) -> np.ndarray:
    """What a division keeps in proportion: classes, bands of numbers, or nothing where there are no labels.

    Of several labels or positions an example counts for its rarest one, and of several numbers for their mean.
    """
    import numpy as np

    if targets.each:
        return by_output.strata(
            [_strata(y[one.name], by_output.of_one(targets, one), by_output.BANDS) for one in targets.each]
        )
    if targets.task == "fidelity":
        return np.zeros(len(y))
    if targets.task in _BY_RAREST:
        return splits.rarest(y if targets.task == "multilabel" else splits.present(y, len(targets.classes)))
    if y.ndim > 1:
        flat = y.reshape(len(y), -1).astype(np.float64)
        y = (flat / np.maximum(flat.std(axis=0), 1e-12)).mean(axis=1)
    return y if targets.classes else splits.target_bands(y, bands)


def _check_enough(targets: Targets, name: str) -> None:
    import numpy as np

    if len(targets.y) < MIN_EXAMPLES:
        raise DataRefused(f"{name} has {len(targets.y)} examples; at least {MIN_EXAMPLES} are needed.", code="too-few")
    for one in targets.each:
        _check_enough(by_output.of_one(targets, one), f"{name} (y_{one.name})")
    if targets.classes and targets.y.ndim == 1:
        counts = np.bincount(targets.y)
        alone = np.flatnonzero(counts == 1)
        if len(alone):
            numbered = all(map(is_number, targets.classes))
            raise DataRefused(
                f"{name} has one example of class {targets.classes[alone[0]]!r}; every class needs at least two"
                f"{'; if its labels are numbers to estimate, add task=regression' if numbered else ''}.",
                code="lone-class" if numbered else "too-few",
            )


def _repeated(train: np.ndarray, test: np.ndarray) -> int:
    """How many test examples are, byte for byte, also in train."""
    import numpy as np

    return int(np.isin(_hashes(test), _hashes(train)).sum())


def _hashes(x: np.ndarray) -> np.ndarray:
    """A number of 64 bits for the bytes of each example, shape (n,); rows of tables, which are many, all at once."""
    import numpy as np

    width = x[:1].nbytes
    if width > _SHORT or width % 4:
        return np.fromiter((hash(row.tobytes()) for row in x), np.int64, len(x))
    words = np.ascontiguousarray(x).view(np.uint8).reshape(len(x), width).view(np.uint32)
    state = np.zeros(len(x), np.uint64)
    for column in words.T:  # multiply and fold, as in the finalizer of SplitMix64
        state = (state ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(29)
    return state
