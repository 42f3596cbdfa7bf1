"""Share of examples all of whose labels are right."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._intervals import share
from optimizers.metrics._paired import paired_share
from optimizers.metrics._ratios import right_things


def right(evidence: Evidence) -> np.ndarray:
    """Which examples have all labels right, shape (n,). Raises as `measure`."""
    return np.asarray(right_things(evidence).all(axis=1))


def measure(evidence: Evidence) -> Value:
    """Subset accuracy, a fraction in [0, 1] with its Wilson interval.

    Raises:
        NotApplicable: There are no predictions, or scores are not probabilities.
    """
    hits = right(evidence)
    return share(int(hits.sum()), len(hits))


METRIC = Metric(
    name="exact_match",
    version="1",
    title="Exact match",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired_share(right),
    tasks=frozenset({"multilabel"}),
    rank=2,
    percent=True,
    help="Share of test examples all of whose labels are told right (subset accuracy).",
)
