"""What labels are for a model: which of their readings an output suits, and what its classes are called."""

from __future__ import annotations

from collections.abc import Sequence

from optimizers.datasets.shapes import counted, fitted_shape, told
from optimizers.datasets.tables import is_number
from optimizers.datasets.target_arrays import numbered
from optimizers.errors import DataRefused
from optimizers.kinds import KINDS
from optimizers.records import DatasetSummary, Target, Task, TensorSpec


def task_of(output: TensorSpec, data: DatasetSummary | Target, called: str, activation: str) -> Task:
    """What a model does at one output with these labels.

    Args:
        output: Of the model.
        data: The labels.
        called: What people call the data, for messages.
        activation: Of the output's layer, where known.

    Raises:
        DataRefused: The output suits no reading of the labels.
    """
    if data.label_shape:
        return _task_of_arrays(output, data, called, activation)
    lengths = [length for length in output.shape if length != 1]
    if len(lengths) > 1 or None in lengths:
        raise DataRefused(
            f"The model's output has shape {told(output.shape)}, but {called} has one label per example; save a "
            "label for each of its numbers, or for each position.",
            code="output-shape",
        )
    units = lengths[0] if lengths else 1
    if data.task == "regression":
        if units == 1:
            return "regression"
        hint = " (task=classification takes 0.0, 1.0, 2.0 for them)" if "classification" in data.alternatives else ""
        raise DataRefused(
            f"The model has {units} output units, but {called} has one number per example to estimate; choose "
            f"data with as many numbers, or with classes, saved as whole numbers{hint}.",
            code="units-differ",
        )
    classes = len(data.classes)
    if units == 1 and classes == 2:
        return "binary"
    if units == 1 and activation != "sigmoid" and numbers_of(data.classes) is not None:
        return "regression"
    if units is None or classes > units:
        raise DataRefused(
            f"The model has {counted(units or 0, 'output unit')}, but {called} has {classes} classes; choose data with "
            "the classes that the model was made for.",
            code="units-differ",
        )
    return "classification"


def classes_of(data: DatasetSummary | Target, task: Task) -> tuple[str, ...]:
    """Names of the classes, or labels, that a model of this task tells apart on this data; none for numbers."""
    if not KINDS[task].decides:
        return ()
    return numbered(_classes(data)) if task == "segmentation" and data.task != task else data.classes


def remark(outputs: Sequence[TensorSpec], data: DatasetSummary, task: Task) -> str:
    """What people should know where names of classes are fewer than a model tells apart; empty otherwise."""
    units = outputs[0].shape[-1] if len(outputs) == 1 and outputs[0].shape else None
    count = len(data.classes)
    if task != "classification" or data.label_shape or units is None or count >= units or not count:
        return ""
    if numbers_of(data.classes) is not None:
        return ""
    return (
        f"The data name {count} classes and the model tells {units} apart: in alphabetical order they are taken for "
        f"its first {count}. If they are others, save the numbers of classes instead of names."
    )


def classes_told(output: TensorSpec, label_shape: tuple[int, ...], activation: str) -> int:
    """How many classes an output tells apart at every position of labels of that shape; 0 where it does not."""
    shape = output.shape
    if shape and shape[-1] and fitted_shape(output.model_copy(update={"shape": shape[:-1]}), label_shape) is not None:
        return max(2, shape[-1])
    return 2 if activation == "sigmoid" and fitted_shape(output, label_shape) is not None else 0


def _task_of_arrays(output: TensorSpec, data: DatasetSummary | Target, called: str, activation: str) -> Task:
    """What labels of several numbers are for an output: the first of their readings that it suits.

    An output of the labels' shape gives a number for each of theirs: estimates, or whether a label of a row is true.
    One with a further, last dimension tells as many classes apart at every position; of length 1 it is the score of the
    second of two classes.
    """
    shape, units = output.shape, output.shape[-1] if output.shape else 1
    like = fitted_shape(output, data.label_shape) is not None
    around = fitted_shape(output.model_copy(update={"shape": shape[:-1]}), data.label_shape) is not None
    classes = _classes(data)
    suits = {
        "multilabel": like and not (len(shape) > 1 and units == 1),
        "segmentation": (around and units is not None and units >= (classes if units > 1 else classes - 1))
        or (like and classes == 2 and activation == "sigmoid"),
        "regression": like,
    }
    for task in (data.task, *data.alternatives):
        if suits.get(task):
            return task
    hint = f"; if {data.far_labels} marks positions that do not count, add ignore={data.far_labels}"
    hint = hint if data.far_labels and around else ""
    there = f"The model's output has shape {told(shape)}, but an example of {called} has labels of shape "
    wanted = f"{there}{told(data.label_shape)}"
    if around and units is not None and "segmentation" in (data.task, *data.alternatives):
        raise DataRefused(
            f"{wanted} with {classes} classes, and it tells only {max(2, units)} apart at each position; choose data "
            f"with the classes that the model was made for, or number those that occur with labels=ranked{hint}.",
            code="units-differ",
        )
    raise DataRefused(
        f"{wanted}; save one label for each of its numbers, or one class for each of its positions{hint}.",
        code="units-differ",
    )


def _classes(data: DatasetSummary | Target) -> int:
    """Into how many classes labels of several numbers fall."""
    named = len(data.classes) if data.task == "segmentation" else 0
    return named or (int(data.label_values.high) + 1 if data.label_values is not None else 0)


def numbers_of(classes: Sequence[str]) -> list[float] | None:
    """The classes as numbers, None where one is a word."""
    return [float(name) for name in classes] if classes and all(map(is_number, classes)) else None
