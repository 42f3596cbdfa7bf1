"""Reads predictions and timings out of evidence, and refuses what a metric cannot be computed from."""

from __future__ import annotations

from math import prod

import numpy as np

from optimizers.declarations import Evidence
from optimizers.errors import NotApplicable
from optimizers.kinds import KINDS
from optimizers.records import Task


def predictions(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets.

    Returns:
        ``scores``, float64, and ``y``, in the shapes of `Evidence`.

    Raises:
        NotApplicable: There are none, the lengths differ, or a score is not finite.
    """
    if evidence.scores is None or evidence.y is None:
        raise NotApplicable("This metric needs predictions on the test part, and there are none.")
    scores, y = np.asarray(evidence.scores, np.float64), np.asarray(evidence.y)
    if len(scores) != len(y) or len(y) == 0:
        raise NotApplicable(f"There are {len(scores)} predictions for {len(y)} test examples.")
    if not np.isfinite(scores).all():
        raise NotApplicable("The file predicts values that are not finite numbers.")
    return scores, y


def by_output(evidence: Evidence) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores and the baseline's, output by output, each of shape (n, *output); one pair where there is one output.

    Raises:
        NotApplicable: As `predictions`, or the outputs of the file have other shapes than the baseline's.
    """
    scores, original = predictions(evidence)
    if scores.shape != original.shape:
        raise NotApplicable(f"The file's outputs have shape {scores.shape[1:]}, the baseline's {original.shape[1:]}.")
    if not evidence.outputs:
        return [(scores, original)]
    cuts = np.cumsum([prod(shape) for shape in evidence.outputs])[:-1]
    return [
        (one.reshape(len(one), *shape), other.reshape(len(other), *shape))
        for one, other, shape in zip(
            np.split(scores, cuts, axis=1), np.split(original, cuts, axis=1), evidence.outputs, strict=True
        )
    ]


def binary_scores(scores: np.ndarray) -> np.ndarray:
    """Scores of class 1 with shape (n,), also from a two-column output with shape (n, 2)."""
    if scores.ndim == 2 and scores.shape[1] == 2:
        return np.asarray(scores[:, 1])
    if scores.ndim != 1:
        raise NotApplicable(f"A binary task needs one score or two per example, got an output of shape {scores.shape}.")
    return scores


def grouped(scores: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    """Flat outputs, shape (n, outputs), in the shape that `Evidence` has for the task."""
    if task == "segmentation":
        return scores.reshape(*y.shape, -1)
    return scores[:, 0] if task in ("binary", "regression") and scores.shape[1] == 1 else scores


def chances(scores: np.ndarray, y: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Scores of every class for each thing that a class is told of, and which class is true.

    Args:
        scores, y: As `Evidence` has them for the task, one that decides.

    Returns:
        Float64 of shape (n, things, classes) and int64 of shape (n, things): an example has one thing, or as many as it
        has labels or positions. One score for two classes becomes one for each. A position that is not judged has a
        class below 0, and an example without any other is left out.

    Raises:
        NotApplicable: The outputs are not as many as the task needs, or no position is judged.
    """
    truth = np.asarray(y).reshape(len(y), -1)
    if task == "classification":
        if scores.ndim != 2:
            raise NotApplicable(f"Classification needs one score per class, got an output of shape {scores.shape}.")
        return scores[:, None], truth.astype(np.int64)
    if task == "binary":
        each = binary_scores(scores)[:, None, None]
    elif scores.size % truth.size or (task == "multilabel" and scores.size != truth.size):
        raise NotApplicable(f"The labels have shape {y.shape[1:]}, the outputs {scores.shape[1:]}, which is no fit.")
    else:
        each = scores.reshape(*truth.shape, -1)
    if each.shape[2] == 1:
        each = np.concatenate([1 - each, each], axis=2)
    truth = (truth > 0.5 if task == "binary" else truth).astype(np.int64)
    kept = judged(y)
    if not len(kept):
        raise NotApplicable("In none of these examples a position counts.")
    return (each, truth) if len(kept) == len(y) else (each[kept], truth[kept])


def judged(y: np.ndarray) -> np.ndarray:
    """Numbers of the examples of which something counts: in which a label, shape (n, ...), is not below 0."""
    y = np.asarray(y)
    return np.arange(len(y)) if y.ndim == 1 else np.flatnonzero((y.reshape(len(y), -1) >= 0).any(axis=1))


def decisions(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, int]:
    """What a classifier decides.

    The highest score wins, the first one in a tie; where there is one score for two classes, class 1 wins above a
    probability of 0.5.

    Returns:
        Predicted and true class numbers, both of shape (n,), or (n, things) where an example has several labels or
        positions, and the number of classes. True ones are below 0 where a position is not judged; examples without any
        other are left out.

    Raises:
        NotApplicable: There are no predictions, or scores of two classes are not probabilities.
    """
    scores, y = predictions(evidence)
    task = _deciding(evidence)
    each, truth = chances(scores, y, task)
    if task == "binary" or (task != "classification" and scores.size == y.size):
        _check_probabilities(each)
    predicted = each.argmax(axis=2)
    if KINDS[task].one_class:
        predicted, truth = predicted[:, 0], truth[:, 0]
    return predicted, truth, each.shape[2]


def _deciding(evidence: Evidence) -> Task:
    if evidence.task is None or not KINDS[evidence.task].decides:
        raise NotApplicable("This metric needs a model that tells classes apart.")
    return evidence.task


def _check_probabilities(each: np.ndarray) -> None:
    low, high = float(each[..., 1].min()), float(each[..., 1].max())
    if low < -0.01 or high > 1.01:
        raise NotApplicable(
            f"A binary score must be a probability in [0, 1], got values from {low:g} to {high:g}: end the model in a "
            "sigmoid."
        )


def all_probabilities(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of each class, shape (n, things, classes), adding up to 1, and the true classes, (n, things).

    Rounded outputs of 8-bit files add up to a little more or less than 1; they are divided by their sum.

    Raises:
        NotApplicable: There are no predictions, or the scores are not probabilities.
    """
    scores, y = predictions(evidence)
    each, truth = chances(scores, y, _deciding(evidence))
    low, high = float(each.min()), float(each.max())
    if low < -0.01 or high > 1.01:
        raise NotApplicable(f"This metric needs probabilities between 0 and 1, got scores from {low:g} to {high:g}.")
    each = np.clip(each, 0, 1)
    total = each.sum(axis=2, keepdims=True)
    if (total <= 0).any():
        raise NotApplicable("The file gives some examples a probability of 0 for every class.")
    return np.asarray(each / total), truth


def class_probabilities(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """The same where every example has one class: shapes (n, classes) and (n,)."""
    each, truth = all_probabilities(evidence)
    return each[:, 0], truth[:, 0]


def estimates(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true values of a regression, both of shape (n, numbers), float64.

    Raises:
        NotApplicable: There are no predictions, or not as many as there are numbers to estimate.
    """
    scores, y = predictions(evidence)
    scores, y = scores.reshape(len(scores), -1), y.reshape(len(y), -1).astype(np.float64)
    if scores.shape != y.shape:
        raise NotApplicable(f"An example has {y.shape[1]} numbers to estimate, the file gives {scores.shape[1]}.")
    return scores, y


def times(evidence: Evidence) -> np.ndarray:
    """Milliseconds of single runs of the file, float64, shape (runs,). Raises `NotApplicable` when not timed."""
    if evidence.times_ms is None or len(evidence.times_ms) == 0:
        raise NotApplicable("This metric needs timed runs, and there are none.")
    return np.asarray(evidence.times_ms, np.float64)
