"""A module in JavaScript that runs the file in browsers."""

from __future__ import annotations

from optimizers.deployment import Deployable, Export
from optimizers.exports._templates import filled
from optimizers.exports._types import BOUNDS, check

_ARRAYS = {"float32": "Float32Array", "int32": "Int32Array", "uint8": "Uint8Array"}


def _make(file: Deployable) -> bytes:
    check(file, _ARRAYS, "LiteRT.js")
    return filled("program.js.j2", file, bounds=BOUNDS, arrays=_ARRAYS)


EXPORT = Export(
    name="javascript",
    title="Browser (JavaScript)",
    summary="Loads the file with LiteRT.js, in WebAssembly or on the graphics card, and answers one example.",
    kind="program",
    language="javascript",
    suffix=".js",
    mime="text/javascript",
    rank=80,
    make=_make,
)
