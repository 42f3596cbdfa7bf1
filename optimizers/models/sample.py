"""The models that come with the product (``sample:digits_cnn`` and so on), as their manifest lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from optimizers.declarations import ModelOrigin
from optimizers.errors import StoreDamaged, UnknownName
from optimizers.records import ModelRef, Record, Task, digest_of_path
from sample_models import FOLDER, MANIFEST


class Figure(Record):
    """A figure of merit on ``n`` examples of the test part. Fractions from 0 to 1, errors in the target's unit."""

    name: str
    value: float
    n: int


class SampleModel(Record):
    """One entry of the manifest.

    Attributes:
        file: Path below the folder of the sample models.
        sha256: Digest of that file.
        dataset: URI of the data set that it was trained on, and that ``baseline`` and ``figures`` were measured on.
        baseline: The headline figure; ``figures`` repeats it first and has the others.
        parameters: Number of weights, those of batch normalization included.
        keras_version: Library that saved the file.
        is_variant_of: Name of the entry with the same weights in another format.
    """

    file: str
    sha256: str
    size_bytes: int
    task: Task
    dataset: str
    licence: str
    baseline: Figure
    figures: tuple[Figure, ...]
    parameters: int
    keras_version: str
    seed: int
    description: str
    is_variant_of: str | None = None

    @property
    def path(self) -> Path:
        return FOLDER / self.file


@cache
def manifest() -> Mapping[str, SampleModel]:
    """All sample models by name, in the manifest's order; read once."""
    entries = json.loads(MANIFEST.read_text("utf-8"))
    return MappingProxyType({name: SampleModel.model_validate(entry) for name, entry in entries.items()})


def resolve(name: str) -> tuple[Path, ModelRef]:
    """The file of a sample model and its reference.

    Raises:
        UnknownName: Lists the models there are.
        StoreDamaged: The file is not there.
    """
    known = manifest()
    if name not in known:
        raise UnknownName(f"There is no sample model {name!r}; known are: {', '.join(known)}.")
    path = known[name].path
    if not path.is_file():
        raise StoreDamaged(f"The file of sample model {name!r} is missing; run: python -m sample_models.build.")
    return path, ModelRef(uri=f"sample:{name}", name=name, digest=digest_of_path(path))


ORIGIN = ModelOrigin(prefix="sample", title="Sample models", list=lambda: tuple(manifest()), resolve=resolve)
