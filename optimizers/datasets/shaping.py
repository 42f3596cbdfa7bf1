"""Changes the shape of examples: images by layout, channels and size, sequences by length and vocabulary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

COLOURS = (1, 3, 4)


def is_plain_image(shape: Sequence[int]) -> bool:
    """Whether examples of two dimensions are images, not sequences: sides of similar length, at least 8."""
    return len(shape) == 2 and min(shape) >= 8 and max(shape) <= 2 * min(shape)


def channels_last(x: np.ndarray) -> np.ndarray:
    """(n, channels, height, width) as (n, height, width, channels); images that are so already are left alone.

    Raises:
        DataRefused: No images.
    """
    import numpy as np

    if x.ndim == 4 and x.shape[1] in COLOURS:
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    if x.ndim == 4 and x.shape[-1] in COLOURS:
        return x
    raise _no_images(x, "put in another layout")


def with_channels(x: np.ndarray, channels: str, luma: Sequence[float]) -> np.ndarray:
    """Images (n, height, width, channels) that are ``grey``, ``rgb`` or ``bgr``; transparency is dropped.

    Args:
        x: Shape (n, height, width) or (n, height, width, 1, 3 or 4), any number type, which is kept.
        channels: What they are to be.
        luma: Weights of red, green and blue in grey.

    Raises:
        DataRefused: No images.
    """
    import numpy as np

    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.ndim != 4 or x.shape[-1] not in COLOURS:
        raise _no_images(x, f"made {channels}")
    x = x[..., :3]
    if channels == "grey":
        if x.shape[-1] == 1:
            return x
        grey = np.zeros((*x.shape[:-1], 1), np.float32)
        for number, weight in enumerate(luma):
            grey[..., 0] += x[..., number] * np.float32(weight)
        return (np.rint(grey) if x.dtype.kind in "iu" else grey).astype(x.dtype)
    if x.shape[-1] == 1:
        x = np.repeat(x, 3, axis=-1)
    return np.ascontiguousarray(x[..., ::-1]) if channels == "bgr" else x


def resized(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Images of another size, bilinear with antialiasing as Pillow does it; uint8 stays, other types become float32.

    Args:
        x: Shape (n, h, w) or (n, h, w, channels).

    Returns:
        Shape (n, height, width) or (n, height, width, channels).

    Raises:
        DataRefused: No images.
    """
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[-1] not in COLOURS):
        raise _no_images(x, "resized")
    made = _bilinear(x[..., None] if x.ndim == 3 else x, height, width)
    return made if x.ndim == 4 else made[..., 0]


def _bilinear(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Any number of channels, shape (n, h, w, channels)."""
    import numpy as np
    from PIL import Image

    dtype = np.uint8 if planes.dtype == np.uint8 else np.float32
    made = np.empty((len(planes), height, width, planes.shape[-1]), dtype)
    for number in range(len(planes)):
        for channel in range(planes.shape[-1]):
            plane = Image.fromarray(np.ascontiguousarray(planes[number, ..., channel], dtype))
            made[number, ..., channel] = np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))
    return made


def resized_labels(y: np.ndarray, height: int, width: int) -> np.ndarray:
    """Labels of every pixel, shape (n, h, w, ...), in another size: classes of the nearest pixel, numbers bilinear."""
    import numpy as np

    if y.dtype.kind == "f":
        planes = y.reshape(*y.shape[:3], math.prod(y.shape[3:]))
        return _bilinear(planes, height, width).reshape(len(y), height, width, *y.shape[3:])
    rows, columns = (
        np.minimum(((np.arange(size) + 0.5) * old / size).astype(int), old - 1)
        for size, old in ((height, y.shape[1]), (width, y.shape[2]))
    )
    return y[:, rows[:, None], columns]


def sequences(x: np.ndarray, length: int, words: int, unknown: int) -> np.ndarray:
    """Token ids (n, length) with the end of longer sequences kept and zeros in front of shorter ones.

    Args:
        x: Shape (n, any), integers.
        length: 0 leaves it.
        words: Ids from here on become ``unknown``, those below 0 become 0; 0 leaves them.

    Raises:
        DataRefused: No token ids.

    Source: The defaults of ``keras.utils.pad_sequences`` and of ``keras.datasets.imdb``.
    """
    import numpy as np

    if x.ndim != 2 or x.dtype.kind not in "iu":
        raise DataRefused(
            f"Only sequences of whole numbers have a vocabulary and a length to change, but the examples have shape "
            f"{x.shape[1:]} and type {x.dtype}; leave these options out.",
            code="no-tokens",
        )
    if words:
        x = np.where(x >= words, np.asarray(unknown, x.dtype), np.maximum(x, 0))
    if length and x.shape[1] >= length:
        return x[:, -length:]
    return np.pad(x, ((0, 0), (length - x.shape[1], 0))) if length else x


def _no_images(x: np.ndarray, what: str) -> DataRefused:
    return DataRefused(
        f"Examples of shape {x.shape[1:]} are no images and cannot be {what}; leave this option out.", code="no-images"
    )
