"""Harmonic mean of precision and recall."""

from __future__ import annotations

from math import sqrt

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import decisions
from optimizers.metrics._intervals import logistic, wilson
from optimizers.metrics._paired import Estimate, paired


def measure(evidence: Evidence) -> Value:
    """Binary: F1 of class 1. Classification: mean F1 of the classes that occur in the test part (macro F1).

    The interval is made on the logit scale, with the variance of the delta method. Where everything is right, or
    nothing, that is 0; the bound is then the Wilson bound of the rarest class.

    Raises:
        NotApplicable: There are no predictions, scores are not probabilities, or a binary test part has no class 1.

    Source: Takahashi et al. (2022), "Confidence interval for micro-averaged F1 and macro-averaged F1 scores".
    """
    found, n = estimate(evidence), len(evidence.y) if evidence.y is not None else 0
    if found.value in (0.0, 1.0):
        _, y, _ = decisions(evidence)
        rarest = int(min((y == k).sum() for k in _counted(evidence, y)))
        low, high = wilson(rarest if found.value else 0, rarest)
    else:
        low, high = logistic(found.value, float(found.influence.std()) / sqrt(n), n)
    return Value(value=found.value, n=n, low=low, high=high)


def estimate(evidence: Evidence) -> Estimate:
    """F1 and how it hangs on each example. Raises as `measure`."""
    predicted, y, _ = decisions(evidence)
    n, counted = len(y), _counted(evidence, y)
    total, influence, flips = 0.0, np.zeros(n), 0.0
    for k in counted:
        said, true = predicted == k, y == k
        both = int(said.sum() + true.sum())
        score = 2 * int((said & true).sum()) / both
        total += score
        influence += (2.0 * (said & true) - score * (1.0 * said + true)) * n / both
        flips += true.mean() * ((2 - score) * n / both) ** 2
    share = float(np.isin(y, counted).mean())
    return Estimate(total / len(counted), influence / len(counted), sqrt(flips / share) / len(counted))


def _counted(evidence: Evidence, y: np.ndarray) -> np.ndarray:
    present = np.unique(y)
    if evidence.task != "binary":
        return present
    if 1 not in present:
        raise NotApplicable("F1 of class 1 needs test examples of class 1; there are none.")
    return np.array([1])


METRIC = Metric(
    name="f1",
    version="1",
    title="F1 score",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(estimate),
    tasks=frozenset({"classification", "binary"}),
    rank=4,
    help="Harmonic mean of precision and recall: of class 1 where there are two, else the mean over the classes that "
    "occur in the test part.",
)
