"""Harmonic mean of precision and recall."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import decisions
from optimizers.metrics._paired import Estimate, paired
from optimizers.metrics._ratios import bounded, ratios


def measure(evidence: Evidence) -> Value:
    """Two classes: F1 of class 1. Else the mean F1 of the classes, or labels, that occur in the test part (macro F1).

    The interval is made on the logit scale, with the variance of the delta method. Where everything is right, or
    nothing, that is 0; the bound is then the Wilson bound of the rarest class.

    Raises:
        NotApplicable: There are no predictions, scores are not probabilities, or nothing that is counted occurs.

    Source: Takahashi et al. (2022), "Confidence interval for micro-averaged F1 and macro-averaged F1 scores".
    """
    return bounded(estimate(evidence), int(_counted(evidence)[1].sum(axis=0).min()))


def estimate(evidence: Evidence) -> Estimate:
    """F1 and how it hangs on each example. Raises as `measure`."""
    said, true = _counted(evidence)
    return ratios(2.0 * (said & true), 1.0 * said + true, true, (2.0, 1.0))


def _counted(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """What is said and what is true of each class or label that counts, bool, both of shape (n, columns)."""
    predicted, y, classes = decisions(evidence)
    if evidence.task == "multilabel":
        said, true = predicted == 1, y == 1
    else:
        classes = max(classes, int(y.max()) + 1)
        counted = np.arange(1, 2) if classes == 2 else np.arange(classes)
        said, true = predicted[:, None] == counted, y[:, None] == counted
    occurs = true.any(axis=0)
    if not occurs.any():
        what = "F1 needs test examples with a label" if evidence.task == "multilabel" else (
            "F1 of class 1 needs test examples of class 1")  # fmt: skip
        raise NotApplicable(f"{what}; there are none.")
    return said[:, occurs], true[:, occurs]


METRIC = Metric(
    name="f1",
    version="2",
    title="F1 score",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(estimate),
    tasks=frozenset({"classification", "binary", "multilabel"}),
    rank=4,
    help="Harmonic mean of precision and recall: of class 1 where there are two, else the mean over the classes, or "
    "labels, that occur in the test part.",
)
