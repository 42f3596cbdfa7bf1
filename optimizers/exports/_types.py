"""What the element types of tensors are called in the languages of the programs."""

from __future__ import annotations

from collections.abc import Container, Iterable

from optimizers.deployment import Deployable, Port
from optimizers.errors import NotApplicable

BYTES = {"float32": 4, "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8}
BOUNDS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def check(file: Deployable, known: Container[str], runtime: str) -> None:
    """Raises `NotApplicable` unless all tensors of the file are of known types and of fixed sizes."""
    for port in _ports(file):
        if port.dtype not in known:
            raise NotApplicable(f"{runtime} takes and gives no {port.dtype}, which {port.name!r} of this file is.")
        if any(dimension < 0 for dimension in port.shape):
            raise NotApplicable(f"The size of {port.name!r} is open in this file; {runtime} needs a fixed one.")


def _ports(file: Deployable) -> Iterable[Port]:
    return (*file.inputs, *file.outputs)


def class_name(file: Deployable) -> str:
    """A name for a class, like ``DigitsCnnInt8``."""
    return "".join(part.capitalize() for part in file.identifier.split("_"))
