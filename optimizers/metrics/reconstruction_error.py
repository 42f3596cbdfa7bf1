"""How well an autoencoder gives back what it was given."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.errors import NotApplicable
from optimizers.metrics._evidence import predictions
from optimizers.metrics._intervals import mean_error


def measure(evidence: Evidence) -> Value:
    """Mean squared difference between output and input, with a bootstrap interval over examples.

    Raises:
        NotApplicable: There are no predictions, or output and input differ in shape.
    """
    scores, x = predictions(evidence)
    if scores.shape != x.shape:
        raise NotApplicable(f"The output has shape {scores.shape[1:]}, the input {x.shape[1:]}.")
    errors = ((scores - x) ** 2).reshape(len(scores), -1).mean(axis=1)
    return mean_error(errors)


METRIC = Metric(
    name="reconstruction_error",
    version="1",
    title="Reconstruction error",
    unit="squared input units",
    direction="lower",
    needs="predictions",
    measure=measure,
    tasks=frozenset({"reconstruction"}),
    rank=0,
    help="Mean squared difference between what goes into an autoencoder and what comes out, on unseen examples.",
)
