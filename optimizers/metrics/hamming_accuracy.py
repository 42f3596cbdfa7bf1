"""Share of labels that are right, where an example has several."""

from __future__ import annotations

from optimizers.declarations import Metric
from optimizers.metrics._paired import paired
from optimizers.metrics._ratios import right_share, right_value

METRIC = Metric(
    name="hamming_accuracy",
    version="1",
    title="Label accuracy",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=right_value,
    change=paired(right_share),
    tasks=frozenset({"multilabel"}),
    rank=1,
    percent=True,
    help="Share of all labels, present or absent, that are told right (1 minus the Hamming loss). High by itself where "
    "labels are rare.",
)
