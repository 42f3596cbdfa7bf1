"""Does a data set fit a model? Decided from shapes alone, before anything is loaded."""

from __future__ import annotations

import math

import numpy as np

from optimizers.datasets.columns import class_column, made_of_words, several_targets
from optimizers.datasets.labels_fit import classes_of, numbers_of, task_of
from optimizers.datasets.several import arrays_of, joined, named
from optimizers.datasets.shapes import counted, fitted_shape, told
from optimizers.declarations import Dataset, InputShape, Part
from optimizers.errors import DataRefused
from optimizers.records import DatasetSummary, Target, Task, TensorSpec


def check_fit(
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    data: DatasetSummary,
    name: str = "",
    activation: str = "",
) -> Task:
    """The task that this model performs on this data.

    Data of two classes is ``binary`` for a model with one output unit, ``classification`` for one with two or more.
    Whole numbers that look like more than two classes may also be what a model estimates: ``regression``, where it has
    one output unit without a sigmoid. Labels of several numbers are what the outputs can tell (`_task_of_arrays`).
    Without labels it is ``reconstruction`` where the output has the input's shape, else ``fidelity`` to the original. A
    model with several outputs does ``several`` tasks where labels are named after them (`targets_of`), else it is
    ``fidelity``.

    Args:
        inputs, outputs: The model's, without the batch dimension.
        data: Summary of the data set.
        name: Of the data set, for messages; its source if left out.
        activation: Of the model's output layer, where known.

    Raises:
        DataRefused: Says what the model expects, what the data has, and what to do.
    """
    called = name or data.source or "the data set"
    if len(inputs) != len(data.each_input):
        raise DataRefused(
            f"The model has {counted(len(inputs), 'input')}, but the examples of {called} are made for "
            f"{len(data.each_input)}; save an array x_NAME for each input, or compare on random inputs.",
            code="several-tensors",
        )
    if columns := several_targets(inputs, outputs, data, activation):
        taken = math.prod(length or 1 for length in inputs[0].shape)
        raise DataRefused(
            f"The model takes {taken} numbers and gives {len(columns)}, together as many as {called} has columns; say "
            f"which of them are predicted, for example target={','.join(columns)}.",
            code="shape-differs",
        )
    if column := class_column(inputs, outputs, data):
        raise DataRefused(
            f"{called} has as many features as the model takes, and as many classes as it tells apart, if another "
            f"column is predicted: add target={column}.",
            code="shape-differs",
        )
    for spec, given in zip(inputs, _in_order(inputs, data, called), strict=True):
        _check_input(spec, given, called, f" for {spec.name!r}" if len(inputs) > 1 else "", made_of_words(data))
    if len(outputs) != 1:
        return "several" if targets_of(outputs, data, called) else "fidelity"
    if data.targets:
        data = _only(outputs[0], data, called)
    if data.task == "fidelity":
        same = len(inputs) == 1 and outputs[0].shape == inputs[0].shape
        return "reconstruction" if same and not data.drawn else "fidelity"
    return task_of(outputs[0], data, called, activation)


def targets_of(outputs: tuple[TensorSpec, ...], data: DatasetSummary, called: str) -> tuple[Target, ...]:
    """What each of several outputs is to say, in the model's order; nothing for one output or labels without names.

    An output whose name no labels have is held against the original: its task is ``fidelity``. Raises `DataRefused`
    where labels are named after no output, or do not suit theirs.
    """
    if len(outputs) < 2:
        return ()
    given = {one.name: one for one in data.targets}
    names = [spec.name for spec in outputs]
    unknown = [name for name in given if names.count(name) != 1]
    if unknown:
        wanted = ", ".join(f"y_{name}" for name in names)
        raise DataRefused(
            f"The labels {', '.join(f'y_{name}' for name in unknown)} of {called} are named after no output of the "
            f"model; its outputs want {wanted}. Those without labels are compared with the original.",
            code="several-tensors",
        )
    return tuple(_target(spec, given.get(spec.name), called) for spec in outputs) if given else ()


def _target(spec: TensorSpec, given: Target | None, called: str) -> Target:
    if given is None:
        given = Target(name=spec.name, task="fidelity")
        return given.model_copy(update={"output": _closed(spec, (), called), "activation": spec.activation})
    task = task_of(spec, given, f"y_{spec.name} of {called}", spec.activation)
    changed = {"task": task, "classes": classes_of(given, task), "activation": spec.activation}
    return given.model_copy(update=changed | {"output": _closed(spec, given.label_shape, called)})


def _closed(spec: TensorSpec, label: tuple[int, ...], called: str) -> tuple[int, ...]:
    """The shape of an output for one example, open dimensions taken from those of its labels."""
    lengths = [
        label[place] if length is None and place < len(label) else length for place, length in enumerate(spec.shape)
    ]
    if None in lengths:
        raise DataRefused(
            f"The output {spec.name!r} has shape {told(spec.shape)}, and nothing in {called} tells how long its open "
            "dimensions are; fix them in the model.",
            code="output-shape",
        )
    return tuple(length or 0 for length in lengths)


def _only(output: TensorSpec, data: DatasetSummary, called: str) -> DatasetSummary:
    """A summary of named labels as one of those for the only output: named after it, or the only ones there are."""
    named = [one for one in data.targets if one.name == output.name]
    chosen = named or (list(data.targets) if len(data.targets) == 1 else [])
    if not chosen:
        there = ", ".join(f"y_{one.name}" for one in data.targets)
        raise DataRefused(
            f"The model has one output, {output.name!r}, and {called} has the labels {there}; call those that are "
            f"meant y_{output.name}.",
            code="several-tensors",
        )
    return data.of(chosen[0]).model_copy(update={"targets": (chosen[0],)})


def _in_order(inputs: tuple[TensorSpec, ...], data: DatasetSummary, called: str) -> tuple[TensorSpec, ...]:
    """What an example has for each of the model's inputs: by their names, or of random inputs one after the other."""
    if len(inputs) == 1 or data.drawn:
        return data.each_input
    given = {spec.name: spec for spec in data.each_input}
    if set(given) != {spec.name for spec in inputs}:
        wanted, there = (", ".join(f"x_{spec.name}" for spec in specs) for specs in (inputs, data.each_input))
        raise DataRefused(
            f"The arrays of {called} are called {there}; call them {wanted}, after the model's inputs.",
            code="several-tensors",
        )
    return tuple(given[spec.name] for spec in inputs)


def _check_input(spec: TensorSpec, given: TensorSpec, called: str, place: str, made: str) -> None:
    if fitted_shape(spec, _known(given)) is None:
        raise DataRefused(
            f"The model expects inputs of shape {told(spec.shape)}{place}, but the examples of {called} have shape "
            f"{told(given.shape)}{made}; choose data made for this model.",
            code="shape-differs",
        )
    if _whole(spec.dtype) and not _whole(given.dtype):
        raise DataRefused(
            f"The model expects whole numbers ({spec.dtype}){place}, but examples of {called} are {given.dtype}; "
            "save them as integers.",
            code="dtype-differs",
        )


def open_shape(inputs: tuple[TensorSpec, ...], data: DatasetSummary) -> InputShape | None:
    """Shape that examples give to inputs with open dimensions; None where the model fixes them all.

    Args:
        inputs: The model's.
        data: Summary of data that fit the model.
    """
    if not any(None in spec.shape for spec in inputs):
        return None
    given = zip(inputs, _in_order(inputs, data, data.source), strict=True)
    shapes = [fitted_shape(spec, _known(one)) for spec, one in given]
    return shapes[0] if len(shapes) == 1 else tuple(shapes)


def adapt(part: Part, *specs: TensorSpec) -> Part:
    """The same examples in the shapes and dtypes of the model's inputs; labels are left alone.

    Args:
        part: ``x`` of shape (n, ...), or with one field per input.
        specs: The model's inputs.

    Raises:
        DataRefused: The examples do not fit.
    """
    arrays = arrays_of(part.x)
    named = dict(zip(part.x.dtype.names or (), arrays, strict=False))
    if all(spec.name in named for spec in specs):
        arrays = [named[spec.name] for spec in specs]
    return Part(joined([_adapted(array, spec) for array, spec in zip(arrays, specs, strict=True)]), part.y)


def _adapted(x: np.ndarray, spec: TensorSpec) -> np.ndarray:
    shape = fitted_shape(spec, x.shape[1:])
    if shape is None:
        raise DataRefused(
            f"The model expects inputs of shape {told(spec.shape)}, but the examples have shape "
            f"{told(x.shape[1:])}; choose data made for this model.",
            code="shape-differs",
        )
    return x.reshape(len(x), *shape).astype(spec.dtype, copy=False)


def adapt_dataset(
    data: Dataset,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    name: str = "",
    activation: str = "",
) -> Dataset:
    """The data set with its parts in the form that the model takes, and the task that the model performs on it.

    Args:
        data: As loaded.
        inputs, outputs, name, activation: As for `check_fit`.

    Raises:
        DataRefused: There is no such form.
    """
    summary = data.summary
    task = check_fit(inputs, outputs, summary, name, activation)
    parts = [adapt(part, *inputs) for part in (data.train, data.validation, data.test)]
    if summary.targets and len(outputs) == 1:
        summary = _only(outputs[0], summary, name)
        parts = [Part(part.x, part.y[summary.targets[0].name]) for part in parts]
    targets = targets_of(outputs, summary, name) if task == "several" else ()
    if task == "fidelity" and summary.task != "fidelity":
        parts = [Part(part.x, np.zeros((len(part), 0), np.float32)) for part in parts]
    elif task == "reconstruction":
        parts = [Part(part.x, part.x.astype(np.float32)) for part in parts]
    elif targets:
        read = {one.name: one for one in summary.targets}
        own = [one for one in targets if one.name in read]
        parts = [
            Part(part.x, named({one.name: _fitted(part.y[one.name], read[one.name], one.task) for one in own}))
            for part in parts
        ]
    else:
        parts = [Part(part.x, _fitted(part.y, summary, task)) for part in parts]
    train, validation, test = parts
    changed = {"task": task, "classes": classes_of(summary, task), "targets": targets}
    return Dataset(train, validation, test, summary.model_copy(update=changed))


def _fitted(y: np.ndarray, given: DatasetSummary | Target, task: Task) -> np.ndarray:
    """Labels as parts have them for the task: those of several numbers in their form, classes as numbers if need be."""
    if given.label_shape:
        return _typed(y, task)
    if task == "regression" and given.task != "regression":
        values: np.ndarray = np.asarray(numbers_of(given.classes), np.float32)[y]
        return values
    return y


def _typed(y: np.ndarray, task: Task) -> np.ndarray:
    """Labels of several numbers as parts have them: numbers as one row per example, classes in their shape."""
    return y.reshape(len(y), math.prod(y.shape[1:])).astype(np.float32) if task == "regression" else y


def _known(given: TensorSpec) -> tuple[int, ...]:
    """The shape of an example, in which nothing is open."""
    return tuple(length or 0 for length in given.shape)


def _whole(dtype: str) -> bool:
    return dtype.startswith(("int", "uint"))
