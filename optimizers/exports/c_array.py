"""The file as an array in C and C++, to be compiled into a program that has no file system."""

from __future__ import annotations

from optimizers.deployment import Deployable, Export
from optimizers.errors import NotApplicable
from optimizers.exports._templates import filled

MOST_BYTES = 16 << 20
_PER_LINE = 16


def _make(file: Deployable) -> bytes:
    size = len(file.content)
    if size > MOST_BYTES:
        raise NotApplicable(
            f"As a C array the file would be {5 * size >> 20} MiB of text, which compilers choke on; load the .tflite "
            "file instead."
        )
    lines = (file.content[start : start + _PER_LINE] for start in range(0, size, _PER_LINE))
    array = ",\n".join("    " + ", ".join(f"0x{byte:02x}" for byte in line) for line in lines)
    return filled("model.h.j2", file, array=array)


EXPORT = Export(
    name="c_array",
    title="C array",
    summary="The same bytes as a header for C and C++, for microcontrollers without a file system.",
    kind="file",
    suffix=".h",
    mime="text/x-c",
    rank=20,
    make=_make,
    tried="The header is compiled as C and as C++, and the program finds the bytes of the file in it.",
)
