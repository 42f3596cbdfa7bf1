"""Where Keras archives of different releases keep the weights of a layer.

Today that is ``layers/dense_1``. Keras 2 on Windows wrote one group named ``layers\\dense_1``, and Keras 2.13 and 2.14
wrote ``_layer_checkpoint_dependencies/dense_1``, in some releases counting 0, 2, 4 where others count 0, 1, 2.
"""

from __future__ import annotations

import re

from optimizers.errors import ModelRefused
from optimizers.models.reader.hdf5 import Hdf5
from optimizers.models.reader.values import shown

_OLD = "_layer_checkpoint_dependencies"
_STEP = re.compile(r"(layers/)?([^/]+?)(?:_(\d+))?(?:/|$)")


def stored_path(path: str, file: Hdf5) -> str:
    """The place where a file keeps what would be at ``path`` today.

    Raises:
        ModelRefused: ``weights-mismatch`` where old numbers can be read in two ways.
    """
    if file.node("layers") is not None:
        return path
    if file.node(_OLD) is not None:
        return _of_checkpoint_dependencies(path, file)
    return path.replace("/", "\\")


def _of_checkpoint_dependencies(path: str, file: Hdf5) -> str:
    """Each ``layers/dense_1`` on the way becomes ``_layer_checkpoint_dependencies/dense_1``, or ``…/dense_2``."""
    found = ""
    for step in _STEP.finditer(path):
        in_container, name, number = step[1], step[2], int(step[3] or 0)
        if not in_container:
            found += f"/{step[0].strip('/')}"
            continue
        folder = f"{found}/{_OLD}"
        if _counts_double(name, file.children(folder)):
            number *= 2
        found = f"{folder}/{name}_{number}" if number else f"{folder}/{name}"
    return found.strip("/")


def _counts_double(name: str, stored: list[str]) -> bool:
    """Whether the numbers of a class run 0, 2, 4: releases that did so listed every layer with weights twice."""
    matches = [re.fullmatch(rf"{re.escape(name)}(?:_(\d+))?", other) for other in stored]
    numbers = sorted(int(match[1] or 0) for match in matches if match)
    if numbers == list(range(len(numbers))):
        return False
    if any(number % 2 for number in numbers):
        raise ModelRefused(
            f"The weights of the {shown(name)!r} layers cannot be told apart in this old archive; save the model again "
            "with model.save('model.keras').",
            code="weights-mismatch",
        )
    return True
