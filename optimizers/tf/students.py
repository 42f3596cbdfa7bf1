"""Small networks that learn from a larger one: the teacher made narrower and shallower, or a compact one of our own."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
import tf_keras

from optimizers.errors import NotApplicable
from optimizers.tf import graph, kernels
from optimizers.tf.channels import plan as plans
from optimizers.tf.channels import surgery
from optimizers.tf.channels.trace import trace
from optimizers.tf.losses import Meaning
from optimizers.tf.outputs import output_activation

_ROUND_TO = 4
_ACTIVATIONS: dict[Meaning, str] = {"probabilities": "softmax", "logits": "linear", "values": "linear"}


def scaled(teacher: Any, width: float, depth: float) -> tuple[Any, tuple[str, ...]]:
    """The teacher with fewer channels and fewer repeated blocks, untrained, and notes on what could not be scaled.

    Args:
        teacher: A functional or sequential tf_keras model.
        width: Share of the channels of every layer that is kept, in steps of four where a layer is large enough.
        depth: Share of the blocks that could go (their input and output have one shape) that is kept.
    """
    notes: list[str] = []
    model = graph.rebuilt(teacher)
    if depth < 1:
        model, blocks = shallower(model, depth)
        if not blocks:
            notes.append("No block of this model repeats the shape of its input, so its depth stays.")
    if width < 1:
        model, changed = narrower(model, width)
        if not changed:
            notes.append("No layer of this model can have fewer channels, so its width stays.")
    return untrained(model), tuple(notes)


def narrower(model: Any, width: float) -> tuple[Any, bool]:
    """A flat model with about that share of the channels of each layer, and whether any went."""
    found = trace(model)
    dead: set[int] = set()
    for group in found.groups:
        count = len(group.roots)
        multiple = plans.step(count, _ROUND_TO, group.heads)
        options = plans.choices(count, multiple, group.heads)
        kept = min(options, key=lambda option: (abs(option - width * count), option))
        dead.update(group.roots[kept:].tolist())
    return (surgery.without(found, dead), True) if dead else (model, False)


def shallower(model: Any, depth: float) -> tuple[Any, int]:
    """A flat model without some of its blocks, evenly spread, and how many blocks could have gone.

    A block is a stretch between two tensors of one shape that everything has to pass, with at least one kernel in it.
    """
    blocks = _blocks(model)
    going = len(blocks) - ceil(depth * len(blocks))
    # evenly from the back: early blocks see more of the image and are harder to do without
    picks = {len(blocks) - 1 - (i * len(blocks)) // going for i in range(going)}
    for i in sorted(picks, reverse=True):  # a block begins where the one before it ends
        model = _bypassed(model, *blocks[i])
    return model, len(blocks)


def _blocks(model: Any) -> list[tuple[str, str]]:
    """Pairs of layers: the output of the second can be replaced by that of the first. They do not overlap."""
    steps = [node for node in graph.calls(model) if not node.is_input]
    cuts = _cuts(model, steps)
    found: list[tuple[str, str]] = []
    start = 0
    while start < len(cuts) - 1:
        end = next(
            (e for e in range(start + 1, len(cuts)) if _alike(cuts[start], cuts[e]) and _works(steps, cuts, start, e)),
            None,
        )
        if end is None:
            start += 1
            continue
        while end + 1 < len(cuts) - 1 and not _works(steps, cuts, end, end + 1) and _alike(cuts[start], cuts[end + 1]):
            end += 1  # normalization and activation that follow belong to the block
        found.append((cuts[start].layer.name, cuts[end].layer.name))
        start = end
    return found


def _cuts(model: Any, steps: list[Any]) -> list[Any]:
    """Calls whose single output everything behind them depends on, and nothing before them is used any more."""
    last_use: dict[int, int] = {}
    for place, node in enumerate(steps):
        for tensor in node.keras_inputs:
            last_use[id(tensor)] = place
    for tensor in model.outputs:
        last_use[id(tensor)] = len(steps)
    found, reach = [], 0
    inputs = {id(tensor) for tensor in model.inputs}
    open_until = max((last_use.get(i, 0) for i in inputs), default=0)
    for place, node in enumerate(steps):
        outputs = [node.outputs] if not isinstance(node.outputs, list | tuple) else list(node.outputs)
        if max(reach, open_until) <= place and len(outputs) == 1:
            found.append(node)
        reach = max([reach, *(last_use.get(id(tensor), place) for tensor in outputs)])
    return found


def _alike(one: Any, other: Any) -> bool:
    return tuple(one.outputs.shape) == tuple(other.outputs.shape) and one.outputs.dtype == other.outputs.dtype


def _works(steps: list[Any], cuts: list[Any], start: int, end: int) -> bool:
    """Whether a kernel lies between two cuts."""
    places = [next(i for i, node in enumerate(steps) if node is cut) for cut in (cuts[start], cuts[end])]
    return any(kernels.kernels(node.layer) for node in steps[places[0] + 1 : places[1] + 1])


def _bypassed(model: Any, first: str, last: str) -> Any:
    """The model with the output of ``first`` in place of that of ``last``."""
    seen: dict[str, Any] = {}

    def remembering(layer: Any) -> Callable[..., Any]:
        twin = type(layer).from_config(layer.get_config())

        def call(*args: Any, **options: Any) -> Any:
            seen["output"] = twin(*args, **options)
            return seen["output"]

        return call

    def forgetting(layer: Any) -> Callable[..., Any]:
        return lambda *args, **options: seen["output"]

    return graph.rebuilt(model, {first: remembering, last: forgetting})


def untrained(model: Any) -> Any:
    """The same architecture with fresh weights; only what was adapted to data (Normalization) keeps its own."""
    fresh = type(model).from_config(model.get_config())
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.Normalization | tf_keras.layers.Discretization):
            fresh.get_layer(layer.name).set_weights(layer.get_weights())
    fresh.trainable = True
    return fresh


def compact(teacher: Any, output: Meaning) -> Any:
    """A small network for the teacher's inputs and outputs, untrained.

    Images get four separable convolutions, sequences three, and everything else two small dense layers; all begin with
    a batch normalization, because nobody has said how inputs are scaled. Where the teacher answers at every place of
    its input, convolutions look further apart instead of making the places fewer.

    Raises:
        NotApplicable: The teacher has several inputs or outputs, an input that is not made of decimal numbers, or tells
            classes at other places than those of its input.
    """
    if len(teacher.inputs) != 1 or len(teacher.outputs) != 1:
        raise NotApplicable("The compact student has one input and one output; scale the teacher instead.")
    shape = tuple(teacher.inputs[0].shape[1:])
    if not teacher.inputs[0].dtype.is_floating or any(size is None for size in shape):
        raise NotApplicable("The compact student needs decimal numbers of a fixed shape; scale the teacher instead.")
    layers = tf_keras.layers
    inputs = layers.Input(shape, name="input")
    x = layers.BatchNormalization(name="scale")(inputs)
    shape_out = tuple(teacher.outputs[0].shape[1:])
    places = len(shape) > 1 and len(shape_out) == len(shape) and shape_out[:-1] == shape[:-1]
    image, sequence = len(shape) == 3 and min(shape[:2]) >= 4, len(shape) == 2 and shape[0] >= 4
    several = sum(length != 1 for length in shape_out) > 1
    if several and output != "values" and not (places and (image or sequence)):
        raise NotApplicable(
            "The compact student tells classes of an example, or at every place of an image or a sequence; scale the "
            "teacher instead."
        )
    places = places and several
    if image:
        x = _image(x, places)
    elif sequence:
        x = _sequence(x, places)
    else:
        x = layers.Flatten(name="flatten")(x)
        for number, units in enumerate((32, 16), start=1):
            x = layers.Dense(units, activation="relu", name=f"hidden{number}")(x)
    units = shape_out[-1] if places else int(np.prod(shape_out)) if shape_out else 1
    truth_values = output == "probabilities" and (units == 1 or output_activation(teacher) == "sigmoid")
    activation = "sigmoid" if truth_values else _ACTIVATIONS[output]
    answer = layers.Dense(units, activation=activation, name="answer")(x)
    if several and not places:
        answer = layers.Reshape(shape_out, name="shape")(answer)
    return tf_keras.Model(inputs, answer, name="compact")


def _image(x: Any, places: bool) -> Any:
    layers = tf_keras.layers
    for number, filters in enumerate((16, 24, 32, 48), start=1):
        apart = 2 if number in (2, 4) and min(x.shape[1:3]) >= 4 else 1
        kind = layers.Conv2D if number == 1 else layers.SeparableConv2D
        wide = {"dilation_rate": apart} if places else {"strides": apart}
        x = kind(filters, 3, padding="same", use_bias=False, name=f"conv{number}", **wide)(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    return x if places else layers.GlobalAveragePooling2D(name="pool")(x)


def _sequence(x: Any, places: bool) -> Any:
    layers = tf_keras.layers
    for number, filters in enumerate((16, 24, 32), start=1):
        x = layers.Conv1D(filters, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        if x.shape[1] >= 8 and not places:
            x = layers.MaxPooling1D(2, name=f"pool{number}")(x)
    return x if places else layers.Flatten(name="flatten")(x)
