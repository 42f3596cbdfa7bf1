"""Single examples as people can look at them: a small image, a small line chart, named features, or numbers of words.

Pictures are addresses that hold a PNG (``data:image/png;base64,…``), so that a report needs no files beside it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from optimizers.datasets import shaping
from optimizers.datasets.shaping import COLOURS, is_plain_image

if TYPE_CHECKING:
    import numpy as np

    from optimizers.declarations import Dataset

Form = Literal["image", "sequence", "table", "words", "other"]
"""What an example is: an image, numbers over steps, named features, numbers of words, or something else."""

_SIDE = 64
_CHART = (200, 64)
_LINES = {
    "blue": "#1F85C7", "orange": "#E69F00", "green": "#009E73", "red": "#D55E00", "pink": "#CC79A7",
    "light blue": "#56B4E9", "grey": "#7D8590",
}  # fmt: skip
_MOST_WORDS = 24
_CHEQUER, _GROUND = 4, (0x99, 0xCC)


def form_of(x: np.ndarray) -> Form:
    """What the examples of an array, shape (n, *example), are, by their shape and type."""
    shape = x.shape[1:]
    if x.dtype.names:
        return "other"
    if (len(shape) == 3 and shape[-1] in COLOURS) or is_plain_image(shape):
        return "image"
    if len(shape) == 2:
        return "sequence"
    if len(shape) == 1:
        return "words" if x.dtype.kind in "iu" and shape[0] > 1 else "table"
    return "other"


@dataclass(frozen=True)
class Album:
    """Shows examples of one data set, all on one scale, which is that of its train part."""

    data: Dataset

    @cached_property
    def form(self) -> Form:
        return form_of(self.data.train.x)

    @property
    def drawn(self) -> bool:
        """Whether examples are shown as pictures; otherwise in columns."""
        return self.form in ("image", "sequence")

    @property
    def columns(self) -> tuple[str, ...]:
        """Titles of what `cells` tells."""
        if self.form == "words":
            return ("Words",)
        if self.form != "table":
            return ()
        return tuple(dict.fromkeys(self._column(number) for number in range(self.data.train.x.shape[1])))

    @property
    def legend(self) -> str:
        """What the lines of a sequence's picture are, in one sentence; empty for other examples."""
        if self.form != "sequence":
            return ""
        width = self.data.train.x.shape[-1]
        names = [f"{self._column(number)} {colour}" for number, colour in zip(range(width), _LINES, strict=False)]
        more = f"; {width - len(names)} more columns are not drawn" if width > len(names) else ""
        return f"Lines, each over its range in the training part: {', '.join(names)}{more}."

    def picture(self, example: np.ndarray) -> str | None:
        """The address of a picture of one example; None where examples are not drawn."""
        if not self.drawn:
            return None
        return _image(example, *self._range) if self.form == "image" else _chart(example, *self._ranges)

    def cells(self, example: np.ndarray) -> dict[str, Any]:
        """Values of one example by the names in `columns`: raw ones where the data set knows how it scaled them."""
        if self.form == "words":
            numbers = [str(int(v)) for v in example[:_MOST_WORDS]]
            return {"Words": " ".join(numbers) + (" …" if len(example) > _MOST_WORDS else "")}
        found: dict[str, Any] = {}
        for number, value in enumerate(example) if self.form == "table" else ():
            feature = self._encoding[number] if number < len(self._encoding) else {}
            name = self._column(number)
            if "category" in feature:
                if float(value) * feature["std"] + feature["mean"] > 0.5:
                    found[name] = str(feature["category"])
                found.setdefault(name, None)
            else:
                found[name] = float(f"{float(value) * feature.get('std', 1.0) + feature.get('mean', 0.0):.5g}")
        return found

    def _column(self, number: int) -> str:
        if number < len(self._encoding):
            return str(self._encoding[number]["column"])
        features = self.data.summary.features
        return features[number] if number < len(features) else f"feature {number + 1}"

    @cached_property
    def _encoding(self) -> list[dict[str, Any]]:
        found = list(self.data.summary.preview.get("encoding", ()))
        return found if len(found) == self.data.train.x.shape[-1] else []

    @cached_property
    def _range(self) -> tuple[float, float]:
        return float(self.data.train.x.min()), float(self.data.train.x.max())

    @cached_property
    def _ranges(self) -> tuple[np.ndarray, np.ndarray]:
        x = self.data.train.x
        return x.min(axis=(0, 1)), x.max(axis=(0, 1))


def _image(example: np.ndarray, low: float, high: float) -> str:
    """Nearest-neighbour enlargement to `_SIDE` pixels, or shrunk to it."""
    import numpy as np
    from PIL import Image

    scaled = (example.astype(np.float64) - low) / ((high - low) or 1.0) * 255
    pixels = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    image = Image.fromarray(pixels)
    longest = max(image.size)
    size = [max(1, round(side * _SIDE / longest)) for side in image.size]
    way = Image.Resampling.NEAREST if longest <= _SIDE else Image.Resampling.LANCZOS
    return _address(image.resize((size[0], size[1]), way))


def mask_picture(classes: np.ndarray, count: int) -> str:
    """The address of a picture of class numbers, shape (h, w): black and white for two classes, else a colour each.

    Where no class is judged (below 0) there is a chequered ground.
    """
    import numpy as np
    from PIL import Image

    chosen = ("#000000", "#FFFFFF") if count <= 2 else ("#000000", *_LINES.values())
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in chosen], np.uint8)
    longest = max(classes.shape)
    height, width = (max(1, round(side * _SIDE / longest)) for side in classes.shape)
    shown = shaping.resized_labels(classes[None], height, width)[0]
    pixels = colours[np.clip(shown, 0, count) % len(colours)]
    across, down = np.arange(width) // _CHEQUER, np.arange(height)[:, None] // _CHEQUER
    ground = np.where((across + down) % 2, *_GROUND).astype(np.uint8)
    return _address(Image.fromarray(np.where((shown < 0)[..., None], ground[..., None], pixels)))


def _chart(example: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """One line per column, each over its own range in the train part, the first few columns only."""
    import numpy as np
    from PIL import Image, ImageDraw

    width, height = (2 * side for side in _CHART)
    image = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(image)
    span = np.where(high > low, high - low, 1.0)
    places = np.clip((example - low) / span, 0, 1)
    across, colours = np.linspace(4, width - 4, len(example)), list(_LINES.values())
    for column in reversed(range(min(len(_LINES), example.shape[1]))):
        up = height - 6 - (height - 12) * places[:, column]
        pen.line(
            [(float(x), float(y)) for x, y in zip(across, up, strict=True)],
            fill=colours[column],
            width=4,
            joint="curve",
        )
    return _address(image.resize(_CHART, Image.Resampling.LANCZOS))


def _address(image: Any) -> str:
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
