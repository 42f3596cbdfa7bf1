"""Loads a data file, ``.npz`` or ``.csv``, from wherever it came: a path, or an upload.

``.npz``: arrays ``x_train``, ``y_train`` and, if there are any, ``x_validation`` (or ``x_val``), ``x_test`` with their
``y_…``; or just ``x`` and ``y``. Without any ``y`` the examples have no labels. Capitals do not matter. ``.csv``: see
`csv_tables`. Which task the labels mean: see `targets`. A missing part is split off from the training part, every class
in proportion, always alike.

Numbers are not scaled here: that is what a `Preparation` is for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizers.datasets import previews, splits
from optimizers.datasets.csv_tables import CsvTable, read_table
from optimizers.datasets.npz_arrays import read_arrays
from optimizers.datasets.preparation import NOTHING, Preparation
from optimizers.datasets.tables import encode, learn_features
from optimizers.datasets.targets import Targets, read_targets
from optimizers.declarations import Dataset, Part
from optimizers.errors import DataRefused
from optimizers.records import DatasetSummary, Task

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 1 << 30
MIN_EXAMPLES = 10
_SPELLINGS = {
    "train": ("train",),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
}
_ENDINGS = ("", *(f"_{ending}" for endings in _SPELLINGS.values() for ending in endings))
_WANTED = frozenset(f"{letter}{ending}" for letter in "xy" for ending in _ENDINGS)


def load_file(path: Path, preparation: Preparation = NOTHING, max_bytes: int = MAX_BYTES, name: str = "") -> Dataset:
    """The examples of a file as three parts.

    Args:
        path: An ``.npz`` or ``.csv`` file; its contents decide, not its name.
        preparation: Its ``target`` and ``task`` say what is to be predicted; the rest is done afterwards.
        max_bytes: Larger files are refused.
        name: What people call the file, for messages; its name on disk if left out.

    Returns:
        ``x`` has shape (n, ...), float32, or an integer dtype where the file has integers; ``y`` see `Targets`.

    Raises:
        DataRefused: Says what is wrong where, and what to do about it.
    """
    name = name or path.name
    if not path.is_file():
        raise DataRefused(f"There is no file {name}; check the path.", code="missing-file")
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise DataRefused(f"{name} is empty; choose a file with examples.", code="empty-file")
    if size_bytes > max_bytes:
        raise DataRefused(
            f"{name} has {size_bytes / 2**20:.0f} MiB, more than {max_bytes / 2**20:.0f} MiB; use fewer examples.",
            code="too-large",
        )
    with path.open("rb") as stream:
        start = stream.read(6)
    if start == b"\x93NUMPY":
        raise DataRefused(
            f"{name} holds one array; save examples and labels together with numpy.savez(file, x=..., y=...).",
            code="unknown-format",
        )
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _from_arrays(read_arrays(path, _WANTED, name), name, preparation)
    return _from_table(read_table(path, name, preparation.target), name, preparation.known_task)


def _from_arrays(arrays: dict[str, np.ndarray], name: str, preparation: Preparation) -> Dataset:
    import numpy as np

    if preparation.target:
        raise DataRefused(f"{name} holds arrays, not columns; leave target out.", code="no-column")

    given = _pairs(arrays, name)
    xs = {part: _examples(x, title, name) for part, (title, x, _) in given.items()}
    shapes = {x.shape[1:] for x in xs.values()}
    if len(shapes) > 1:
        told = ", ".join(f"{given[part][0]} {x.shape[1:]}" for part, x in xs.items())
        raise DataRefused(f"The examples in {name} differ in shape: {told}; make them alike.", code="shapes-differ")
    if not _labelled(arrays):
        return _without_labels(xs, name)
    labels = [_labels(y, title.replace("x", "y", 1), name) for title, _, y in given.values()]
    kinds = {"words" if y.dtype.kind in "SU" else "numbers" for y in labels}
    if len(kinds) > 1 or len({y.shape[1:] for y in labels}) > 1:
        raise DataRefused(
            f"The labels of the parts of {name} differ in kind or shape; make them alike.", code="bad-labels"
        )
    targets = read_targets(np.concatenate(labels), f"y in {name}", preparation.known_task)
    ends = np.cumsum([len(x) for x in xs.values()])
    ys = dict(zip(xs, np.split(targets.y, ends[:-1]), strict=True))
    return _with_all_parts({part: Part(xs[part], ys[part]) for part in xs}, targets, name, ())


def _labelled(arrays: dict[str, np.ndarray]) -> bool:
    return any(title.startswith("y") for title in arrays)


def _without_labels(xs: dict[str, np.ndarray], name: str) -> Dataset:
    import numpy as np

    parts = {part: Part(x, np.zeros((len(x), 0), np.float32)) for part, x in xs.items()}
    targets = Targets(np.concatenate([part.y for part in parts.values()]), "fidelity")
    note = (
        f"{name} has no labels: steps that train learn what the original answers, and what is measured is how close a "
        "variant's answers are to it, or, where a model gives back its input, how well it does."
    )
    return _with_all_parts(parts, targets, name, (note,))


def _from_table(table: CsvTable, name: str, task: Task | None) -> Dataset:
    import numpy as np

    targets = read_targets(table.columns[table.target], f"column {table.target!r} of {name}", task)
    columns = {title: values for title, values in table.columns.items() if title != table.target}
    features = learn_features(columns, None, table.categorical)
    x = encode(columns, features)
    too_large = np.flatnonzero(~np.isfinite(x).all(axis=0))
    if len(too_large):
        raise DataRefused(
            f"Column {features[too_large[0]].column!r} of {name} has numbers beyond the range of float32; scale them.",
            code="not-finite",
        )
    notes = table.notes
    if table.categorical:
        notes = (*notes, f"Turned into one-hot columns: {', '.join(table.categorical)}.")
    rows = [[_plain(table.columns[title][row]) for title in (*columns, table.target)] for row in range(min(6, len(x)))]
    preview = previews.table([*columns, table.target], rows)
    preview["encoding"] = [feature.to_dict() for feature in features]
    names = tuple(feature.name for feature in features)
    return _with_all_parts({"train": Part(x, targets.y)}, targets, name, notes, names, preview)


def _pairs(arrays: dict[str, np.ndarray], name: str) -> dict[str, tuple[str, np.ndarray, np.ndarray]]:
    """The arrays by part: name of the examples' array, examples, labels."""
    import numpy as np

    found: dict[str, tuple[str, np.ndarray, np.ndarray]] = {}
    wanted = (("x", "y", "labels"), ("y", "x", "examples")) if _labelled(arrays) else ()
    endings = {part: [f"_{ending}" for ending in spellings] for part, spellings in _SPELLINGS.items()}
    if "x_train" not in arrays:
        endings["train"].append("")
    for part, possible in endings.items():
        present = [ending for ending in possible if f"x{ending}" in arrays or f"y{ending}" in arrays]
        if len(present) > 1:
            told = " and ".join(f"x{ending}" for ending in present)
            raise DataRefused(f"{name} has both {told}; keep one of them.", code="ambiguous-arrays")
        for ending in present:
            for there, absent, what in wanted:
                if f"{absent}{ending}" not in arrays:
                    raise DataRefused(
                        f"{name} has {there}{ending} but no {what}; add an array {absent}{ending}.",
                        code="no-labels" if what == "labels" else "no-examples",
                    )
            x = arrays[f"x{ending}"]
            found[part] = (f"x{ending}", x, arrays.get(f"y{ending}", np.zeros(x.shape[:1])))
    if "train" not in found:
        raise DataRefused(f"{name} has no examples to train on; name its arrays x_train and y_train, or x and y.",
                          code="no-examples")  # fmt: skip
    for title, x, y in found.values():
        label = title.replace("x", "y", 1)
        if x.ndim == 0 or y.ndim == 0:
            raise DataRefused(f"{title} or {label} in {name} is a single value; save arrays.", code="bad-labels")
        if len(x) != len(y):
            raise DataRefused(
                f"{title} in {name} has {len(x)} examples, but {label} has {len(y)} labels; they must be as many.",
                code="lengths-differ",
            )
        if len(x) == 0:
            raise DataRefused(f"{title} in {name} is empty; add examples or leave it out.", code="too-few")
    return found


def _examples(x: np.ndarray, title: str, name: str) -> np.ndarray:
    """Examples as float32, uint8 or int32, of shape (n, ...)."""
    import numpy as np

    if x.dtype.kind not in "biuf":
        raise DataRefused(f"{title} in {name} holds words; save it as numbers.", code="odd-dtype")
    if x.ndim == 1:
        x = x[:, np.newaxis]
    if x[:1].size == 0:
        raise DataRefused(
            f"The examples of {title} in {name} have shape {x.shape[1:]}, which is empty.", code="too-few"
        )
    if x.dtype.kind == "f":
        _check_finite(x, title, name)
        with np.errstate(over="ignore"):
            single = x.astype(np.float32)
        if not np.isfinite(single).all():
            raise DataRefused(
                f"{title} in {name} has numbers beyond the range of float32; scale them.", code="not-finite"
            )
        return single
    if x.dtype == np.uint8:
        return x
    fits = x.dtype.kind != "b" and x.min() >= -(2**31) and x.max() < 2**31
    return x.astype(np.int32 if fits else np.float32)


def _labels(y: np.ndarray, title: str, name: str) -> np.ndarray:
    if y.dtype.kind == "f":
        _check_finite(y, title, name)
    return y


def _check_finite(values: np.ndarray, title: str, name: str) -> None:
    import numpy as np

    nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    if nan or infinite:
        told = " and ".join(f"{count} {what}" for count, what in ((nan, "NaN"), (infinite, "infinite")) if count)
        raise DataRefused(
            f"{title} in {name} has {told} value{'s' if nan + infinite > 1 else ''}; correct or remove these examples.",
            code="not-finite",
        )


def _with_all_parts(
    given: dict[str, Part],
    targets: Targets,
    name: str,
    notes: tuple[str, ...],
    features: tuple[str, ...] = (),
    preview: dict[str, object] | None = None,
) -> Dataset:
    _check_enough(targets, name)
    notes = (*notes, *targets.notes)
    missing = [part for part in ("validation", "test") if part not in given]
    parts = dict(given)
    if missing:
        whole = given["train"]
        validation = splits.VALIDATION_SHARE if "validation" in missing else 0
        test = splits.TEST_SHARE if "test" in missing else 0
        split = splits.stratified(_strata(whole.y, targets), validation=validation, test=test)
        pieces = zip(("train", "validation", "test"), split, strict=True)
        parts |= {part: Part(whole.x[rows], whole.y[rows]) for part, rows in pieces if part in ("train", *missing)}
        how = "every class in proportion" if targets.classes else "small and large targets in proportion"
        told = " and ".join(f"{len(parts[part])} for {'the test' if part == 'test' else part}" for part in missing)
        notes = (
            *notes,
            f"The file has no {' and no '.join(missing)} part: {told} were set aside, {how}, always the same.",
        )
    repeated = _repeated(parts["train"].x, parts["test"].x)
    if repeated:
        share = f"{repeated} of {len(parts['test'])} test examples"
        notes = (*notes, f"{share} are also in the training part, which makes the test too easy.")
    train = parts["train"]
    notes = (*notes, f"The values in the file go from {train.x.min():g} to {train.x.max():g}.")
    summary = DatasetSummary(
        task=targets.task,
        input_shape=train.x.shape[1:],
        input_dtype=str(train.x.dtype),
        n_train=len(train),
        n_validation=len(parts["validation"]),
        n_test=len(parts["test"]),
        classes=targets.classes,
        features=features,
        source=name,
        notes=notes,
        preview=preview or previews.of_part(train, targets.classes),
    )
    return Dataset(train, parts["validation"], parts["test"], summary)


def _strata(y: np.ndarray, targets: Targets) -> np.ndarray:
    """What a division keeps in proportion: classes, bands of numbers, or nothing where there are no labels."""
    import numpy as np

    if targets.task == "fidelity":
        return np.zeros(len(y))
    return y if targets.classes else splits.target_bands(y)


def _check_enough(targets: Targets, name: str) -> None:
    import numpy as np

    if len(targets.y) < MIN_EXAMPLES:
        raise DataRefused(f"{name} has {len(targets.y)} examples; at least {MIN_EXAMPLES} are needed.", code="too-few")
    if targets.classes:
        counts = np.bincount(targets.y)
        alone = np.flatnonzero(counts == 1)
        if len(alone):
            raise DataRefused(
                f"{name} has one example of class {targets.classes[alone[0]]!r}; every class needs at least two.",
                code="too-few",
            )


def _repeated(train: np.ndarray, test: np.ndarray) -> int:
    """How many test examples are, byte for byte, also in train."""
    seen = {hash(row.tobytes()) for row in train}
    return sum(hash(row.tobytes()) in seen for row in test)


def _plain(value: object) -> object:
    return value.item() if hasattr(value, "item") else value
