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


@pytest.mark.parametrize(
    ("labels", "ignore", "classes", "y"),
    [
        ([[0, 2, 255], [1, 255, 0]], "255", ("0", "1", "2"), [[0, 2, -1], [1, -1, 0]]),
        ([[0.0, 1.0], [-100.0, 1.0]], "-100", ("0", "1"), [[0, 1], [-1, 1]]),
        ([[0, 1], [-1, 255]], "255, -1", ("0", "1"), [[0, 1], [-1, -1]]),
        ([[[0, 128], [255, 0]]], "128", ("0", "255"), [[[0, -1], [1, 0]]]),
        ([["b", "X"], ["a", "b"]], "X", ("a", "b"), [[1, -1], [0, 1]]),
        ([[0, 1], [1, 0]], "255", ("0", "1"), [[0, 1], [1, 0]]),
    ],
)
def test_positions_that_are_not_judged_have_no_class(labels, ignore, classes, y):
    targets = read_targets(np.array(labels), "y", ignore=ignore)
    assert (targets.task, targets.alternatives, targets.classes) == ("segmentation", (), classes)
    assert targets.y.tolist() == y
    assert any(f"{(np.array(y) < 0).mean():.2%} of all" in note for note in targets.notes)


def test_examples_in_which_nothing_counts_are_told_and_ranks_leave_out_what_does_not():
    targets = read_targets(np.array([[255, 255], [1, 3], [3, 255]]), "y", ignore="255", ranked=True)
    assert "In 1 of 3 examples no position counts." in targets.notes
    assert (targets.y.tolist(), targets.classes) == ([[-1, -1], [0, 1], [1, -1]], ("1", "3"))


@pytest.mark.parametrize(
    ("labels", "task", "ignore", "message"),
    [
        ([0, 1, 255], None, "255", "y has one label per example; leave ignore out"),
        ([[0, 1], [1, 255]], "multilabel", "255", "y has other ones; leave ignore out"),
        ([[1, 255], [255, 1]], None, "255", "All labels in y are equal"),
        ([[255, 255], [255, 255]], None, "255", "All labels in y are 255, so none counts"),
        ([[0, 1], [1, 255]], None, "void", "what is ignored must be whole numbers, not 'void'"),
        ([[0, 0.5], [1, 255]], None, "255", "not whole"),
        ([[0, -7], [1, 255]], None, "255", "y holds the label -7"),
    ],
)
def test_what_cannot_be_ignored_is_refused(labels, task, ignore, message):
    with pytest.raises(DataRefused) as caught:
        read_targets(np.array(labels), "y", task, ignore=ignore)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("present", "far"),
    [
        ([0, 1, 255], "255"),
        ([0, 255], ""),
        ([0, 128, 255], "255"),
        ([-1, 0, 1], "-1"),
        ([-100, 0, 3], "-100"),
        ([-1, 0, 1, 18, 255], "255,-1"),
        ([*range(150), 255], "255"),
        ([-5, -1, 0, 1], ""),
        ([0, 1, 2, 3], ""),
        ([0, 1, 5], ""),
        ([0, 1, 100], "100"),
        ([-1, 1], ""),
        ([0, 1, 65535], "65535"),
    ],
)
def test_labels_far_from_the_others_are_seen(present, far):
    targets = read_targets(np.array([present, present]), "y")
    assert (targets.far, targets.different) == (far, 0 if present == [0, 1] else len(present))


@pytest.mark.parametrize("task", ["multilabel", "segmentation", "regression"])
def test_whoever_knows_better_names_what_one_hot_rows_are(task):
    rows = np.eye(3, dtype=int)[[0, 2, 1, 1]]
    targets = read_targets(rows, "y", task)
    assert (targets.task, targets.alternatives, targets.y.tolist()) == (task, (), rows.tolist())


def test_names_of_columns_are_those_of_the_labels():
    assert read_targets(np.array([[1, 1], [0, 1]]), "y", columns=("cat", "dog")).classes == ("cat", "dog")
