"""How many times faster than the baseline file, measured in turn with it."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.litert.ratio import FEWEST, paired_ratio
from optimizers.metrics._evidence import times
from optimizers.metrics._intervals import block_bootstrap


def measure(evidence: Evidence) -> Value:
    """How many times as long the baseline takes, from runs taken in turn; ``n`` is the number of pairs.

    Where the runs are of several processes the ratio is the one of `optimizers.litert.ratio.paired_ratio`, otherwise
    that of the medians with a block bootstrap over the pairs. An interval that contains 1 means: indistinguishable.

    Raises:
        NotApplicable: There are no runs of a baseline. For the baseline itself the value is 1 by definition, so it is
            not measured: leave ``baseline_times_ms`` out of its evidence.
    """
    variant = times(evidence)
    if evidence.baseline_times_ms is None:
        raise NotApplicable("A speed-up needs runs of the baseline taken in turn; the baseline itself has none.")
    baseline = np.asarray(evidence.baseline_times_ms, np.float64)
    if len(baseline) != len(variant):
        raise NotApplicable(
            f"Runs must come in pairs, got {len(variant)} of the file and {len(baseline)} of the baseline."
        )
    if evidence.instances is not None and len(np.unique(evidence.instances)) >= FEWEST:
        ratio = paired_ratio(variant, baseline, evidence.instances)
        return Value(value=ratio.value, n=len(variant), low=ratio.low, high=ratio.high)
    low, high = block_bootstrap(
        len(variant),
        lambda picks: np.asarray(np.median(baseline[picks], axis=1) / np.median(variant[picks], axis=1)),
    )
    return Value(value=float(np.median(baseline) / np.median(variant)), n=len(variant), low=low, high=high)


METRIC = Metric(
    name="speedup",
    version="5",
    title="Speed-up",
    unit="x",
    direction="higher",
    needs="timing",
    measure=measure,
    rank=60,
    device_bound=True,
    help="How many times faster than the float32 file of the original model; below 1 it is slower.",
)
