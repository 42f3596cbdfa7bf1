"""The deployable file as it is."""

from __future__ import annotations

from optimizers.deployment import Deployable, Export


def _make(file: Deployable) -> bytes:
    return file.content


EXPORT = Export(
    name="tflite",
    title=".tflite",
    summary="The file that was measured, for LiteRT on servers, phones, boards and in browsers.",
    kind="file",
    suffix=".tflite",
    mime="application/octet-stream",
    rank=10,
    make=_make,
)
