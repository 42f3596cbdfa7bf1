"""Reads predictions and timings out of evidence, and refuses what a metric cannot be computed from."""

from __future__ import annotations

from math import prod

import numpy as np

from optimizers.declarations import Evidence
from optimizers.errors import NotApplicable


def predictions(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets.

    Returns:
        ``scores`` with shape (n, classes) or (n,), float64, and ``y`` with shape (n,).

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


def decisions(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, int]:
    """What a classifier decides.

    Classification: the highest score wins, the first one in a tie. Binary: class 1 above a probability of 0.5.

    Returns:
        Predicted and true class numbers, both of shape (n,), and the number of classes.

    Raises:
        NotApplicable: There are no predictions, or binary scores are not probabilities.
    """
    scores, y = predictions(evidence)
    if evidence.task == "binary":
        probability = binary_scores(scores)
        if probability.min() < -0.01 or probability.max() > 1.01:
            raise NotApplicable(
                f"A binary score must be a probability in [0, 1], got values from {probability.min():g} "
                f"to {probability.max():g}: end the model in a sigmoid."
            )
        return (probability > 0.5).astype(np.int64), (y > 0.5).astype(np.int64), 2
    if scores.ndim != 2:
        raise NotApplicable(f"Classification needs one score per class, got an output of shape {scores.shape}.")
    return scores.argmax(axis=1), y.astype(np.int64), scores.shape[1]


def class_probabilities(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of each class, shape (n, classes), rows adding up to 1, and the true class numbers, shape (n,).

    Rounded outputs of 8-bit files add up to a little more or less than 1; each row is divided by its sum.

    Raises:
        NotApplicable: There are no predictions, or the scores are not probabilities.
    """
    scores, y = predictions(evidence)
    if evidence.task == "binary":
        one = binary_scores(scores)
        scores = np.stack([1 - one, one], axis=1)
    low, high = float(scores.min()), float(scores.max())
    if scores.ndim != 2 or low < -0.01 or high > 1.01:
        raise NotApplicable(f"This metric needs probabilities between 0 and 1, got scores from {low:g} to {high:g}.")
    scores = np.clip(scores, 0, 1)
    total = scores.sum(axis=1, keepdims=True)
    if (total <= 0).any():
        raise NotApplicable("The file gives some examples a probability of 0 for every class.")
    return np.asarray(scores / total), (y > 0.5).astype(np.int64) if evidence.task == "binary" else y.astype(np.int64)


def flat_scores(scores: np.ndarray) -> np.ndarray:
    """Predicted values of a regression with shape (n,)."""
    if scores.ndim != 1:
        raise NotApplicable(f"A regression needs one value per example, got an output of shape {scores.shape}.")
    return scores


def times(evidence: Evidence) -> np.ndarray:
    """Milliseconds of single runs of the file, float64, shape (runs,). Raises `NotApplicable` when not timed."""
    if evidence.times_ms is None or len(evidence.times_ms) == 0:
        raise NotApplicable("This metric needs timed runs, and there are none.")
    return np.asarray(evidence.times_ms, np.float64)
