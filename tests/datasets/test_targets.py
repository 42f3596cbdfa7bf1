from __future__ import annotations

import numpy as np
import pytest

from optimizers.datasets.targets import read_targets
from optimizers.errors import DataRefused


@pytest.mark.parametrize(
    ("labels", "task", "classes", "y"),
    [
        (["b", "a", "c", "a"], "classification", ("a", "b", "c"), [1, 0, 2, 0]),
        ([b"no", b"yes"], "binary", ("no", "yes"), [0, 1]),
        ([True, False], "binary", ("False", "True"), [1, 0]),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], "classification", ("0", "1", "2"), [1, 2, 0]),
        ([[0.0, 1.0], [1.0, 0.0]], "binary", ("0", "1"), [1, 0]),
        ([[2], [0], [1]], "classification", ("0", "1", "2"), [2, 0, 1]),
        ([0.0, 1.0, 1.0], "binary", ("0", "1"), [0, 1, 1]),
        (list(range(100)) * 2, "classification", tuple(map(str, range(100))), list(range(100)) * 2),
    ],
)
def test_classes_are_recognized(labels, task, classes, y):
    targets = read_targets(np.array(labels), "y")
    assert (targets.task, targets.classes, targets.y.tolist()) == (task, classes, y)
    assert targets.y.dtype == np.int64


@pytest.mark.parametrize("labels", [[0.5, 1.5], [0.0, 1.0, 2.0], list(range(0, 200, 2)), [-1.5, 3.0]])
def test_numbers_are_recognized(labels):
    targets = read_targets(np.array(labels), "y")
    assert (targets.task, targets.classes, targets.y.dtype) == ("regression", (), np.float32)


def test_whoever_knows_better_names_the_task():
    assert read_targets(np.array([3, 4, 5]), "y", "regression").task == "regression"
    assert read_targets(np.array([0.0, 1.0, 2.0]), "y", "classification").task == "classification"


def test_gaps_are_kept_and_said():
    targets = read_targets(np.array([1, 3, 3]), "y")
    assert targets.classes == ("0", "1", "2", "3")
    assert targets.notes == ("No example has the label 0, 2.",)


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        ([-1, 1], None, "y holds the label -1; number the classes 0, 1, 2 and so on, or choose labels=ranked."),
        ([0, 5000], None, "y holds the label 5000; number"),
        ([4, 4], None, "All labels in y are equal"),
        (["a", "a"], None, "All labels in y are equal"),
        ([0.5, 0.5], None, "All values of y are equal"),
        ([[0.2, 0.8], [0.5, 0.5]], "classification", "y has 2 numbers per example that are not one-hot"),
        ([[[1]]], None, "All labels in y are equal"),
        ([[], []], None, "y has labels of shape (0,), which are empty"),
        ([1, 0], "multilabel", "y has one label per example, not several"),
        ([[1, 2], [0, 1]], "multilabel", "y holds other numbers than 0 and 1"),
        ([[[1, 0], [1, 1]]], "multilabel", "a row of 0 and 1"),
        ([[1, 0.5], [0, 1]], "segmentation", "not whole"),
        ([[1, -1], [0, 1]], "segmentation", "y holds the label -1"),
        ([[1, 1], [1, 1]], None, "All labels in y are equal"),
        ([["a", "b"], ["b", "a"]], "regression", "y holds words"),
        (["a", "b"], "regression", "y holds words"),
        ([0.5, 1.0], "classification", "not whole"),
        ([0.0, 1e300], None, "beyond the range of float32"),
    ],
)
def test_odd_labels_are_refused(labels, task, message):
    with pytest.raises(DataRefused) as caught:
        read_targets(np.array(labels), "y", task)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("labels", "task", "alternatives", "classes", "y"),
    [
        ([[1, 1], [0, 0]], "multilabel", ("segmentation", "regression"), ("0", "1"), [[1, 1], [0, 0]]),
        ([[3, 0], [1, 1]], "segmentation", ("regression",), ("0", "1", "2", "3"), [[3, 0], [1, 1]]),
        ([[3, -1], [1, 1]], "regression", (), (), [[3, -1], [1, 1]]),
        ([[3.0, 0.0], [1.0, 1.0]], "regression", ("segmentation",), (), [[3, 0], [1, 1]]),
        ([[0.5, 2], [1, 1]], "regression", (), (), [[0.5, 2], [1, 1]]),
        ([["o", "b"], ["o", "o"]], "segmentation", (), ("b", "o"), [[1, 0], [1, 1]]),
        ([[[0.0], [1.0]], [[1.0], [1.0]]], "multilabel", ("segmentation", "regression"), ("0", "1"), [[0, 1], [1, 1]]),
        ([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], "segmentation", (), ("0", "1"), [[0, 1], [1, 1]]),
        ([[[True, True], [False, False]]], "segmentation", ("regression",), ("0", "1"), [[[1, 1], [0, 0]]]),
        ([[[0, 255], [255, 255]]], "segmentation", (), ("0", "255"), [[[0, 1], [1, 1]]]),
    ],
)
def test_labels_of_several_numbers_keep_what_they_may_be(labels, task, alternatives, classes, y):
    targets = read_targets(np.array(labels), "y")
    assert (targets.task, targets.alternatives, targets.classes) == (task, alternatives, classes)
    assert targets.y.tolist() == y


@pytest.mark.parametrize("task", ["multilabel", "segmentation", "regression"])
def test_whoever_knows_better_names_what_one_hot_rows_are(task):
    rows = np.eye(3, dtype=int)[[0, 2, 1, 1]]
    targets = read_targets(rows, "y", task)
    assert (targets.task, targets.alternatives, targets.y.tolist()) == (task, (), rows.tolist())


def test_names_of_columns_are_those_of_the_labels():
    assert read_targets(np.array([[1, 1], [0, 1]]), "y", columns=("cat", "dog")).classes == ("cat", "dog")
