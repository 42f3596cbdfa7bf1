"""Proposes how data are prepared for a model as far as shapes and labels tell: layout, size, columns, class numbers."""

from __future__ import annotations

import math
from typing import Any

from optimizers.datasets import shaping
from optimizers.datasets.columns import class_column, several_targets
from optimizers.datasets.labels_fit import classes_told
from optimizers.datasets.shapes import fitted_shape
from optimizers.records import DatasetSummary, ModelSummary


def fitting(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """Layout, channels, size, length and vocabulary that make examples what the model takes, as far as shapes tell.

    Args:
        model: With one input.
        data: As read without these.

    Returns:
        Fields of `Preparation`; none where the examples fit as they are or nothing of this kind would help.
    """
    if len(model.inputs) != 1:
        return {}
    wanted, shape = model.inputs[0].shape, data.input_shape
    if len(shape) == 1 and data.input_dtype.startswith(("int", "uint")):
        return _tokens(model, data)
    if fitted_shape(model.inputs[0], shape) is not None:
        return {}
    image = as_image(shape)
    if image is None:
        return {}
    found: dict[str, Any] = {}
    if image != shape and len(shape) == 3:
        found["layout"] = "channels_last"
    height, width, channels = (*image, 1)[:3]
    target = _image_wanted(wanted)
    if target is None:
        return found
    if target[2] == 1 and channels > 1:
        found["channels"] = "grey"
    elif target[2] == 3 and channels != 3:
        found["channels"] = "rgb"
    if target[0] and target[1] and (height, width) != target[:2]:
        found |= {"height": target[0], "width": target[1]}
    return found


def size_wanted(model: ModelSummary) -> dict[str, Any]:
    """Height and width of the images that the model takes; none where it takes any."""
    target = _image_wanted(model.inputs[0].shape) if len(model.inputs) == 1 else None
    return {"height": target[0], "width": target[1]} if target and target[0] and target[1] else {}


def targets_wanted(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """The columns of a table that a model predicts, where the numbers of features and of outputs tell."""
    columns = several_targets(model.inputs, model.outputs, data, model.activation)
    found = ",".join(columns) or class_column(model.inputs, model.outputs, data)
    return {"target": found} if found else {}


def reading_wanted(model: ModelSummary, code: str) -> dict[str, Any]:
    """How labels are read otherwise that were refused with this code; nothing where that would not help.

    Class numbers of which one occurs once, or below 0, or very large, may be numbers to estimate. After a sigmoid, and
    for several units, they are classes that are numbered otherwise.
    """
    if len(model.outputs) != 1 or code not in ("lone-class", "numbered-otherwise"):
        return {}
    estimates = math.prod(length or 0 for length in model.outputs[0].shape) == 1 and model.activation != "sigmoid"
    return {"task": "regression"} if estimates else {"labels": "ranked"} if code == "numbered-otherwise" else {}


def task_wanted(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """That whole numbers saved as decimals, such as 2.0, are classes, where the model tells classes apart."""
    if len(model.outputs) != 1 or data.task != "regression" or "classification" not in data.alternatives:
        return {}
    units = math.prod(length or 0 for length in model.outputs[0].shape)
    if data.label_shape or not (units > 1 or (units == 1 and model.activation == "sigmoid" and data.n_labels == 2)):
        return {}
    return {"task": "classification"} | ({"labels": "ranked"} if data.n_labels == max(2, units) else {})


def labels_wanted(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """``labels=ranked`` where there are as many different labels as outputs, but not numbered from zero."""
    shape = model.outputs[0].shape if len(model.outputs) == 1 else (0,)
    units = (shape[-1] if data.label_shape else max((length or 0 for length in shape), default=1)) or 0
    numbered = data.classes and all(name.isdigit() for name in data.classes)
    if numbered and data.n_labels and data.n_labels < len(data.classes) and max(units, 2) == data.n_labels:
        return {"labels": "ranked"}
    return {}


def ignored(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    """``ignore=255`` where that label is far from the others, which are classes of the model, and is itself none."""
    if len(model.outputs) != 1 or not data.far_labels:
        return {}
    classes = classes_told(model.outputs[0], data.label_shape, model.activation)
    outside = all(not 0 <= int(label) < classes for label in data.far_labels.split(","))
    inside = 0 < data.other_labels <= classes
    return {"ignore": data.far_labels} if inside and outside and data.n_labels != classes else {}


def _tokens(model: ModelSummary, data: DatasetSummary) -> dict[str, Any]:
    found: dict[str, Any] = {}
    length = model.inputs[0].shape[0] if len(model.inputs[0].shape) == 1 else None
    known = model.input_ranges[0] if model.input_ranges else None
    if known is None or not known.whole:
        return {}
    if length and length != data.input_shape[0]:
        found["length"] = length
    if data.values is not None and (data.values.high > known.high or data.values.low < 0):
        found["words"] = int(known.high) + 1
    return found


def as_image(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Examples as (height, width) or (height, width, channels); None where they are no images."""
    if shaping.is_plain_image(shape) or (len(shape) == 3 and shape[-1] in shaping.COLOURS):
        return shape
    if len(shape) == 3 and shape[0] in shaping.COLOURS:
        return (*shape[1:], shape[0])
    return None


def _image_wanted(shape: tuple[int | None, ...]) -> tuple[int | None, int | None, int] | None:
    """Height, width and channels of a model's images; a vector whose length is a square stands for a grey image."""
    if len(shape) == 3 and shape[-1] in (1, 3):
        return shape[0], shape[1], shape[-1]
    if len(shape) == 2 and None not in shape:
        return shape[0], shape[1], 1
    if len(shape) == 1 and shape[0]:
        side = round(shape[0] ** 0.5)
        return (side, side, 1) if side * side == shape[0] and side >= 8 else None
    return None
