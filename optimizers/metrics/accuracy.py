"""Fraction of test examples that are classified right."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import decisions
from optimizers.metrics._intervals import share
from optimizers.metrics._paired import paired_share


def right(evidence: Evidence) -> np.ndarray:
    """Which examples are classified right, shape (n,). Raises as `measure`."""
    predicted, y, _ = decisions(evidence)
    return np.asarray(predicted == y)


def measure(evidence: Evidence) -> Value:
    """Fraction in [0, 1] with its Wilson interval.

    Classification: the highest score wins, the first one in a tie. Binary: class 1 above a probability of 0.5.

    Raises:
        NotApplicable: There are no predictions, or binary scores are not probabilities.
    """
    hits = right(evidence)
    return share(int(hits.sum()), len(hits))


METRIC = Metric(
    name="accuracy",
    version="1",
    title="Accuracy",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired_share(right),
    tasks=frozenset({"classification", "binary"}),
    rank=0,
    percent=True,
    help="Share of test examples, unseen in training, that the deployed file classifies right.",
)
