"""From ``prefix:rest`` to a model or a data set, whatever its origin."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from optimizers import registry
from optimizers.datasets import preparation
from optimizers.declarations import Dataset, DatasetOrigin, ModelOrigin
from optimizers.errors import DataRefused, UnknownName
from optimizers.records import DatasetRef, ModelRef

Origin = TypeVar("Origin", ModelOrigin, DatasetOrigin)


def resolve_model(uri: str) -> tuple[Path, ModelRef]:
    """Local path and reference of a model. Raises `UnknownName` or `ModelRefused`."""
    origin, rest = _split(uri, registry.model_origins(), "model")
    return origin.resolve(rest)


def resolve_dataset(uri: str) -> DatasetRef:
    """Reference of a data set with its preparation; no array is read. Raises `UnknownName` or `DataRefused`."""
    bare, wanted = preparation.split(uri)
    origin, rest = _split(bare, registry.dataset_origins(), "data set")
    return preparation.reference(origin.resolve(rest), wanted)


def load_dataset(uri: str) -> Dataset:
    """A data set with its arrays, prepared as its URI says. Raises `UnknownName` or `DataRefused`."""
    bare, wanted = preparation.split(uri)
    origin, rest = _split(bare, registry.dataset_origins(), "data set")
    if wanted == preparation.NOTHING:
        return origin.load(rest)
    if origin.read is not None:
        return preparation.prepare(origin.read(rest, wanted), wanted)
    if wanted.reading:
        raise DataRefused(
            f"What is predicted in {bare} is fixed; leave {' and '.join(wanted.reading)} out.", code="bad-preparation"
        )
    return preparation.prepare(origin.load(rest), wanted)


def _split(uri: str, origins: dict[str, Origin], noun: str) -> tuple[Origin, str]:
    """Origin and remainder of a URI. Text without a known prefix is the path of a file."""
    prefix, colon, rest = uri.partition(":")
    if colon and prefix in origins:
        return origins[prefix], rest
    if colon and len(prefix) > 1 and "/" not in prefix and not Path(uri).exists():
        known = ", ".join(f"{name}:" for name in origins)
        raise UnknownName(f"There is no {noun} {uri!r}; write one of {known} and a name, or the path of a file.")
    return origins["file"], uri
