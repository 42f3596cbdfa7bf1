"""How much memory the activations of a file need."""

from __future__ import annotations

from optimizers.declarations import Evidence, Metric, Value
from optimizers.litert.activations import activations
from optimizers.metrics._structure import structure


def measure(evidence: Evidence) -> Value:
    """Bytes of one block that holds all activations of one example, see `optimizers.litert.activations`."""
    return Value(value=float(activations(structure(evidence)).arena), n=1)


METRIC = Metric(
    name="arena_bytes",
    version="3",
    title="Activation arena",
    unit="B",
    direction="lower",
    needs="file",
    measure=measure,
    rank=76,
    help="Memory for the activations of one example if each is kept only as long as it is needed. Weights and what "
    "kernels need while they run come on top.",
)
