"""How well an autoencoder gives back what it was given."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import predictions
from optimizers.metrics._intervals import mean_error
from optimizers.metrics._paired import paired_mean


def errors(evidence: Evidence) -> np.ndarray:
    """Mean squared difference, example by example, shape (n,). Raises as `measure`."""
    scores, x = predictions(evidence)
    if scores.shape != x.shape:
        raise NotApplicable(f"The output has shape {scores.shape[1:]}, the input {x.shape[1:]}.")
    return np.asarray(((scores - x) ** 2).reshape(len(scores), -1).mean(axis=1))


def measure(evidence: Evidence) -> Value:
    """Mean squared difference between output and input, with an interval over examples that allows for skewness.

    Raises:
        NotApplicable: There are no predictions, or output and input differ in shape.
    """
    return mean_error(errors(evidence))


METRIC = Metric(
    name="reconstruction_error",
    version="2",
    title="Reconstruction error",
    unit="squared input units",
    direction="lower",
    needs="predictions",
    measure=measure,
    change=paired_mean(errors),
    tasks=frozenset({"reconstruction"}),
    rank=0,
    help="Mean squared difference between what goes into an autoencoder and what comes out, on unseen examples.",
)
