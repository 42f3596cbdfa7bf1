"""Mean over classes of the fraction that is classified right."""

from __future__ import annotations

from math import sqrt

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import decisions
from optimizers.metrics._intervals import wilson
from optimizers.metrics._paired import Estimate, paired


def measure(evidence: Evidence) -> Value:
    """Mean recall in [0, 1] of the classes that occur in the test part.

    The interval is Wilson's for as many examples as would tell a plain share as precisely, which follows from the
    variances of the recalls; for these half an example right and half an example wrong are added to each class, so that
    a class without a mistake does not count as certain.

    Raises:
        NotApplicable: There are no predictions, scores are not probabilities, or only one class occurs.

    Sources: Brodersen et al. (2010), "The balanced accuracy and its posterior distribution"; for the effective number
        of examples Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of
        positive counts estimated from survey data".
    """
    predicted, y, _ = decisions(evidence)
    hits, counts = _recalls(predicted == y, y)
    value, smooth = float(np.mean(hits / counts)), (hits + 0.5) / (counts + 1)
    variance, middle = float((smooth * (1 - smooth) / counts).sum()) / len(counts) ** 2, float(smooth.mean())
    effective = middle * (1 - middle) / variance
    low, high = wilson(value * effective, effective)
    return Value(value=value, n=len(y), low=low, high=high)


def estimate(evidence: Evidence) -> Estimate:
    """Balanced accuracy and how it hangs on each example. Raises as `measure`."""
    predicted, y, classes = decisions(evidence)
    right = predicted == y
    hits, counts = _recalls(right, y)
    per_class = np.zeros((2, max(classes, int(y.max()) + 1)))
    present = np.unique(y)
    per_class[0, present], per_class[1, present] = len(y) / (counts * len(counts)), hits / counts
    weight, recall = per_class[:, y]
    return Estimate(float(np.mean(hits / counts)), weight * (right - recall), sqrt(float((weight**2).mean())))


def _recalls(right: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many are right and how many there are, for each class that occurs."""
    present = np.unique(y)
    if len(present) < 2:
        raise NotApplicable("Balanced accuracy needs test examples of at least two classes; there is only one.")
    return np.array([right[y == k].sum() for k in present]), np.array([(y == k).sum() for k in present])


METRIC = Metric(
    name="balanced_accuracy",
    version="1",
    title="Balanced accuracy",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(estimate),
    tasks=frozenset({"classification", "binary"}),
    rank=3,
    percent=True,
    help="Accuracy with every class counted alike, however rare. Classes without test examples are left out.",
)
