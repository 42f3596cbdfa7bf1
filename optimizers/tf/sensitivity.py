"""How much a model loses when one part of it is changed, measured on examples that it was not trained on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf, isfinite
from typing import Any, Literal, TypeVar

import numpy as np
import tensorflow as tf

from optimizers.datasets.several import arrays_of
from optimizers.declarations import StageContext
from optimizers.errors import NotApplicable
from optimizers.techniques._training import TrainingParams
from optimizers.tf.objective import objective
from optimizers.tf.outputs import given, side_by_side

EXAMPLES = 512
HOPELESS = 1e6
"""What stands for a rise of the loss that is not finite, and the most that one counts."""
_CHUNK_VALUES = 2**22
Key = TypeVar("Key", bound=Hashable)
Change = Mapping[Any, Sequence[np.ndarray]]
"""For each layer to change (any object with ``get_weights``) all of its weights."""


@dataclass(frozen=True)
class Sensitivity:
    """The loss of a model as it is, and how much the loss rises by each change; below 0 where a change helps.

    ``part`` and ``examples`` tell what was measured on. A rise is infinite where answers are no longer finite.
    """

    loss: float
    rises: dict[Any, float]
    part: Literal["validation", "train"]
    examples: int

    def told(self) -> dict[str, Any]:
        """Plain JSON for a report, where each change has a layer and a number: ``rises`` by both, finite ones only."""
        by_layer: dict[str, dict[str, float]] = {name: {} for name, _ in self.rises}
        for (name, number), rise in self.rises.items():
            if isfinite(rise):
                by_layer[name][f"{number:g}"] = rise
        return {"part": self.part, "examples": self.examples, "loss": self.loss, "rises": by_layer}


class Probe:
    """Measures the task's own loss on a fixed sample of the validation part, or of the train part where that is empty.

    Args:
        model: A tf_keras model; it decides which loss suits the task.
        context: Of the stage: data, and the seed that draws the sample.
        examples: Size of the sample; all there are if the part has fewer.

    ``unchanged`` is the loss that the model had at first, ``part`` and ``examples`` tell what it was measured on.

    Raises:
        NotApplicable: The model's output does not suit the task, or is not finite.
    """

    def __init__(self, model: Any, context: StageContext, examples: int = EXAMPLES) -> None:
        data = context.data()
        goal = objective(model, context, TrainingParams(learn_from="labels"))
        self.part: Literal["validation", "train"] = "validation" if len(data.validation) else "train"
        held = data.validation if self.part == "validation" else data.train
        targets = goal.validation_targets if goal.validation_targets is not None else goal.train_targets
        picks = np.sort(np.random.default_rng(context.seed).permutation(len(held))[:examples])
        self.examples = len(picks)
        self._x, self._y, self._loss = arrays_of(held.x[picks]), targets[picks], goal.loss
        self._model = model
        self._forward = self._compiled(model)
        self.unchanged = self.loss()
        if not isfinite(self.unchanged):
            raise NotApplicable(f"The model's loss on the {self.part} part is no finite number, so none can rise.")

    def rise(self, model: Any = None) -> float:
        """How much higher `loss` now is than that of the unchanged model."""
        return self.loss(model) - self.unchanged

    def loss(self, model: Any = None) -> float:
        """Mean loss of the probe's model with the weights that it has now, or of another model; maybe infinite."""
        forward = self._forward if model is None or model is self._model else self._compiled(model)
        per_example = max(1, sum(int(np.prod(array.shape[1:])) for array in self._x))
        chunk = max(1, ceil(self.examples / ceil(self.examples * per_example / _CHUNK_VALUES)))
        total = 0.0
        for start in range(0, self.examples, chunk):
            x, y = [array[start : start + chunk] for array in self._x], self._y[start : start + chunk]
            total += float(forward([tf.constant(array) for array in x], tf.constant(y))) * len(y)
        return total / self.examples if isfinite(total) else inf

    def _compiled(self, model: Any) -> Any:
        """Loss of a batch of any size as one graph, traced once."""
        *x, y = (tf.TensorSpec([None, *a.shape[1:]], a.dtype) for a in (*self._x, self._y))
        answering = side_by_side(model)

        def loss(x: Any, y: Any) -> Any:
            return self._loss(y, answering(given(x), training=False))

        return tf.function(loss, input_signature=[x, y], autograph=False)


@contextmanager
def changed_weights(change: Change) -> Iterator[None]:
    """Gives layers other weights of the same shapes for as long as the block lasts, whatever happens inside."""
    before = {layer: layer.get_weights() for layer in change}
    try:
        for layer, weights in change.items():
            layer.set_weights(weights)
        yield
    finally:
        for layer, weights in before.items():
            layer.set_weights(weights)


def rises(
    model: Any, context: StageContext, changes: Iterable[tuple[Key, Change]], examples: int = EXAMPLES
) -> Sensitivity:
    """How much the loss rises by each change of weights alone. The model is left as it was.

    Args:
        model: A tf_keras model.
        context: Of the stage.
        changes: Names of the changes, and what each does; may be a generator that makes one at a time.
        examples: Most examples to measure on.
    """
    probe = Probe(model, context, examples)
    found = {}
    for key, change in changes:
        with changed_weights(change):
            found[key] = probe.rise()
    return Sensitivity(probe.unchanged, found, probe.part, probe.examples)


def losses(
    model: Any, context: StageContext, variants: Iterable[tuple[Key, Any]], examples: int = EXAMPLES
) -> Sensitivity:
    """How much the loss of each variant, a model of its own, lies above that of a model.

    Args:
        model: A tf_keras model.
        context: Of the stage.
        variants: Names and models with the same inputs and outputs; may be a generator that makes one at a time.
        examples: Most examples to measure on.
    """
    probe = Probe(model, context, examples)
    found = {key: probe.rise(variant) for key, variant in variants}
    return Sensitivity(probe.unchanged, found, probe.part, probe.examples)
