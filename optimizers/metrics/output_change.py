"""How far a variant's outputs are from the original's, where nobody knows what is right."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import predictions
from optimizers.metrics._intervals import mean_error


def measure(evidence: Evidence) -> Value:
    """Mean absolute difference to the baseline's outputs over their standard deviation, with a bootstrap interval.

    Raises:
        NotApplicable: There are no predictions, or the baseline's outputs do not vary.
    """
    scores, original = predictions(evidence)
    if scores.shape != original.shape:
        raise NotApplicable(f"The file's outputs have shape {scores.shape[1:]}, the baseline's {original.shape[1:]}.")
    spread = float(np.std(original))
    if spread == 0:
        raise NotApplicable("The baseline answers the same to every example, so no change can be told.")
    errors = np.abs(scores - original).reshape(len(scores), -1).mean(axis=1) / spread
    return mean_error(errors)


METRIC = Metric(
    name="output_change",
    version="1",
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
