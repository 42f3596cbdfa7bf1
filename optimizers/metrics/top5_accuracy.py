"""Fraction of test examples whose class is among the five highest scores."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import predictions
from optimizers.metrics._intervals import share
from optimizers.metrics._paired import paired_share

_FIRST = 5


def right(evidence: Evidence) -> np.ndarray:
    """Which examples have their class among the five highest scores, shape (n,). Raises as `measure`.

    Of equal scores those of earlier classes come first, as in accuracy.
    """
    scores, y = predictions(evidence)
    if scores.ndim != 2 or scores.shape[1] <= _FIRST:
        classes = scores.shape[1] if scores.ndim == 2 else 1
        raise NotApplicable(f"Top-5 accuracy needs more than five classes; there are {classes}.")
    own = scores[np.arange(len(y)), y.astype(np.int64)][:, None]
    earlier = np.arange(scores.shape[1]) < y[:, None]
    return np.asarray(((scores > own) | ((scores == own) & earlier)).sum(axis=1) < _FIRST)


def measure(evidence: Evidence) -> Value:
    """Fraction in [0, 1] with its Wilson interval.

    Raises:
        NotApplicable: There are no predictions, or no more than five classes.
    """
    hits = right(evidence)
    return share(int(hits.sum()), len(hits))


METRIC = Metric(
    name="top5_accuracy",
    version="1",
    title="Top-5 accuracy",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired_share(right),
    tasks=frozenset({"classification"}),
    rank=2,
    percent=True,
    help="Share of test examples whose class is among the five that the file finds most likely.",
)
