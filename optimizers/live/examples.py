"""From what a visitor gives to what a model sees.

A picture goes the way of the data set's own: it is brought into the form that the data have in their file, and then
prepared as they are, so that a model that was trained on prepared data sees it prepared in the same way.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from optimizers.datasets import preparation
from optimizers.datasets.pictures import Album, form_of
from optimizers.engine import origins
from optimizers.errors import DataRefused
from optimizers.live.given import SIDE, Drawing, Given, Numbered, Picture, Row

if TYPE_CHECKING:
    import numpy as np

    from optimizers.declarations import Dataset
    from optimizers.records import DatasetSummary

_LONGEST = 1024
_MOST_PIXELS = 50_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_LOOKED_AT = 300
_INKED = 0.25
_SCALING = ("scaling", "values")


@dataclass(frozen=True)
class Seen:
    """One example as the data set has it, ``x`` of shape (1, ...), and its label where it has one."""

    x: np.ndarray
    y: np.ndarray | None
    data: Dataset


def seen(given: Given, dataset: str, digest: str) -> Seen:
    """What models of this data set are asked.

    Args:
        given: What a visitor gives.
        dataset: The data set's URI.
        digest: Of its contents, so that a changed file is read again.

    Raises:
        DataRefused: The example does not suit the data, or there is none of that number.
    """
    import numpy as np

    data = _loaded(dataset, digest)
    if isinstance(given, Numbered):
        if given.number >= len(data.test):
            raise DataRefused(f"The test part has {len(data.test):,} examples, counted from 0.")
        place = slice(given.number, given.number + 1)
        return Seen(data.test.x[place], data.test.y[place], data)
    if isinstance(given, Row):
        return Seen(_row(given, data), None, data)
    if form_of(data.train.x) != "image":
        raise DataRefused("This model takes no pictures; choose an example of its data.", code="no-images")
    raw, scaling = _unscaled(dataset, digest)
    if isinstance(given, Drawing):
        ink = np.frombuffer(bytes.fromhex(given.ink), np.uint8).reshape(SIDE, SIDE).astype(np.float32) / 255
        x = placed(ink, raw.train.x, drawn=raw.summary.drawn)
    else:
        x = _photographed(given, raw.train.x)
    from optimizers.declarations import Dataset, Part

    part = Part(x, raw.test.y[:1])
    return Seen(preparation.prepare(Dataset(raw.train, part, part, raw.summary), scaling).test.x, None, data)


@lru_cache(maxsize=1)
def _loaded(dataset: str, digest: str) -> Dataset:
    return origins.load_dataset(dataset)


@lru_cache(maxsize=1)
def _unscaled(dataset: str, digest: str) -> tuple[Dataset, preparation.Preparation]:
    """The data set in its final shape but with the values of its file, and the scaling that is still to come."""
    bare, whole = preparation.split(dataset)
    scaling = {name: value for name, value in whole.given.items() if name in _SCALING}
    if not scaling:
        return _loaded(dataset, digest), preparation.NOTHING
    rest = {name: value for name, value in whole.given.items() if name not in _SCALING}
    return origins.load_dataset(preparation.join(bare, preparation.of(rest))), preparation.of(scaling)


def decode(content: bytes, name: str) -> Picture:
    """A picture file as RGB of at most 1024 pixels a side, turned as its camera was held.

    Raises:
        DataRefused: No picture that can be read, or too many pixels.
    """
    from PIL import Image, ImageOps

    try:
        file = Image.open(BytesIO(content), formats=_FORMATS)
        if file.width * file.height > _MOST_PIXELS:
            raise DataRefused(f"{name} has more than {_MOST_PIXELS // 10**6} million pixels; make it smaller.")
        image = ImageOps.exif_transpose(file).convert("RGB")
        image.thumbnail((_LONGEST, _LONGEST))
    except (DataRefused, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever odd bytes lead them to
        raise DataRefused(
            f"{name} is not a picture that can be read; save it as PNG or JPEG.", detail=str(error)
        ) from None
    return Picture(width=image.width, height=image.height, rgb=base64.b64encode(image.tobytes()).decode("ascii"))


def _photographed(given: Picture, like: np.ndarray) -> np.ndarray:
    """A picture with the shape and the range of values of the data's own: its middle, cut to their proportions."""
    import numpy as np
    from PIL import Image, ImageOps

    content = base64.b64decode(given.rgb, validate=True)
    if len(content) != 3 * given.width * given.height:
        raise DataRefused("The picture's size and its pixels do not agree.")
    image = Image.frombytes("RGB", (given.width, given.height), content)
    if given.inverted:
        image = ImageOps.invert(image)
    channels = like.shape[3] if like.ndim == 4 else 1
    image = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    image = ImageOps.fit(image, (like.shape[2], like.shape[1]), Image.Resampling.BILINEAR)
    return _valued(np.asarray(image, np.float32) / 255, like)


def placed(ink: np.ndarray, like: np.ndarray, *, drawn: bool = False) -> np.ndarray:
    """A drawing as one of the data's own: as large as theirs, in the same place, in their tones.

    Args:
        ink: From 0 to 1, shape (side, side).
        like: Examples with the values of their file, shape (n, h, w) or (n, h, w, channels).
        drawn: The examples are random numbers; then there is nothing to learn from them but their range.

    Raises:
        DataRefused: There is no ink.
    """
    import numpy as np
    from PIL import Image

    if ink.max() < _INKED:
        raise DataRefused("There is nothing on the paper yet.", code="empty")
    height, width = like.shape[1:3]
    some = like[:: max(1, len(like) // _LOOKED_AT)].astype(np.float32)
    grey = some.mean(axis=-1) if some.ndim == 4 else some
    low, high = float(some.min()), float(some.max())
    edge = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=None)
    paper = 0.0 if drawn or np.median(edge) <= (low + high) / 2 else 1.0
    share = np.abs((grey - low) / ((high - low) or 1.0) - paper)
    top, left, tall, wide = (0.0, 0.0, height, width) if drawn else _usual_box(share)
    rows, columns = np.flatnonzero(ink.max(axis=1) > _INKED), np.flatnonzero(ink.max(axis=0) > _INKED)
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(tall / cut.shape[0], wide / cut.shape[1])
    size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
    small = np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BOX))
    canvas = np.zeros((height, width), np.float32)
    row = int(np.clip(round(top + (tall - size[1]) / 2), 0, height - size[1]))
    column = int(np.clip(round(left + (wide - size[0]) / 2), 0, width - size[0]))
    canvas[row : row + size[1], column : column + size[0]] = small
    tones = np.abs(paper - canvas)
    return _valued(tones if like.ndim == 3 else np.repeat(tones[..., None], like.shape[3], axis=2), like)


def _usual_box(share: np.ndarray) -> tuple[float, float, float, float]:
    """Top, left, height and width of the box that ink usually fills, in pixels: medians over the examples.

    Args:
        share: How much of each pixel is ink, shape (n, h, w).
    """
    import numpy as np

    boxes = []
    for one in share:
        rows, columns = np.flatnonzero(one.max(axis=1) > _INKED), np.flatnonzero(one.max(axis=0) > _INKED)
        if len(rows):
            boxes.append((rows[0], columns[0], rows[-1] + 1, columns[-1] + 1))
    if not boxes:
        return 0.0, 0.0, float(share.shape[1]), float(share.shape[2])
    found = np.asarray(boxes, np.float64)
    middle = np.median((found[:, :2] + found[:, 2:]) / 2, axis=0)
    # A narrow "1" must not make every drawing narrow: the box is as wide as the widest tenth of the examples.
    tall, wide = np.quantile(found[:, 2:] - found[:, :2], 0.9, axis=0)
    return float(middle[0] - tall / 2), float(middle[1] - wide / 2), float(tall), float(wide)


def _valued(tones: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Tones from 0 to 1 over the range of the data's values, in their type and shape, as one example."""
    import numpy as np

    low, high = float(like.min()), float(like.max())
    values = low + tones * (high - low)
    if like.dtype.kind in "iu":
        values = np.rint(values)
    return np.asarray(values.reshape(1, *like.shape[1:]), like.dtype)


def _row(given: Row, data: Dataset) -> np.ndarray:
    import numpy as np

    if form_of(data.train.x) != "table":
        raise DataRefused("This model takes no rows; choose an example of its data.", code="no-table")
    encoding = encoding_of(data.summary)
    values = [_feature(given, feature) for feature in encoding]
    return np.asarray([values], data.train.x.dtype)


def encoding_of(data: DatasetSummary) -> list[dict[str, Any]]:
    """How columns become features: for each feature its ``column``, ``mean`` and ``std``, and ``category``."""
    count = data.input_shape[0]
    told = list(data.preview.get("encoding", ()))
    if len(told) == count:
        return told
    names = data.features if len(data.features) == count else [f"feature {i + 1}" for i in range(count)]
    return [{"column": name, "mean": 0.0, "std": 1.0} for name in names]


def _feature(given: Row, feature: dict[str, Any]) -> float:
    value = given.values.get(feature["column"])
    if "category" in feature:
        raw = float(value is not None and str(value) == str(feature["category"]))
    else:
        try:
            raw = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise DataRefused(f"The row needs a number for {feature['column']!r}.") from None
    return (raw - float(feature["mean"])) / float(feature["std"])


def portrait(example: Seen) -> tuple[str, dict[str, Any]]:
    """The example as people can look at it: the address of a picture, or values by column."""
    album = Album(example.data)
    return album.picture(example.x[0]) or "", album.cells(example.x[0]) if album.columns else {}
