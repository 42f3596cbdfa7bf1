"""Scales the values of examples, by fixed ranges or by what the training part holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

    from optimizers.declarations import Dataset, Part

MAX_BYTES = 4 << 30
"""Most bytes that the prepared examples may take up as float32."""

_RANGES: dict[str, tuple[float, float]] = {"pixels": (0.0, 255.0), "unit": (0.0, 1.0), "signed": (-1.0, 1.0)}
COLUMNS = "_columns"
"""End of the names of scalings that take examples of two dimensions for series, even where they may be images."""
LEARNT = {
    f"{name}{end}": has
    for name, has in (
        ("standardize", "mean 0 and deviation 1"),
        ("min_max", "its lowest value at 0 and its highest at 1"),
    )
    for end in ("", COLUMNS)
}
"""What a feature has in the training part under scalings that are learnt."""
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def scaled_inputs(data: Dataset, each: Mapping[str, tuple[str, str]]) -> tuple[Dataset, tuple[str, ...]]:
    """The same for some of several inputs.

    Args:
        data: With several inputs.
        each: Scaling and values by input; the others stay as they are.

    Raises:
        DataRefused: As `scaled`, or there is no such input.
    """
    from optimizers.datasets.several import joined
    from optimizers.declarations import Dataset, Part

    names, parts = data.train.x.dtype.names or (), (data.train, data.validation, data.test)
    missing = [name for name in each if name not in names]
    if missing:
        raise DataRefused(
            f"There is no input {missing[0][:100]!r} to scale; choose among {', '.join(names)}.", code="bad-preparation"
        )
    notes: list[str] = []
    columns: list[list[np.ndarray]] = [[], [], []]
    for name in names:
        train, validation, test = (Part(part.x[name], part.y) for part in parts)
        one = Dataset(train, validation, test, data.summary.model_copy(update={"preview": {}}))
        one, more = scaled(one, *each.get(name, ("as_is", "pixels")))
        notes += [f"{name}: {note[:1].lower()}{note[1:]}" for note in more]
        for column, part in zip(columns, (one.train, one.validation, one.test), strict=True):
            column.append(part.x)
    train, validation, test = (Part(joined(c, names), part.y) for c, part in zip(columns, parts, strict=True))
    return Dataset(train, validation, test, data.summary), tuple(notes)


def check_size(n: int, shape: tuple[int, ...]) -> None:
    """Raises `DataRefused` where so many examples of a shape take too much memory."""
    size = 4 * n * math.prod(shape)
    if size > MAX_BYTES:
        raise DataRefused(
            f"{n} examples of {'x'.join(map(str, shape))} take {size / 2**30:.1f} GiB, more than {MAX_BYTES >> 30} "
            "GiB; use fewer examples or a smaller size.",
            code="too-large",
        )


def scaled(data: Dataset, scaling: str, values: str) -> tuple[Dataset, tuple[str, ...]]:
    """The data set with ``(x - shift) / scale``, both learnt on the training part or fixed, and what was done.

    Args:
        data: With one input.
        scaling, values: As `optimizers.datasets.preparation.Preparation` has them.

    Raises:
        DataRefused: No colour images for what is for these, too many numbers, or numbers beyond float32.
    """
    import numpy as np

    from optimizers.declarations import Dataset, Part

    if scaling == "as_is":
        return data, ()
    x = data.train.x
    check_size(len(data.train) + len(data.validation) + len(data.test), x.shape[1:])
    low, high = _RANGES[values]
    flip = False
    shift: np.ndarray
    scale: np.ndarray
    if scaling in LEARNT:
        shift, scale = _learnt(x, scaling, _words(data))
        every = "Every feature" if shift.ndim else "All of an image's pixels, which are one feature,"
        note = f"{every} {'has' if shift.ndim else 'have'} {LEARNT[scaling]} in the training part."
    elif scaling in _RANGES:
        to_low, to_high = _RANGES[scaling]
        scale = np.asarray((high - low) / (to_high - to_low))
        shift = low - to_low * scale
        note = f"Values from {low:g} to {high:g} were scaled to {to_low:g} to {to_high:g}."
    else:
        if x.shape[-1] != 3 or x.ndim != 4:
            raise DataRefused(
                f"Scaling {scaling} is for colour images, but the examples have shape {x.shape[1:]}; add channels=rgb.",
                code="no-colour",
            )
        flip = scaling == "caffe"
        per_pixel = (high - low) / 255
        mean = np.asarray(_CAFFE_MEAN if flip else _TORCH_MEAN) * (1 if flip else 255)
        std = np.ones(3) if flip else np.asarray(_TORCH_STD) * 255
        shift, scale = low + mean * per_pixel, std * per_pixel
        note = f"Scaled as keras.applications does in mode {scaling!r}."

    def applied(part: Part) -> Part:
        raw = part.x[..., ::-1] if flip else part.x
        with np.errstate(over="ignore"):
            x = raw.astype(np.float32)
            x -= shift.astype(np.float32)
            x /= scale.astype(np.float32)
        if not np.isfinite(x).all():
            raise DataRefused(
                "Scaled values are beyond the range of float32; choose another scaling.", code="not-finite"
            )
        return Part(x, part.y)

    made = Dataset(applied(data.train), applied(data.validation), applied(data.test), data.summary)
    return Dataset(made.train, made.validation, made.test, _encoded(made, shift, scale)), (note,)


def _learnt(x: np.ndarray, scaling: str, words: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale of the training part, for each feature (last dimension); images without channels have one."""
    import numpy as np

    from optimizers.datasets import shaping

    image = shaping.is_plain_image(x.shape[1:]) and not scaling.endswith(COLUMNS)
    axes = tuple(range(x.ndim if image else x.ndim - 1))
    if scaling.startswith("standardize"):
        shift, scale = x.mean(axis=axes, dtype=np.float64), x.std(axis=axes, dtype=np.float64)
    else:
        shift = x.min(axis=axes).astype(np.float64)
        scale = x.max(axis=axes).astype(np.float64) - shift
    shift, scale = np.asarray(shift), np.asarray(np.where(scale > 0, scale, 1.0))
    if words:
        shift[words], scale[words] = 0.0, 1.0
    return shift, scale


def _words(data: Dataset) -> list[int]:
    """Positions of one-hot features, which are not scaled."""
    encoding = data.summary.preview.get("encoding", ())
    return [number for number, feature in enumerate(encoding) if "category" in feature]


def _encoded(data: Dataset, shift: np.ndarray, scale: np.ndarray) -> Any:
    """The summary, its table of raw values telling how they become what the model sees."""
    import numpy as np

    encoding = data.summary.preview.get("encoding")
    if not encoding:
        return data.summary
    shifts, scales = (np.broadcast_to(v, (len(encoding),)) for v in (shift, scale))
    changed = [
        feature | {"mean": feature["mean"] + feature["std"] * float(m), "std": feature["std"] * float(s)}
        for feature, m, s in zip(encoding, shifts, scales, strict=True)
    ]
    return data.summary.model_copy(update={"preview": {**data.summary.preview, "encoding": changed}})
