"""Harmonic mean of precision and recall over all labels of all examples."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import decisions
from optimizers.metrics._paired import Estimate, paired
from optimizers.metrics._ratios import bounded, ratios


def measure(evidence: Evidence) -> Value:
    """Twice the labels that are rightly told over those told and those true, in all examples together (micro F1).

    Labels of one example are not independent, so the interval is over examples: the delta method on the logit scale.
    Where everything is right, or nothing, it is the Wilson bound of the examples that have a label.

    Raises:
        NotApplicable: There are no predictions, scores are not probabilities, or no test example has a label.

    Source: Takahashi et al. (2022), "Confidence interval for micro-averaged F1 and macro-averaged F1 scores".
    """
    _, true = _told(evidence)
    return bounded(estimate(evidence), int((true.sum(axis=1) > 0).sum()))


def estimate(evidence: Evidence) -> Estimate:
    """Micro F1 and how it hangs on each example. Raises as `measure`."""
    said, true = _told(evidence)
    found, told, there = (part.sum(axis=1, keepdims=True) for part in (said & true, said, true))
    return ratios(2.0 * found, 1.0 * told + there, there, (2.0, 1.0))


def _told(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    predicted, y, _ = decisions(evidence)
    if not y.any():
        raise NotApplicable("F1 needs test examples with a label; there are none.")
    return predicted == 1, y == 1


METRIC = Metric(
    name="f1_micro",
    version="1",
    title="Micro F1",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(estimate),
    tasks=frozenset({"multilabel"}),
    rank=0,
    help="Harmonic mean of precision and recall over all labels of all test examples; a label is told from a "
    "probability above 0.5.",
)
