"""Random inputs for a model that comes without data: ``drawn:8x8x1/0..1``, ``drawn:128/int32/0..9999``.

Several inputs are separated by commas: ``drawn:8x8x1/0..1,5/int32/0..9``.

Nothing can be learned from them and no accuracy can be measured. They are good for size and latency, and for how close
a variant's answers are to the original's; that too may differ on real data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizers.datasets import previews
from optimizers.datasets.several import inputs_of, joined
from optimizers.declarations import Dataset, DatasetOrigin, Part
from optimizers.errors import DataRefused, UnknownName
from optimizers.records import DatasetRef, DatasetSummary, InputRange, ModelSummary, TensorSpec, digest_of

if TYPE_CHECKING:
    import numpy as np

PREFIX = "drawn"
_SIZES = {"train": 500, "validation": 200, "test": 500}
_SEED = 20240301
_FORM = re.compile(r"(\d{1,9}(?:x\d{1,9}){0,4})(?:/(float32|int32))?/(-?[\d.]+(?:e-?\d+)?)\.\.(-?[\d.]+(?:e-?\d+)?)")
_OPEN = 32
_MOST_VALUES = 50_000_000
_MOST_INPUTS = 100


@dataclass(frozen=True)
class Draw:
    """One input of ``shape``, evenly spread from ``low`` to ``high``, both included where they are whole numbers."""

    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float

    def __str__(self) -> str:
        middle = "" if self.dtype == "float32" else f"/{self.dtype}"
        return f"{'x'.join(map(str, self.shape))}{middle}/{self.low:g}..{self.high:g}"


def uri_of(draws: Sequence[Draw]) -> str:
    """The URI of examples with these inputs, in the model's order."""
    return f"{PREFIX}:{','.join(map(str, draws))}"


def for_model(summary: ModelSummary, low: float | None = None, high: float | None = None) -> str:
    """The URI of inputs that a model can take.

    Args:
        summary: Of the model; dimensions that it leaves open become 32 long.
        low, high: The range; where left out, the one that the model tells (a vocabulary, a rescaling), else 0 to 1.
    """
    ranges = summary.input_ranges or (None,) * len(summary.inputs)
    return uri_of([_draw(spec, told, low, high) for spec, told in zip(summary.inputs, ranges, strict=True)])


def _draw(spec: TensorSpec, told: InputRange | None, low: float | None, high: float | None) -> Draw:
    told = told or InputRange(low=0, high=1)
    whole = told.whole or not spec.dtype.startswith("float")
    shape = tuple(_OPEN if length is None else length for length in spec.shape) or (1,)
    dtype = "int32" if whole else "float32"
    return Draw(shape, dtype, told.low if low is None else low, told.high if high is None else high)


def parse(rest: str) -> tuple[Draw, ...]:
    """The inputs that the part of the URI behind ``drawn:`` tells.

    Raises:
        UnknownName: Says how it is written.
        DataRefused: A range is upside down, or the inputs are too many, too large or empty.
    """
    inputs = rest.split(",")
    if len(inputs) > _MOST_INPUTS:
        raise DataRefused(f"Random inputs are drawn for at most {_MOST_INPUTS} inputs.", code="too-large")
    draws = tuple(_parsed(text) for text in inputs)
    if _values(draws) * sum(_SIZES.values()) > _MOST_VALUES * 20:
        shapes = " and ".join(str(draw.shape) for draw in draws)
        raise DataRefused(f"Random inputs of shape {shapes} are too large.", code="too-large")
    return draws


def _parsed(rest: str) -> Draw:
    found = _FORM.fullmatch(rest)
    if found is None:
        raise UnknownName(f"Random inputs are written like drawn:8x8x1/0..1 or drawn:128/int32/0..9999, not {rest!r}.")
    shape = tuple(int(length) for length in found[1].split("x"))
    try:
        low, high = float(found[3]), float(found[4])
    except ValueError:
        raise UnknownName(f"The range of random inputs is two numbers like 0..1, not {rest!r}.") from None
    if not (math.isfinite(low) and math.isfinite(high) and -1e9 <= low <= high <= 1e9):
        raise DataRefused("The range of random inputs goes from a smaller to a larger number.", code="bad-value")
    if 0 in shape:
        raise DataRefused(f"Random inputs of shape {shape} are empty.", code="too-large")
    return Draw(shape, found[2] or "float32", low, high)


def resolve(rest: str) -> DatasetRef:
    """The reference; nothing is drawn yet. Raises as `parse` does."""
    draws = parse(rest)
    uri = uri_of(draws)
    made_of = {"draw": uri, "seed": _SEED, "sizes": _sizes(draws)}
    return DatasetRef(uri=uri, name="random inputs", digest=digest_of(made_of))


def load(rest: str) -> Dataset:
    """The three parts, always the same. Raises as `parse` does."""
    import numpy as np

    draws = parse(rest)
    random, parts = np.random.default_rng(_SEED), {}
    for part, count in _sizes(draws).items():
        x = joined([_values_of(draw, count, random) for draw in draws])
        parts[part] = Part(x, np.zeros((count, 0), np.float32))
    summary = DatasetSummary(
        task="fidelity",
        drawn=True,
        input_shape=draws[0].shape,
        input_dtype=draws[0].dtype,
        inputs=inputs_of(parts["train"].x),
        n_train=len(parts["train"]),
        n_validation=len(parts["validation"]),
        n_test=len(parts["test"]),
        source="drawn at random",
        notes=(
            f"These are random {_told(draws)}, not data: what is measured is how close a variant's answers are to the "
            "original's, and on real data that may differ.",
        ),
        preview=_preview(parts["train"]),
    )
    return Dataset(parts["train"], parts["validation"], parts["test"], summary)


def _values_of(draw: Draw, count: int, random: np.random.Generator) -> np.ndarray:
    import numpy as np

    shape = (count, *draw.shape)
    if draw.dtype == "int32":
        return random.integers(round(draw.low), round(draw.high), shape, dtype=np.int32, endpoint=True)
    return random.uniform(draw.low, draw.high, shape).astype(np.float32)


def _told(draws: Sequence[Draw]) -> str:
    kinds = {"int32": "whole numbers", "float32": "numbers"}
    return " and ".join(dict.fromkeys(f"{kinds[draw.dtype]} from {draw.low:g} to {draw.high:g}" for draw in draws))


def _values(draws: Sequence[Draw]) -> int:
    """Numbers in one example."""
    return sum(math.prod(draw.shape) for draw in draws)


def _sizes(draws: Sequence[Draw]) -> dict[str, int]:
    """Fewer examples where each of them is large."""
    most = max(32, _MOST_VALUES // (_values(draws) * 3))
    return {part: min(count, most) for part, count in _SIZES.items()}


def _preview(train: Part) -> dict[str, object]:
    shape = train.x.shape[1:]
    if len(shape) == 1:
        columns = [f"feature {number + 1}" for number in range(min(shape[0], 12))]
        return previews.table(columns, [previews.listed(row[: len(columns)]) for row in train.x[:6]])
    return {"kind": "none"}


ORIGIN = DatasetOrigin(prefix=PREFIX, title="Random inputs", list=lambda: (), resolve=resolve, load=load)
