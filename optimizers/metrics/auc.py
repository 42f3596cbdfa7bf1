"""Area under the ROC curve of a binary classifier."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import binary_scores, predictions
from optimizers.metrics._intervals import Z95, wilson


def measure(evidence: Evidence) -> Value:
    """Probability that a random positive scores above a random negative, ties counting half.

    The interval is DeLong's, taken on the logit scale so that it stays inside [0, 1]. With perfect separation DeLong's
    variance is 0; the lower bound is then the Wilson bound of the smaller class, all of it right.

    Raises:
        NotApplicable: There are no predictions, or the test part holds one class only.

    Source: DeLong et al. (1988), "Comparing the areas under two or more correlated ROC curves"; the rank form is
        Sun and Xu (2014), "Fast implementation of DeLong's algorithm".
    """
    from scipy.stats import rankdata

    scores, y = predictions(evidence)
    scores, positive = binary_scores(scores), y > 0.5
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        raise NotApplicable(
            "The area under the ROC curve needs test examples of both classes; there is only one class."
        )
    pooled = rankdata(scores)
    above = (pooled[positive] - rankdata(scores[positive])) / n
    below = 1 - (pooled[~positive] - rankdata(scores[~positive])) / m
    area = float(above.mean())
    low, high = _interval(area, above, below, m, n)
    return Value(value=area, n=m + n, low=low, high=high)


def _interval(area: float, above: np.ndarray, below: np.ndarray, m: int, n: int) -> tuple[float | None, float | None]:
    if area in (0.0, 1.0):
        few = min(m, n)
        return wilson(few if area else 0, few)
    if m < 2 or n < 2:
        return None, None
    deviation = sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    centre, half = log(area / (1 - area)), Z95 * deviation / (area * (1 - area))
    return 1 / (1 + exp(half - centre)), 1 / (1 + exp(-half - centre))


METRIC = Metric(
    name="auc",
    version="1",
    title="ROC AUC",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    tasks=frozenset({"binary"}),
    rank=10,
    help="How well the scores order positives above negatives, whatever the threshold; 0.5 is chance.",
)
