"""What a deployable file is, for whoever puts it into an application, and what an export makes of it.

Each export is one file in ``optimizers/exports/`` that ends in the constant ``EXPORT``: something to download, or a
program in some language that is ready to be copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

from optimizers.datasets import labels_fit
from optimizers.kinds import KINDS
from optimizers.naming import file_stem, without_ending
from optimizers.records import DatasetSummary, Measurement, Record, Run, Target, Task

Kind = Literal["file", "program"]


class Port(Record):
    """One input or output of a file.

    ``place`` is its number in the file, counted as the runtimes count. ``shape`` has the batch dimension, -1 where a
    dimension is open. ``scale`` is 0 where the values are not quantized; else real = ``scale`` * (stored - ``zero``).
    """

    place: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero: int = 0

    @property
    def size(self) -> int:
        """Numbers in it, for one example."""
        return prod(max(1, dimension) for dimension in self.shape)

    @property
    def quantized(self) -> bool:
        """Whether real values have to be rounded before they go in, or scaled after they come out."""
        return self.scale != 0 and self.dtype.startswith(("int", "uint"))


@dataclass(frozen=True)
class Deployable:
    """One file and everything that is known about it.

    Attributes:
        model, recipe: Names, for people.
        content: The ``.tflite`` file.
        inputs, outputs: In the model's order; `Port.place` has the file's.
        operators: Names of those in the file, each once.
        data: What the data set is, or None where that is no longer known.
        preparation: How its examples were prepared, as in its address; empty if not at all.
        measured: By metric.
        run: Where the file comes from.
        targets: What each of several outputs says, in the order of ``outputs``; empty where labels have no names.
        arena: Bytes that TensorFlow Lite Micro needs for it, or None where nobody has tried.
    """

    model: str
    recipe: str
    content: bytes
    digest: str
    task: Task | None
    activation: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: tuple[str, ...]
    data: DatasetSummary | None
    preparation: Mapping[str, Any]
    measured: Mapping[str, Measurement]
    run: Run
    arena: int | None = None
    targets: tuple[Target, ...] = ()

    @cached_property
    def stem(self) -> str:
        """A name that every file system takes, like ``digits_cnn-magnitude_pruning+int8``, with any seed but 0."""
        seed = f"-seed_{self.run.seed}" if self.run.seed else ""
        return file_stem(without_ending(self.model), self.recipe, most=120 - len(seed)) + seed

    @cached_property
    def identifier(self) -> str:
        """The same as a name that every language takes, like ``digits_cnn_int8``."""
        word = re.sub(r"\W+", "_", self.stem, flags=re.ASCII).strip("_").lower() or "model"
        return f"m_{word}" if word[0].isdigit() else word

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of what the outputs stand for; empty where they are no classes."""
        return labels_fit.classes_of(self.data, self.task) if self.data is not None and self.task else ()

    @property
    def features(self) -> list[dict[str, Any]]:
        """How a row's columns become the numbers of the input; empty where the data are no table.

        Each has ``column`` and either ``category`` (1 where the column says so, else 0) or ``mean`` and ``std``.
        """
        encoding = self.data.preview.get("encoding") if self.data is not None else None
        if not encoding or len(self.inputs) != 1 or self.inputs[0].shape[-1:] != (len(encoding),):
            return []
        return [dict(feature) for feature in encoding]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the examples before the model saw them, and what several outputs say, in sentences."""
        told = tuple(f"Output {number + 1}, {one.name}: {_said(one)}." for number, one in enumerate(self.targets))
        return (*(self.data.notes if self.data is not None else ()), *told)


def _said(target: Target) -> str:
    names = f" ({', '.join(target.classes)})" if target.classes else ""
    return KINDS[target.task].title.lower() + names


@dataclass(frozen=True)
class Export:
    """What can be made of a file.

    Attributes:
        name: Identifier.
        title: For buttons and tabs.
        summary: One sentence on what it is good for.
        kind: ``file`` is only downloaded; ``program`` is also shown.
        language: Of a program, as syntax highlighters call it.
        suffix: What the file's name ends in, after its stem.
        mime: Media type.
        rank: Place among the others.
        make: The content. Raises `NotApplicable` where the file does not suit.
        tried: One sentence on what was done to know that it works.
    """

    name: str
    title: str
    summary: str
    kind: Kind
    suffix: str
    mime: str
    rank: int
    make: Callable[[Deployable], bytes]
    tried: str = ""
    language: str = ""

    def file_name(self, file: Deployable) -> str:
        """Like ``digits_cnn-int8.tflite``."""
        return f"{file.stem}{self.suffix}"
