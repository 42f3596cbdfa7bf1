"""A class in Kotlin that runs the file on Android."""

from __future__ import annotations

from optimizers.deployment import Deployable, Export
from optimizers.exports._templates import filled
from optimizers.exports._types import BOUNDS, BYTES, check, class_name

_PUT = {
    "float32": "putFloat(%s)",
    "int8": "put(%s.toInt().toByte())",
    "uint8": "put(%s.toInt().toByte())",
    "int16": "putShort(%s.toInt().toShort())",
    "int32": "putInt(%s.toInt())",
    "int64": "putLong(%s.toLong())",
}
_GET = {
    "float32": "%s.getFloat()",
    "int8": "%s.get().toFloat()",
    "uint8": "(%s.get().toInt() and 0xFF).toFloat()",
    "int16": "%s.getShort().toFloat()",
    "int32": "%s.getInt().toFloat()",
    "int64": "%s.getLong().toFloat()",
}


def _make(file: Deployable) -> bytes:
    check(file, BYTES, "This program")
    return filled("program.kt.j2", file, name=class_name(file), bytes=BYTES, bounds=BOUNDS, put=_PUT, get=_GET)


EXPORT = Export(
    name="kotlin",
    title="Android (Kotlin)",
    summary="A class that loads the file from the assets of an app and answers one example.",
    kind="program",
    language="kotlin",
    suffix=".kt",
    mime="text/x-kotlin",
    rank=60,
    make=_make,
    tried="Not run here: that takes an Android device.",
)
