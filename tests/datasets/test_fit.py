from __future__ import annotations

import numpy as np
import pytest

from optimizers.datasets.fit import adapt, adapt_dataset, check_fit, open_shape
from optimizers.datasets.several import arrays_of, joined
from optimizers.datasets.shapes import fitted_shape
from optimizers.datasets.targets import read_targets
from optimizers.declarations import Dataset, Part
from optimizers.errors import DataRefused
from optimizers.records import DatasetSummary, InputRange, TensorSpec


def spec(*shape, dtype="float32", name="t"):
    return TensorSpec(name=name, shape=shape, dtype=dtype)


def summary(shape=(8, 8), classes=10, dtype="float32"):
    task = {0: "regression", 2: "binary"}.get(classes, "classification")
    return DatasetSummary(
        task=task,
        input_shape=shape,
        input_dtype=dtype,
        n_train=6,
        n_validation=2,
        n_test=2,
        classes=tuple(map(str, range(classes))),
        source="digits.npz",
    )


@pytest.mark.parametrize(
    ("expected", "given", "fitted"),
    [
        ((8, 8, 1), (8, 8, 1), (8, 8, 1)),
        ((8, 8, 1), (8, 8), (8, 8, 1)),
        ((8, 8), (8, 8, 1), (8, 8)),
        ((1, 8, 8), (8, 8), (1, 8, 8)),
        ((64,), (8, 8, 1), (64,)),
        ((None, None, 1), (8, 8), (8, 8, 1)),
        ((None, 5), (16, 5), (16, 5)),
        ((None,), (8, 8), None),
        ((28, 28, 1), (8, 8), None),
        ((8, 8, 3), (8, 8), None),
        ((8, 8), (64,), None),
        ((9,), (8,), None),
    ],
)
def test_shapes(expected, given, fitted):
    assert fitted_shape(spec(*expected), given) == fitted
    part = Part(np.zeros((3, *given), np.uint8), np.zeros(3, np.int64))
    if fitted is None:
        with pytest.raises(DataRefused):
            adapt(part, spec(*expected))
    else:
        adapted = adapt(part, spec(*expected)).x
        assert (adapted.shape, adapted.dtype) == ((3, *fitted), np.float32)


@pytest.mark.parametrize(
    ("units", "classes", "task"),
    [
        ((1,), 2, "binary"),
        ((), 2, "binary"),
        ((2,), 2, "classification"),
        ((10,), 2, "classification"),
        ((10,), 10, "classification"),
        ((1, 1, 10), 7, "classification"),
        ((1,), 0, "regression"),
    ],
)
def test_tasks(units, classes, task):
    assert check_fit((spec(8, 8, 1),), (spec(*units),), summary(classes=classes)) == task


@pytest.mark.parametrize(
    ("inputs", "outputs", "data", "message"),
    [
        (
            (spec(28, 28, 1),),
            (spec(10),),
            summary(),
            "The model expects inputs of shape (28, 28, 1), but the examples of digits.npz have shape (8, 8); choose "
            "data made for this model.",
        ),
        (
            (spec(8), spec(8)),
            (spec(1),),
            summary(),
            "The model has 2 inputs, but the examples of digits.npz are made for 1; save an array x_NAME for each "
            "input, or compare on random inputs.",
        ),
        (
            (spec(8, 8),),
            (spec(3),),
            summary(),
            "The model has 3 output units, but digits.npz has 10 classes; choose data with the classes that the model "
            "was made for.",
        ),
        (
            (spec(8, 8),),
            (spec(10),),
            summary(classes=0),
            "The model has 10 output units, but digits.npz has one number per example to estimate; choose data with as "
            "many numbers, or with classes, saved as whole numbers.",
        ),
        (
            (spec(8, 8),),
            (spec(8, 8, 3),),
            summary(),
            "The model's output has shape (8, 8, 3), but digits.npz has one label per example; save a label for each "
            "of its numbers, or for each position.",
        ),
        (
            (spec(8, 8, dtype="int32"),),
            (spec(10),),
            summary(),
            "The model expects whole numbers (int32), but examples of digits.npz are float32; save them as integers.",
        ),
    ],
)
def test_misfits_say_what_to_do(inputs, outputs, data, message):
    with pytest.raises(DataRefused) as caught:
        check_fit(inputs, outputs, data)
    assert caught.value.message == message


def test_a_name_of_ones_own_is_used():
    with pytest.raises(DataRefused, match="examples of my digits have shape"):
        check_fit((spec(3),), (spec(10),), summary(), "my digits")


def test_whole_numbers_are_estimated_by_a_linear_unit_and_refused_by_a_sigmoid():
    described = summary(classes=0).model_copy(update={"task": "classification", "classes": ("10", "20", "35")})
    part = Part(np.zeros((4, 8, 8), np.float32), np.array([0, 1, 2, 1]))
    data = Dataset(part, part, part, described)
    adapted = adapt_dataset(data, (spec(8, 8),), (spec(1),), activation="linear")
    assert adapted.summary.task == "regression"
    assert adapted.summary.classes == ()
    assert adapted.test.y.tolist() == [10.0, 20.0, 35.0, 20.0]
    with pytest.raises(DataRefused, match="3 classes"):
        adapt_dataset(data, (spec(8, 8),), (spec(1),), activation="sigmoid")


def test_a_model_with_several_outputs_is_compared_with_itself_whatever_the_labels_are():
    part = Part(np.zeros((4, 8, 8), np.float32), np.array([0, 1, 2, 1]))
    adapted = adapt_dataset(Dataset(part, part, part, summary()), (spec(8, 8, 1),), (spec(10), spec(1)))
    assert adapted.summary.task == "fidelity"
    assert adapted.summary.classes == ()
    assert (adapted.test.x.shape, adapted.test.y.shape) == ((4, 8, 8, 1), (4, 0))


def test_each_of_several_inputs_has_to_fit():
    inputs = (spec(8, 8), spec(5, dtype="int32"))
    given = summary().model_copy(update={"task": "fidelity", "inputs": inputs, "drawn": True})
    assert check_fit((spec(8, 8, 1), spec(5, dtype="int64")), (spec(2),), given) == "fidelity"
    with pytest.raises(DataRefused, match=r"shape \(6,\) for 't', but the examples of digits.npz have shape \(5,\)"):
        check_fit((spec(8, 8, 1), spec(6)), (spec(2),), given)
    with pytest.raises(DataRefused, match=r"The model has 1 input, but the examples of .* are made for 2"):
        check_fit((spec(8, 8),), (spec(10),), given)
    x = joined([np.ones((3, 8, 8), np.float32), np.full((3, 5), 7, np.int32)])
    first, second = arrays_of(adapt(Part(x, np.zeros((3, 0))), spec(8, 8, 1), spec(5, dtype="int64")).x)
    assert (first.shape, second.dtype, second.max()) == ((3, 8, 8, 1), np.int64, 7)


def test_open_dimensions_of_several_inputs_get_the_sizes_of_the_examples():
    given = summary().model_copy(update={"inputs": (spec(12, 3), spec(5)), "drawn": True})
    assert open_shape((spec(None, 3), spec(5)), given) == ((12, 3), (5,))
    assert open_shape((spec(12, 3), spec(5)), given) is None
    assert open_shape((spec(None, 8),), summary()) == (8, 8)


def of_several(labels, task=None):
    """The summary of examples of shape (8, 8) whose labels are several numbers."""
    targets = read_targets(np.asarray(labels), "y", task)
    high = float(targets.y.max())
    return summary().model_copy(
        update={
            "task": targets.task, "alternatives": targets.alternatives, "classes": targets.classes,
            "label_shape": targets.y.shape[1:], "label_values": InputRange(low=0.0, high=high),
        }
    )  # fmt: skip


TRUTH = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]])
COUNTS = np.array([[3, 1, 0, 2], [0, 1, 1, 2], [1, 0, 0, 0]])
MASKS = np.array([np.eye(8, dtype=int), np.ones((8, 8), int), np.zeros((8, 8), int)])


@pytest.mark.parametrize(
    ("labels", "output", "activation", "task"),
    [
        (TRUTH, (4,), "sigmoid", "multilabel"),
        (TRUTH, (4,), "linear", "multilabel"),
        (TRUTH, (4, 1), "sigmoid", "segmentation"),
        (TRUTH, (4, 2), "softmax", "segmentation"),
        (TRUTH[..., None], (4, 2), "softmax", "segmentation"),
        (COUNTS, (4,), "linear", "regression"),
        (COUNTS, (4, 1), "linear", "regression"),
        (COUNTS, (4, 4), "softmax", "segmentation"),
        (COUNTS.astype(float), (4, 5), "softmax", "segmentation"),
        (COUNTS / 2, (2, 2), "linear", None),
        (COUNTS / 2, (4,), "linear", "regression"),
        (COUNTS.reshape(3, 2, 2) / 2, (4,), "linear", "regression"),
        (MASKS, (8, 8, 1), "sigmoid", "segmentation"),
        (MASKS, (8, 8, 1), "linear", "segmentation"),
        (MASKS[..., None] * 255, (8, 8, 1), "sigmoid", "segmentation"),
        (MASKS.astype(float), (None, None, 1), "sigmoid", "segmentation"),
        (MASKS, (8, 8), "sigmoid", "segmentation"),
        (MASKS, (8, 8), "linear", "regression"),
        (np.eye(3)[MASKS], (8, 8, 3), "softmax", "segmentation"),
        (MASKS * 0.7, (8, 8, 1), "sigmoid", "regression"),
        (MASKS * 2, (8, 8, 2), "softmax", "segmentation"),
        (MASKS + MASKS[::-1], (8, 8, 2), "softmax", None),
        (TRUTH, (5,), "sigmoid", None),
        (np.array([["a", "b"], ["c", "a"]]), (2, 3), "softmax", "segmentation"),
        (np.array([["a", "b"], ["c", "a"]]), (2,), "linear", None),
    ],
)
def test_outputs_decide_what_labels_of_several_numbers_are(labels, output, activation, task):
    data, outputs = of_several(labels), (spec(*output),)
    if task is None:
        with pytest.raises(DataRefused, match=r"The model's output has shape .*labels of shape .*\.$"):
            check_fit((spec(8, 8),), outputs, data, activation=activation)
        return
    assert check_fit((spec(8, 8),), outputs, data, activation=activation) == task
    y = read_targets(np.asarray(labels), "y").y
    part = Part(np.zeros((len(y), 8, 8), np.float32), y)
    adapted = adapt_dataset(Dataset(part, part, part, data), (spec(8, 8),), outputs, activation=activation)
    assert adapted.summary.task == task
    assert bool(adapted.summary.classes) == (task != "regression")
    if task == "regression":
        assert (adapted.test.y.dtype, adapted.test.y.shape) == (np.float32, (len(y), y[0].size))
        none = Dataset(part, part, Part(part.x[:0], y[:0]), data)
        assert adapt_dataset(none, (spec(8, 8),), outputs, activation=activation).test.y.shape == (0, y[0].size)
    else:
        assert int(adapted.test.y.max()) < max(2, len(adapted.summary.classes))


def test_a_named_task_is_not_given_up():
    assert check_fit((spec(8, 8),), (spec(4),), of_several(TRUTH, "regression")) == "regression"
    with pytest.raises(DataRefused, match="labels of shape"):
        check_fit((spec(8, 8),), (spec(4, 2),), of_several(TRUTH, "multilabel"))


def test_labels_of_a_model_with_several_outputs_are_not_used_whatever_their_shape():
    part = Part(np.zeros((3, 8, 8), np.float32), TRUTH)
    adapted = adapt_dataset(Dataset(part, part, part, of_several(TRUTH)), (spec(8, 8),), (spec(4), spec(1)))
    assert (adapted.summary.task, adapted.test.y.shape) == ("fidelity", (3, 0))
