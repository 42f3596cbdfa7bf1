"""How surprised a classifier is by what turns out to be true."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import all_probabilities
from optimizers.metrics._intervals import mean_error
from optimizers.metrics._paired import paired_mean
from optimizers.metrics._ratios import per_thing

_SMALLEST = float(np.finfo(np.float32).eps)
"""Where scikit-learn clips probabilities of 32-bit numbers, too."""


def losses(evidence: Evidence) -> np.ndarray:
    """Minus the natural logarithm of the true class's probability, shape (n,). Raises as `measure`.

    Of several labels or positions it is their mean, see `per_thing`.
    """
    probabilities, y = all_probabilities(evidence)
    counts = y >= 0
    own = np.take_along_axis(probabilities, np.maximum(y, 0)[..., None], axis=2)[..., 0]
    each = np.where(counts, -np.log(np.maximum(own, _SMALLEST)), 0.0)
    return per_thing(each.sum(axis=1), counts.sum(axis=1))


def measure(evidence: Evidence) -> Value:
    """Mean cross-entropy in nats, with an interval that allows for skewness.

    Raises:
        NotApplicable: There are no predictions, or scores are not probabilities.
    """
    return mean_error(losses(evidence))


METRIC = Metric(
    name="log_loss",
    version="1",
    title="Log loss",
    unit="nats",
    direction="lower",
    needs="predictions",
    measure=measure,
    change=paired_mean(losses),
    certifiable=False,
    tasks=frozenset({"classification", "binary", "multilabel", "segmentation"}),
    rank=12,
    help="Cross-entropy: 0 is certain and right. Probabilities below 0.00000012 count as that; 8-bit outputs, which "
    "have 256 steps, often say 0.",
)
