"""NumPy arrays: an ``.npz`` file, or a folder or ZIP file of ``.npy`` files. A single ``.npy`` file has no labels.

They are called ``x_train``, ``y_train`` and, if there are any, ``x_validation`` (or ``x_val``), ``x_test`` with their
``y_…``; or just ``x`` and ``y``. ``images``, ``data``, ``features``, ``inputs``, ``labels`` and ``targets`` are
understood as well, in any order of the words and in capitals. Without any labels the examples have none.

For a model with several inputs there is one array for each: ``x_NAME``, or ``x_train_NAME`` and so on; for one with
several outputs ``y_NAME`` likewise.
"""

from __future__ import annotations

import io
import math
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from optimizers.datasets import members, several
from optimizers.datasets.members import PARTS, Members
from optimizers.declarations import DataFormat, RawData, RawPart
from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

    from optimizers.datasets.preparation import Preparation

MAX_ARRAYS = 64
MAX_BYTES = 2 << 30
"""Most bytes that the arrays of one file may take up in memory."""
_MOST_VALUES = 1 << 27
"""In one example for several inputs: NumPy's records hold less than 2 GiB."""

_LETTERS = {
    **dict.fromkeys(("x", "image", "images", "data", "feature", "features", "input", "inputs", "examples"), "x"),
    **dict.fromkeys(("y", "label", "labels", "target", "targets", "classes"), "y"),
}


_PARTS = {**PARTS, "tr": "train", "trn": "train", "va": "validation", "te": "test", "tst": "test"}
_MAGIC = b"\x93NUMPY"
_BY_NAME = {letter: re.compile(rf"{letter}_(?:({'|'.join(_PARTS)})_)?(.+)") for letter in "xy"}


def is_arrays(path: Path, start: bytes) -> bool:
    """Whether it is an ``.npy`` file, or such files are inside."""
    if start.startswith(_MAGIC):
        return True
    packed = path.is_dir() or start.startswith(members.ZIP_STARTS)
    return packed and any(member.endswith(".npy") for member in members.names_in(path))


def read(path: Path, name: str, preparation: Preparation) -> RawData:
    """The examples and labels of every part.

    Raises:
        DataRefused: Damaged, pickled objects, names or lengths that do not go together, too large when unpacked.
    """
    if preparation.target:
        raise DataRefused(f"{name} holds arrays, not columns; leave target out.", code="no-column")
    arrays = read_arrays(path, name)
    labelled = any(letter == "y" for letter, _ in arrays)
    parts = {}
    for part in sorted({part for _, part in arrays}, key=["", *PARTS.values()].index):
        (x_title, x), (y_title, y) = (_array(arrays, letter, part, labelled, name) for letter in "xy")
        if x.ndim == 0 or (labelled and y.ndim == 0):
            raise DataRefused(f"{x_title} or {y_title} in {name} is a single value; save arrays.", code="bad-labels")
        if labelled and len(x) != len(y):
            raise DataRefused(
                f"{x_title} in {name} has {len(x)} examples, but {y_title} has {len(y)} labels; they must be as many.",
                code="lengths-differ",
            )
        if len(x) == 0:
            raise DataRefused(f"{x_title} in {name} is empty; add examples or leave it out.", code="too-few")
        labels = _labels(y, y_title, name) if labelled else None
        parts[part] = RawPart(_examples(x, x_title, name), labels, x_title)
    if "" in parts:
        parts = {"train": parts.pop("")} | parts
    if "train" not in parts:
        raise DataRefused(
            f"{name} has no examples to train on; name its arrays x_train and y_train, or x and y; of several inputs "
            "or outputs x_NAME and y_NAME each.",
            code="no-examples",
        )
    return RawData(parts, f"y in {name}")


def read_arrays(path: Path, name: str) -> dict[tuple[str, str], tuple[str, np.ndarray]]:
    """The arrays whose names say what they are, by letter (``x`` or ``y``) and part (empty where none is named).

    Every array comes with its name in the file. Headers are checked before anything is allocated, and pickled objects
    are never opened.

    Raises:
        DataRefused: Damaged, too large when unpacked, pickled objects, or two arrays for the same purpose.
    """
    if path.is_file() and not members.is_zip(path):
        content = path.read_bytes()
        return {("x", ""): ("The array", _read(io.BytesIO(content), len(content), name, "The array"))}
    with members.opened(path, name) as found:
        names = [member for member in found.sizes if member.endswith(".npy")]
        if len(names) > MAX_ARRAYS:
            raise DataRefused(
                f"{name} holds {len(names)} arrays, more than {MAX_ARRAYS}; save only x and y arrays in it.",
                code="too-many-arrays",
            )
        chosen = _chosen(names, name, strict=True)
        letters = {letter for letter, _ in chosen}
        by_name = {letter: {} if letter in letters else _by_name(names, name, letter) for letter in "xy"}
        if not any(len(of_part) > 1 for of_part in by_name["x"].values()):
            by_name["x"] = {}
            if not chosen:  # x_image and y_kind are plain x and y
                several_outputs = any(len(of_part) > 1 for of_part in by_name["y"].values())
                chosen = _chosen([n for n in names if not several_outputs or not _is_output(n)], name, strict=False)
                by_name["y"] = by_name["y"] if several_outputs else {}
        named = {**by_name["x"], **by_name["y"]}
        if {"", "train"} <= {part for _, part in chosen} | set(named):  # x beside x_train is something else
            chosen = {purpose: member for purpose, member in chosen.items() if purpose[1]}
            for of_letter in by_name.values():
                of_letter.pop("", None)
        wanted = [*chosen.values(), *(m for parts in by_name.values() for of in parts.values() for m in of.values())]
        if sum(found.sizes[member] for member in wanted) > MAX_BYTES:
            raise DataRefused(
                f"The arrays of {name} take more than {MAX_BYTES >> 30} GiB when unpacked; use fewer examples.",
                code="too-large",
            )
        arrays = {purpose: _titled(found, member, name) for purpose, member in chosen.items()}
        for letter, joined in (("x", _joined), ("y", _labels_by_output)):
            for part, of_part in by_name[letter].items():
                read = {title: _titled(found, member, name) for title, member in of_part.items()}
                arrays[letter, part] = joined(read, name)
        return arrays


def _chosen(names: list[str], name: str, *, strict: bool) -> dict[tuple[str, str], str]:
    """Members by the purpose that their names tell."""
    chosen: dict[tuple[str, str], str] = {}
    for member in names:
        purpose = _purpose(PurePosixPath(member).stem, strict)
        if purpose is None:
            continue
        if purpose in chosen:
            told = " and ".join(PurePosixPath(m).stem for m in (chosen[purpose], member))
            raise DataRefused(f"{name} has both {told}; keep one of them.", code="ambiguous-arrays")
        chosen[purpose] = member
    return chosen


def _by_name(names: list[str], name: str, letter: str) -> dict[str, dict[str, str]]:
    """For each part the members for a model's inputs (``x``) or outputs (``y``), by their names."""
    found: dict[str, dict[str, str]] = {}
    for member in names:
        title = PurePosixPath(member).stem
        told = _BY_NAME[letter].fullmatch(title)
        if told and _purpose(title, strict=True) is None:
            of_part = found.setdefault(_PARTS[told[1]] if told[1] else "", {})
            if told[2] in of_part:
                raise DataRefused(f"{name} has {title} twice; keep one of them.", code="ambiguous-arrays")
            of_part[told[2]] = member
    return found


def _is_output(member: str) -> bool:
    return _BY_NAME["y"].fullmatch(PurePosixPath(member).stem) is not None


def _joined(arrays: dict[str, tuple[str, np.ndarray]], name: str) -> tuple[str, np.ndarray]:
    """Several inputs as one array of examples, and the names of their arrays."""
    titles = " and ".join(title for title, _ in arrays.values())
    lengths = {x.shape[:1] for _, x in arrays.values()}
    if len(lengths) > 1 or lengths == {()}:
        raise DataRefused(
            f"{titles} in {name} differ in length; every example needs all of its inputs.", code="lengths-differ"
        )
    if lengths == {(0,)}:
        raise DataRefused(f"{titles} in {name} are empty; add examples.", code="too-few")
    if sum(x[:1].size for _, x in arrays.values()) > _MOST_VALUES:
        raise DataRefused(f"One example of {titles} in {name} is too large; use smaller ones.", code="too-large")
    inputs = sorted(arrays)
    return titles, several.joined([_examples(arrays[one][1], arrays[one][0], name) for one in inputs], inputs)


def _labels_by_output(arrays: dict[str, tuple[str, np.ndarray]], name: str) -> tuple[str, np.ndarray]:
    """Labels of several outputs as one array, and the names of their arrays."""
    titles = " and ".join(title for title, _ in arrays.values())
    lengths = {y.shape[:1] for _, y in arrays.values()}
    if len(lengths) > 1 or lengths == {()}:
        told = ", ".join(f"{title} has {len(y) if y.ndim else 1}" for title, y in arrays.values())
        raise DataRefused(
            f"The labels of the outputs in {name} differ in length: {told}; every example needs all of its labels.",
            code="lengths-differ",
        )
    return titles, several.named({one: _labels(arrays[one][1], arrays[one][0], name) for one in sorted(arrays)})


def _purpose(title: str, strict: bool) -> tuple[str, str] | None:
    """Letter and part that a name tells; None if it tells none. Unless ``strict``, other words in it do not matter."""
    words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", title).lower()) if word]
    letters = [_LETTERS[word] for word in words if word in _LETTERS]
    parts = [_PARTS[word] for word in words if word in _PARTS]
    others = len(words) - len(letters) - len(parts)
    if len(letters) != 1 or len(parts) > 1 or (strict and others):
        return None
    return letters[0], parts[0] if parts else ""


def _array(
    arrays: dict[tuple[str, str], tuple[str, np.ndarray]], letter: str, part: str, labelled: bool, name: str
) -> tuple[str, np.ndarray]:
    import numpy as np

    if (letter, part) in arrays:
        return arrays[letter, part]
    if letter == "y" and not labelled:
        return "", np.zeros(0)
    there = arrays["x" if letter == "y" else "y", part][0]
    what = "labels" if letter == "y" else "examples"
    wanted = f"{letter}_{part}" if part else letter
    by_output = next((y.dtype.names for (kind, _), (_, y) in arrays.items() if kind == "y" == letter), None)
    wanted = " and ".join(f"{wanted}_{one}" for one in by_output or ()) or wanted
    raise DataRefused(f"{name} has {there} but no {what}; add an array {wanted}.", code=f"no-{what}")


def _titled(found: Members, member: str, name: str) -> tuple[str, np.ndarray]:
    title = PurePosixPath(member).stem
    return title, _read(found.read(member), found.sizes[member], name, title)


def _read(stream: io.BytesIO, size: int, name: str, title: str) -> np.ndarray:
    import numpy as np

    try:
        version = np.lib.format.read_magic(stream)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError(f"unknown version {version}")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        if dtype.hasobject:
            raise DataRefused(
                f"{title} in {name} holds pickled Python objects, which are not opened because they can run code; "
                "save it as an array of numbers, or of words with dtype=str.",
                code="pickled",
            )
        if dtype.kind not in "biufSU":
            raise DataRefused(
                f"{title} in {name} has dtype {dtype}; save it as an array of numbers, labels also as words.",
                code="odd-dtype",
            )
        if math.prod(shape) * dtype.itemsize != size - stream.tell() or min(shape, default=0) < 0:
            raise ValueError(f"shape {shape} does not fit {size} bytes")
        flat = np.frombuffer(stream.getbuffer(), dtype, math.prod(shape), stream.tell())
        return flat.reshape(shape, order="F" if fortran else "C")
    except DataRefused:
        raise
    except Exception as error:  # NumPy parses the header as Python: odd bytes raise whatever a parser can raise
        raise DataRefused(
            f"{title} in {name} is not a readable NumPy array; save the file again with numpy.savez.",
            code="damaged",
            detail=str(error),
        ) from None


def _examples(x: np.ndarray, title: str, name: str) -> np.ndarray:
    """Examples as float32, uint8 or int32, of shape (n, ...)."""
    import numpy as np

    if x.dtype.names:  # several inputs, each of which was looked at by itself
        return x
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
    return y  # those of several outputs were looked at one by one


def _check_finite(values: np.ndarray, title: str, name: str) -> None:
    import numpy as np

    nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    if nan or infinite:
        told = " and ".join(f"{count} {what}" for count, what in ((nan, "NaN"), (infinite, "infinite")) if count)
        raise DataRefused(
            f"{title} in {name} has {told} value{'s' if nan + infinite > 1 else ''}; correct or remove these examples.",
            code="not-finite",
        )


FORMAT = DataFormat(
    name="arrays", title="NumPy arrays", endings=("npz", "npy"), rank=10, recognises=is_arrays, read=read
)
