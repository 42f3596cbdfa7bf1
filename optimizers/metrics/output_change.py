"""How far a variant's outputs are from the original's, where nobody knows what is right."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import by_output
from optimizers.metrics._intervals import mean_error


def measure(evidence: Evidence) -> Value:
    """Mean absolute difference to the baseline's outputs over their standard deviation, with an interval over
    examples that allows for skewness.

    Where a model has several outputs it is the mean of theirs, each over its own standard deviation.

    Raises:
        NotApplicable: There are no predictions, or an output of the baseline does not vary.
    """
    return mean_error(np.mean([_errors(scores, original) for scores, original in by_output(evidence)], axis=0))


def _errors(scores: np.ndarray, original: np.ndarray) -> np.ndarray:
    """For one output, by example."""
    spread = float(np.std(original))
    if spread == 0:
        raise NotApplicable("The baseline answers the same to every example, so no change can be told.")
    return np.asarray(np.abs(scores - original).reshape(len(scores), -1).mean(axis=1) / spread)


METRIC = Metric(
    name="output_change",
    version="2",
    title="Output change",
    unit="fraction",
    direction="lower",
    needs="predictions",
    measure=measure,
    tasks=frozenset({"fidelity"}),
    rank=5,
    percent=True,
    help="How far outputs move away from the original's on average, as a share of how much they vary at all.",
)
