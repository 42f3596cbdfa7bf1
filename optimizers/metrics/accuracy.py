"""Fraction of test examples that are classified right."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import binary_scores, predictions
from optimizers.metrics._intervals import share


def measure(evidence: Evidence) -> Value:
    """Fraction in [0, 1] with its Wilson interval.

    Classification: the highest score wins, the first one in a tie. Binary: class 1 above a probability of 0.5.

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
        right = int(np.sum((probability > 0.5) == (y > 0.5)))
    elif scores.ndim == 2:
        right = int(np.sum(scores.argmax(axis=1) == y))
    else:
        raise NotApplicable(f"Classification needs one score per class, got an output of shape {scores.shape}.")
    return share(right, len(y))


METRIC = Metric(
    name="accuracy",
    version="1",
    title="Accuracy",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    tasks=frozenset({"classification", "binary"}),
    rank=0,
    percent=True,
    help="Share of test examples, unseen in training, that the deployed file classifies right.",
)
