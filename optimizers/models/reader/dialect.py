"""Older ways to write a model description, translated into the one that Keras 3 uses."""

from __future__ import annotations

import re
from typing import Any

from optimizers.errors import ModelRefused
from optimizers.models.reader import values as v

_KEYS = {"batch_input_shape": 2, "batch_shape": 3}
_CLASSES = {"TFOpLambda": 2, "SlicingOpLambda": 2, "DTypePolicy": 3, "__keras_tensor__": 3}
_ALIASES = {
    "Model": "Functional",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AvgPool2D": "AveragePooling2D",
    "SyncBatchNormalization": "BatchNormalization",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}


def dialect_of(config: Any, version: str = "") -> int:
    """2 or 3: which Keras wrote a description.

    What the description looks like decides; versions in files are missing or wrong too often.

    Args:
        config: Parsed JSON.
        version: What the file says, used when the description fits both.
    """
    found: set[int] = set()
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            found.update(_KEYS[key] for key in item if key in _KEYS)
            kind, module = item.get("class_name"), item.get("module")
            if isinstance(kind, str) and kind in _CLASSES:
                found.add(_CLASSES[kind])
            if isinstance(module, str) and module.startswith("tf_keras"):
                found.add(2)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    if found:
        return min(found)
    return 3 if version.startswith("3.") else 2


def canonical_kind(class_name: str) -> str:
    """Class name without package prefix, by its present name."""
    bare = class_name.rsplit(">", 1)[-1]
    return _ALIASES.get(bare, bare)


_CLASS_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Layers that files call otherwise than their class."""


def snake_case(class_name: str) -> str:
    """Name under which Keras archives keep the weights of layers of a class: ``Conv2D`` gives ``conv2d``."""
    name = re.sub(r"\W+", "", _CLASS_NAMES.get(class_name, class_name))
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


class Numbering:
    """Appends ``_1``, ``_2`` … to names that repeat, as Keras does inside one container."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def unique(self, name: str) -> str:
        count = self._seen.get(name, -1) + 1
        self._seen[name] = count
        return f"{name}_{count}" if count else name


def canonical_options(kind: str, options: dict[str, Any], *, keras3: bool, where: str) -> dict[str, Any]:
    """A layer's options under their Keras 3 names and with their Keras 3 meaning."""
    options = dict(options)
    if kind == "LeakyReLU" and "alpha" in options:
        options["negative_slope"] = options.pop("alpha")
    if kind == "BatchNormalization":
        options["axis"] = _single_axis(options.get("axis", -1), where)
    if kind in ("ZeroPadding1D", "CenterCrop", "Resizing") and options.get("data_format") == "channels_first":
        raise ModelRefused(
            f"{where[0].upper()}{where[1:]}: data in channels_first order is not supported by {kind}; build the model "
            "with channels_last.",
            code="unsupported-option",
        )
    if not keras3:
        _keras2_meaning(kind, options)
    return options


def _keras2_meaning(kind: str, options: dict[str, Any]) -> None:
    for name in ("activation", "recurrent_activation"):
        value = options.get(name)
        if value == "hard_sigmoid" or (isinstance(value, dict) and value.get("config") == "hard_sigmoid"):
            options[name] = "keras2_hard_sigmoid"
        elif isinstance(value, str) and value == f"{v.OURS}hard_sigmoid":
            options[name] = "hard_sigmoid"
    if kind == "GRU":
        options.setdefault("reset_after", False)


def _single_axis(axis: Any, where: str) -> Any:
    if not isinstance(axis, list | tuple):
        return axis
    if len(axis) != 1:
        raise ModelRefused(
            f"{where[0].upper()}{where[1:]}: normalizing over more than one axis is not supported; use one axis.",
            code="unsupported-option",
        )
    return axis[0]
