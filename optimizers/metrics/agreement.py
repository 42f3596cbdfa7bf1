"""How often a variant decides as the original does, where nobody knows what is right."""

from __future__ import annotations

import numpy as np

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import by_output
from optimizers.metrics._intervals import share


def measure(evidence: Evidence) -> Value:
    """Fraction in [0, 1] of examples with the same highest output as the baseline, with its Wilson interval.

    Where a model has several outputs an example agrees when all of them do.

    Raises:
        NotApplicable: There are no predictions, or an output does not give one number per class.
    """
    found = by_output(evidence)
    for scores, _ in found:
        if scores.ndim != 2 or scores.shape[1] < 2:
            raise NotApplicable(f"Agreement needs one score per class, got an output of shape {scores.shape[1:]}.")
    same = np.all([scores.argmax(axis=1) == original.argmax(axis=1) for scores, original in found], axis=0)
    return share(int(same.sum()), len(same))


METRIC = Metric(
    name="agreement",
    version="1",
    title="Agreement",
    unit="fraction",
    direction="higher",
    needs="predictions",
    measure=measure,
    tasks=frozenset({"fidelity"}),
    rank=0,
    percent=True,
    help="Share of examples on which the file's highest output is the original's. It says nothing about what is right.",
)
