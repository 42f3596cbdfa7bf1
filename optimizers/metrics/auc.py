"""Area under the ROC curve."""

from __future__ import annotations

from math import sqrt

import numpy as np

from optimizers.declarations import Change, Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import binary_scores, predictions
from optimizers.metrics._intervals import logistic, normal_quantile, signed_mean, wilson
from optimizers.metrics._paired import ONE_SIDED, correlation, of_baseline, recovered

_MANY = 100


def measure(evidence: Evidence) -> Value:
    """Probability that a random positive scores above a random negative, ties counting half.

    With more than two classes it is the mean over the classes that occur in the test part, each against all others. The
    interval is DeLong's, taken on the logit scale so that it stays inside [0, 1]. With perfect separation DeLong's
    variance is 0; the lower bound is then the Wilson bound of the rarest class, all of it right.

    Raises:
        NotApplicable: There are no predictions, or the test part holds one class only.

    Source: DeLong et al. (1988), "Comparing the areas under two or more correlated ROC curves"; the rank form is
        Sun and Xu (2014), "Fast implementation of DeLong's algorithm".
    """
    columns, classes = _columns(evidence)
    value, each = _placements(columns, classes)
    low, high = _interval(value, each, classes, 0.95)
    return Value(value=value, n=len(classes), low=low, high=high)


def change(evidence: Evidence) -> Change:
    """Paired difference to the baseline, by DeLong's method.

    Where a class has fewer than 100 examples areas close to 1 are far from normally distributed; the interval is then
    made of both files' own intervals. Raises as `measure`, and where a class has one example only.
    """
    base_evidence = of_baseline(evidence)
    columns, classes = _columns(evidence)
    (own, each), (base, base_each) = _placements(columns, classes), _placements(_columns(base_evidence)[0], classes)
    difference, between = own - base, each - base_each
    bounds: list[float] = []
    few = int(np.unique(classes, return_counts=True)[1].min())
    for level in (0.95, ONE_SIDED):
        if few >= _MANY and np.any(between):
            bounds += [difference + bound for bound in signed_mean(between, level)]
        else:
            parts = [_interval(v, e, classes, level) for v, e in ((own, each), (base, base_each))]
            if any(low is None for low, _ in parts):
                raise NotApplicable("A difference of areas needs at least two test examples of each class.")
            together = correlation(each, base_each)
            bounds += recovered((own, *parts[0]), (base, *parts[1]), together)  # type: ignore[arg-type]
    low, high, floor, ceiling = bounds
    return Change(difference, len(classes), low, high, floor, ceiling)


def _interval(value: float, each: np.ndarray, classes: np.ndarray, level: float) -> tuple[float | None, float | None]:
    present, counts = np.unique(classes, return_counts=True)
    few, n = int(counts.min()), len(classes)
    if value in (0.0, 1.0):
        return wilson(few if value else 0, few, normal_quantile(level))
    if few < 2:
        return None, None
    groups = [each[classes == k] for k in present]
    return logistic(value, sqrt(sum(len(g) * g.var(ddof=1) for g in groups)) / n, n, level)


def _columns(evidence: Evidence) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Scores of each class that is held against the others, and the true class numbers."""
    scores, y = predictions(evidence)
    classes = (y > 0.5).astype(np.int64) if evidence.task == "binary" else y.astype(np.int64)
    present = np.unique(classes)
    if len(present) < 2:
        raise NotApplicable(
            "The area under the ROC curve needs test examples of both classes; there is only one class."
        )
    if evidence.task == "binary":
        return {1: binary_scores(scores)}, classes
    if scores.ndim != 2:
        raise NotApplicable(f"Classification needs one score per class, got an output of shape {scores.shape}.")
    return {int(k): scores[:, k] for k in present}, classes


def _placements(columns: dict[int, np.ndarray], classes: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean area, and its influence: what DeLong calls placements, less their mean, scaled to all examples."""
    from scipy.stats import rankdata

    total, each, size = 0.0, np.zeros(len(classes)), len(classes)
    for k, scores in columns.items():
        positive = classes == k
        m, n = int(positive.sum()), int((~positive).sum())
        pooled = rankdata(scores)
        above = (pooled[positive] - rankdata(scores[positive])) / n
        below = 1 - (pooled[~positive] - rankdata(scores[~positive])) / m
        area = float(above.mean())
        total += area
        each[positive] += (above - area) * size / m
        each[~positive] += (below - area) * size / n
    return total / len(columns), each / len(columns)


METRIC = Metric(
    name="auc",
    version="2",
    title="ROC AUC",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=change,
    tasks=frozenset({"binary", "classification"}),
    rank=10,
    help="How well the scores order positives above negatives, whatever the threshold; 0.5 is chance. With several "
    "classes it is the mean over each one against all others.",
)
