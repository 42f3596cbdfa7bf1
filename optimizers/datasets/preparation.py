"""How raw data become what a model wants, told in the data set's URI: ``file:a.csv?scaling=standardize&target=price``.

A data set without a query is used as it is. The order of work: layout, channels, size, token ids, then scaling. What is
learnt (means, deviations, ranges) is learnt on the training part alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import field_validator, model_validator

from optimizers.errors import DataRefused, InvalidParameter
from optimizers.params import ParamSet, fields, param, resolve
from optimizers.records import DatasetRef, DatasetSummary, Task, digest_of

if TYPE_CHECKING:
    import numpy as np

    from optimizers.declarations import Dataset

VERSION = "1"
"""Raised when a preparation starts to give other numbers; part of the data's digest."""

Values = Literal["pixels", "unit", "signed"]
_LUMA = (0.299, 0.587, 0.114)
"""Source: ITU-R BT.601; Pillow and Keras use the same."""

_READING = ("target", "task", "labels", "ignore")
_UNKNOWN = 2
"""The id that Keras gives to words outside the vocabulary."""


class Preparation(ParamSet):
    """What is done to a data set before a model sees it. The defaults do nothing."""

    target: str = param(
        "",
        label="Column to predict",
        help="Name of the column of a table that is to be predicted, several with commas between them; empty finds it "
        "by its name, else takes the last.",
        text="column",
    )
    task: Literal["auto", "classification", "binary", "multilabel", "segmentation", "regression"] = param(
        "auto",
        label="Task",
        help="What the labels are: a class, one of two, several truth values, a class at every position, or numbers to "
        "estimate; auto finds out.",
    )
    labels: Literal["as_is", "ranked"] = param(
        "as_is",
        label="Class numbers",
        help="ranked numbers the labels that occur 0, 1, 2 in ascending order, as for labels that count from 1.",
        advanced=True,
    )
    ignore: str = param(
        "",
        label="Labels that do not count",
        help="Positions with this label, such as 255 in masks or -100 in tags, are left out of training and figures; "
        "several with commas between them.",
        advanced=True,
        text="labels",
    )
    scaling: Literal[
        "as_is", "unit", "signed", "pixels", "standardize", "standardize_columns", "min_max", "min_max_columns",
        "caffe", "torch",
    ] = param(
        "as_is",
        label="Scaling",
        help="Range that the model was trained on: unit is 0 to 1, signed -1 to 1, pixels 0 to 255; standardize and "
        "min_max learn from the training part, feature by feature, where an image is one; with _columns so is each "
        "column of a series; caffe and torch are two ways of keras.applications.",
    )  # fmt: skip
    values: Values = param(
        "pixels",
        label="Range of the file's values",
        help="What unit, signed, pixels, caffe and torch start from: pixels 0 to 255, unit 0 to 1 or signed -1 to 1.",
        advanced=True,
    )
    scalings: str = param(
        "",
        label="Scaling of each input",
        help="For examples with several inputs: an input, a colon and its scaling, with commas between them, such as "
        "image:unit,table:standardize; image:pixels:unit starts from 0 to 1.",
        advanced=True,
        text="labels",
    )
    channels: Literal["as_is", "grey", "rgb", "bgr"] = param(
        "as_is", label="Colour channels", help="Makes images grey or colour; bgr is for models that want blue first."
    )
    height: int = param(0, low=0, high=2048, step=1, label="Image height", help="Pixels after resizing; 0 leaves it.")
    width: int = param(0, low=0, high=2048, step=1, label="Image width", help="Pixels after resizing; 0 leaves it.")
    layout: Literal["as_is", "channels_last"] = param(
        "as_is",
        label="Order of dimensions",
        help="channels_last turns images of channels x height x width round.",
        advanced=True,
    )
    length: int = param(
        0,
        low=0,
        high=100_000,
        step=1,
        label="Length of sequences",
        help="Longer sequences keep their end, shorter ones get zeros in front, as Keras does; 0 leaves them.",
        advanced=True,
    )
    words: int = param(
        0,
        low=0,
        high=10_000_000,
        step=1,
        label="Vocabulary",
        help="Word numbers from here on become 2, which stands for unknown words in Keras, those below 0 become 0, "
        "which stands for padding; 0 leaves them.",
        advanced=True,
    )

    @model_validator(mode="after")
    def _agree(self) -> Preparation:
        if bool(self.height) != bool(self.width):
            raise ValueError("height and width go together, give both or neither")
        if self.scaling == "caffe" and self.channels in ("bgr", "grey"):
            raise ValueError(
                "scaling caffe needs colour and puts blue first by itself, so channels must be as_is or rgb"
            )
        if self.scaling == "torch" and self.channels == "grey":
            raise ValueError("scaling torch needs colour, so channels cannot be grey")
        return self

    @field_validator("scalings")
    @classmethod
    def _readable(cls, text: str) -> str:
        _each_scaling(text)
        return text

    @property
    def each_scaling(self) -> dict[str, tuple[str, Values]]:
        """Scaling, and what it starts from, by input, where there are several."""
        return _each_scaling(self.scalings)

    @property
    def given(self) -> dict[str, Any]:
        """What differs from the defaults, by name."""
        return {f.name: value for f in fields(Preparation) if (value := getattr(self, f.name)) != f.default}

    @property
    def query(self) -> str:
        """Canonical text behind the question mark: sorted, only what differs from the defaults; empty if nothing."""
        return urlencode(sorted(self.given.items()), quote_via=quote, safe="")

    @property
    def reading(self) -> dict[str, Any]:
        """What says how labels are found; whoever cannot choose that takes none of these."""
        return {name: value for name, value in self.given.items() if name in _READING}

    @property
    def known_task(self) -> Task | None:
        """The task, where it was named."""
        return None if self.task == "auto" else cast(Task, self.task)


def _each_scaling(text: str) -> dict[str, tuple[str, Values]]:
    """What ``image:unit,table:pixels:unit`` says. Raises `ValueError`."""
    known = next(field.choices for field in fields(Preparation) if field.name == "scaling")
    found: dict[str, tuple[str, Values]] = {}
    for part in filter(None, text.split(",")):
        name, _, last = part.strip().rpartition(":")
        values, before = "pixels", name.rpartition(":")
        if last in get_args(Values) and before[2] in known:
            name, last, values = before[0], before[2], last
        if not name or last not in known:
            raise ValueError(f"write an input, a colon and one of {', '.join(known)}, such as image:unit")
        if name in found:
            raise ValueError(f"the input {name!r} is given twice")
        found[name] = (last, cast(Values, values))
    return found


def scalings_told(each: Mapping[str, tuple[str, Values]]) -> str:
    """The text that `Preparation.each_scaling` reads, without inputs that stay as they are."""
    written = {name: (way, "" if start == "pixels" else f":{start}") for name, (way, start) in each.items()}
    return ",".join(f"{name}:{way}{start}" for name, (way, start) in written.items() if way != "as_is")


NOTHING = Preparation()


def parse(query: str) -> Preparation:
    """The preparation that a query tells.

    Raises:
        DataRefused: No query, an unknown or doubled option, or a value out of bounds.
    """
    try:
        if not query:
            raise ValueError("no options")
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=50, errors="strict")
    except ValueError:
        raise DataRefused(
            f"Options of data are written like ?target=price&scaling=unit, not {query[:100]!r}.", code="bad-preparation"
        ) from None
    given = dict(pairs)
    if len(given) < len(pairs):
        doubled = next(name for name in given if sum(name == other for other, _ in pairs) > 1)
        raise DataRefused(f"The option {doubled!r} of the data is given twice; keep one.", code="bad-preparation")
    return of(given)


def of(given: dict[str, Any]) -> Preparation:
    """A validated preparation. Raises `DataRefused`."""
    try:
        return cast(Preparation, resolve("preparation", Preparation, given))
    except InvalidParameter as error:
        raise DataRefused(error.message, code="bad-preparation") from None


def split(uri: str) -> tuple[str, Preparation]:
    """The URI without its query, and the preparation that the query tells.

    A path may hold question marks of its own: where a file of that name exists, its name wins.

    Raises:
        DataRefused: See `parse`.
    """
    path = uri.removeprefix("file:")
    marks = [place for place, sign in enumerate(uri) if sign == "?"]
    if not marks or os.path.exists(os.path.expanduser(path)):  # noqa: PTH110, PTH111 - both also take impossible names
        return uri, NOTHING
    taken = len(uri) - len(path)
    existing = [place for place in marks if os.path.exists(os.path.expanduser(uri[taken:place]))]  # noqa: PTH110, PTH111
    end = existing[-1] if existing else marks[0]
    return uri[:end], parse(uri[end + 1 :])


def join(uri: str, preparation: Preparation) -> str:
    """The URI of a data set (without a query) with its preparation."""
    return f"{uri}?{preparation.query}" if preparation.query else uri


def reference(ref: DatasetRef, preparation: Preparation) -> DatasetRef:
    """The reference of a data set after its preparation: another URI and another digest, the same name and owner."""
    if preparation == NOTHING:
        return ref
    digest = digest_of({"data": ref.digest, "preparation": preparation.given, "version": VERSION})
    return ref.model_copy(update={"uri": join(ref.uri, preparation), "digest": digest})


def prepare(data: Dataset, preparation: Preparation) -> Dataset:
    """The data set as the model is to see it. ``target`` and ``task`` have been heeded when it was read.

    Args:
        data: As read; it is not changed.
        preparation: What to do.

    Raises:
        DataRefused: The examples cannot be prepared so, for instance words cannot be resized, or have several inputs.
    """
    from optimizers.datasets import scaling, shaping
    from optimizers.declarations import Dataset, Part

    p, parts = preparation, [data.train, data.validation, data.test]
    if p == NOTHING or data.summary.drawn or (data.summary.inputs and p == of(p.reading)):
        return data
    if data.summary.inputs:
        if p != of({**p.reading, "scalings": p.scalings}):
            raise DataRefused(
                "Examples with several inputs are used as they are, but for scalings; prepare them before saving them.",
                code="bad-preparation",
            )
        scaled, more = scaling.scaled_inputs(data, p.each_scaling)
        return _described(scaled, (*data.summary.notes, *more))
    if p.scalings:
        raise DataRefused("These examples have one input; give scaling instead of scalings.", code="bad-preparation")
    if (p.height or p.length) and any(one.label_shape for one in data.summary.targets):
        raise DataRefused(
            "Labels at positions, of one of several outputs, are not resized with their examples; save both in the "
            "size that the model takes.",
            code="bad-preparation",
        )
    notes: list[str] = []
    xs, ys = [part.x for part in parts], [part.y for part in parts]
    masked = _masked(data.summary, shaping.channels_last(xs[0][:1]) if p.layout == "channels_last" else xs[0])
    if p.layout == "channels_last":
        xs = [shaping.channels_last(x) for x in xs]
    if p.channels != "as_is":
        xs = [shaping.with_channels(x, p.channels, _LUMA) for x in xs]
        told = {"grey": "Images are grey.", "rgb": "Images have three colour channels.", "bgr": "Blue comes first."}
        notes.append(told[p.channels])
    if p.height and xs[0].shape[1:3] != (p.height, p.width):
        scaling.check_size(sum(map(len, xs)), (p.height, p.width, *xs[0].shape[3:]))
        xs = [shaping.resized(x, p.height, p.width) for x in xs]
        notes.append(f"Images were resized to {p.height} x {p.width} pixels.")
        if masked:
            ys = [shaping.resized_labels(y, p.height, p.width) for y in ys]
            notes.append("So were their labels.")
    if p.length and data.summary.label_shape == data.summary.input_shape:
        raise DataRefused(
            "Labels of every step would have to be cut or filled as the sequences are; save both in the length that "
            "the model takes.",
            code="bad-preparation",
        )
    if p.words or p.length:
        xs = [shaping.sequences(x, p.length, p.words, _UNKNOWN) for x in xs]
    train, validation, test = (Part(x, y) for x, y in zip(xs, ys, strict=True))
    shape = ys[0].shape[1:] if data.summary.label_shape else ()
    prepared = Dataset(train, validation, test, data.summary.model_copy(update={"label_shape": shape}))
    scaled, more = scaling.scaled(prepared, p.scaling, p.values)
    return _described(scaled, (*data.summary.notes, *notes, *more))


def _masked(summary: DatasetSummary, x: np.ndarray) -> bool:
    """Whether every pixel of images (channels last) has a label of its own."""
    return x.ndim > 2 and len(summary.label_shape) >= 2 and summary.label_shape[:2] == x.shape[1:3]


def _described(data: Dataset, notes: tuple[str, ...]) -> Dataset:
    from optimizers.datasets import previews, several
    from optimizers.datasets.by_output import value_range
    from optimizers.declarations import Dataset

    x, inputs = data.train.x, several.inputs_of(data.train.x)
    shape, dtype = (inputs[0].shape, inputs[0].dtype) if inputs else (x.shape[1:], str(x.dtype))
    changed: dict[str, Any] = {"inputs": inputs, "input_shape": shape, "input_dtype": dtype, "notes": notes}
    if not inputs:
        changed["values"] = value_range(x)
    if "encoding" not in data.summary.preview:
        changed["preview"] = previews.of_part(data.train, data.summary.classes, data.summary.targets)
    return Dataset(data.train, data.validation, data.test, data.summary.model_copy(update=changed))
