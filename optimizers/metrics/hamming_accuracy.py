"""Share of labels that are right, where an example has several."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.metrics._intervals import clustered_share
from optimizers.metrics._paired import paired
from optimizers.metrics._ratios import right_share, right_things


def measure(evidence: Evidence) -> Value:
    """One minus the Hamming loss, with an interval over examples: labels of one example are not independent.

    Raises:
        NotApplicable: There are no predictions, or scores are not probabilities.
    """
    right = right_things(evidence)
    return clustered_share(right.mean(axis=1), right.shape[1])


METRIC = Metric(
    name="hamming_accuracy",
    version="1",
    title="Label accuracy",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    change=paired(right_share),
    tasks=frozenset({"multilabel"}),
    rank=1,
    percent=True,
    help="Share of all labels, present or absent, that are told right (1 minus the Hamming loss). High by itself where "
    "labels are rare.",
)
