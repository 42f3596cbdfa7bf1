"""How far what is told of each class covers where it truly is."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._evidence import decisions
from optimizers.metrics._paired import Estimate, paired
from optimizers.metrics._ratios import bounded, ratios


def measure(evidence: Evidence) -> Value:
    """Mean over classes of the intersection over the union of told and true positions of all test examples.

    Classes that do not occur in the test part are left out; where there are two, both count. Positions of one example
    are not independent, so the interval is over examples: the delta method on the logit scale. Where everything is
    right, or nothing, it is the Wilson bound of the examples that have the rarest class.

    Raises:
        NotApplicable: There are no predictions, or scores of two classes are not probabilities.

    Source: Everingham et al. (2010), "The PASCAL visual object classes challenge".
    """
    above, below, true = _areas(evidence)
    return bounded(ratios(above, below, true, (1.0, 0.0)), int((true > 0).sum(axis=0).min()))


def estimate(evidence: Evidence) -> Estimate:
    """Mean IoU and how it hangs on each example. Raises as `measure`."""
    return ratios(*_areas(evidence), (1.0, 0.0))


def _areas(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions in the intersection, in the union and of the true class, shape (n, classes that occur)."""
    predicted, y, _ = decisions(evidence)
    found = []
    counts = y >= 0
    for number in np.unique(y[counts]):
        said, true = (predicted == number) & counts, y == number
        found.append([(said & true).sum(axis=1), (said | true).sum(axis=1), true.sum(axis=1)])
    above, below, true = np.array(found, np.float64).transpose(1, 2, 0)
    return above, below, true


METRIC = Metric(
    name="mean_iou",
    version="1",
    title="Mean IoU",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(estimate),
    tasks=frozenset({"segmentation"}),
    rank=0,
    percent=True,
    help="Intersection over union of told and true positions, the mean over the classes that occur in the test part; "
    "of a mask with two classes both count.",
)
