"""A program in Python that runs the file."""

from __future__ import annotations

from optimizers.deployment import Deployable, Export
from optimizers.exports._templates import filled


def _make(file: Deployable) -> bytes:
    return filled("program.py.j2", file)


EXPORT = Export(
    name="python",
    title="Python",
    summary="Loads the file with LiteRT and answers one example.",
    kind="program",
    language="python",
    suffix=".py",
    mime="text/x-python",
    rank=40,
    make=_make,
    tried="The program is run with the file, and gives the answers that were measured.",
)
