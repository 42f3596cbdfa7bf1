"""A class in Swift that runs the file on iOS and macOS."""

from __future__ import annotations

from optimizers.deployment import Deployable, Export
from optimizers.exports._templates import filled
from optimizers.exports._types import BOUNDS, check, class_name

_SWIFT = {
    "float32": "Float",
    "int8": "Int8",
    "uint8": "UInt8",
    "int16": "Int16",
    "int32": "Int32",
    "int64": "Int64",
}


def _make(file: Deployable) -> bytes:
    check(file, _SWIFT, "This program")
    return filled("program.swift.j2", file, name=class_name(file), bounds=BOUNDS, swift=_SWIFT)


EXPORT = Export(
    name="swift",
    title="iOS (Swift)",
    summary="A class that loads the file from the bundle of an app and answers one example.",
    kind="program",
    language="swift",
    suffix=".swift",
    mime="text/x-swift",
    rank=70,
    make=_make,
    tried="Not run here: that takes an Apple device.",
)
