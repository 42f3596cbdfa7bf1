"""Share of positions (pixels, steps) that are given the right class."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._intervals import clustered_share
from optimizers.metrics._paired import paired
from optimizers.metrics._ratios import right_share, right_things


def measure(evidence: Evidence) -> Value:
    """Right positions of all, with an interval over examples: positions of one example are not independent.

    Raises:
        NotApplicable: There are no predictions, or scores of two classes are not probabilities.
    """
    right = right_things(evidence)
    return clustered_share(right.mean(axis=1), right.shape[1])


METRIC = Metric(
    name="position_accuracy",
    version="1",
    title="Position accuracy",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(right_share),
    tasks=frozenset({"segmentation"}),
    rank=1,
    percent=True,
    help="Share of all positions of the test examples (pixels, or steps of a sequence) that are given the right class. "
    "High by itself where one class is almost everywhere.",
)
