"""Share of positions (pixels, steps) that are given the right class."""

from __future__ import annotations

from optimizers.declarations import Metric
from optimizers.metrics._paired import paired
from optimizers.metrics._ratios import right_share, right_value

METRIC = Metric(
    name="position_accuracy",
    version="1",
    title="Position accuracy",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=right_value,
    change=paired(right_share),
    tasks=frozenset({"segmentation"}),
    rank=1,
    percent=True,
    help="Share of all positions of the test examples (pixels, or steps of a sequence) that are given the right class. "
    "High by itself where one class is almost everywhere.",
)
