"""What one answer of a model costs: multiply-accumulates and parameters, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.errors import NotApplicable
from optimizers.litert.file import LiteRtFile
from optimizers.tf import keras3_only
from optimizers.tf.graph import calls, is_graph

Shape = tuple[int, ...]
_L = tf_keras.layers
_CONVOLUTIONS = (_L.Conv1D, _L.Conv2D, _L.Conv3D)
_TRANSPOSED = (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)
_DEPTHWISE = (_L.DepthwiseConv1D, _L.DepthwiseConv2D)
_SEPARABLE = (_L.SeparableConv1D, _L.SeparableConv2D)


@dataclass(frozen=True)
class Cost:
    """Of one layer: multiply-accumulates for one example, summed over all calls, and parameters, counted once."""

    macs: int
    parameters: int


@dataclass(frozen=True)
class Term:
    """Multiply-accumulates as a product: ``times`` the sizes of a weight along ``axes``, all of them where None.

    The number of times depends on lengths and places only, so the cost of a layer with fewer channels follows from the
    sizes that its weights then have.
    """

    times: int
    weight: Any
    axes: tuple[int, ...] | None = None

    @property
    def macs(self) -> int:
        """With the sizes that the weight has."""
        sizes = [int(size) for size in self.weight.shape]
        return self.times * prod(sizes if self.axes is None else (sizes[axis] for axis in self.axes))


def layer_costs(model: Any) -> dict[str, Cost]:
    """Cost of every layer by its name, for one example, in the order of computation, those of nested models last.

    Layers of nested models stand under their own names; where two layers share a name, the later one stands under its
    path, ``outer/inner``. A layer that is called twice, or sits in a model that is, counts each call. Only products
    with weights and the two products inside multi-head attention are counted: activations, normalization, pooling and
    element-wise arithmetic count 0, as does the look-up in an embedding. A transposed convolution counts what it
    computes before the edges are cropped.

    Args:
        model: A functional or sequential tf_keras model. Open dimensions count as 1: fix them with
            `optimizers.tf.shapes.with_input_shape` to get the cost of a whole example.

    Raises:
        NotApplicable: The model is neither functional nor sequential, or was never built.
    """
    found: dict[str, Cost] = {}
    for name, layer, products in terms(model):
        before = found[name].macs if name in found else 0
        parameters = sum(prod(int(size) for size in weight.shape) for weight in layer.weights)
        found[name] = Cost(before + sum(term.macs for term in products), parameters)
    return found


def macs(model: Any) -> int:
    """Multiply-accumulates of a tf_keras model for one example, as `layer_costs` counts them.

    Those of a model that only Keras 3 can hold are counted in its float32 file. Raises `NotApplicable` as well where
    there is none.
    """
    if keras3_only.inside(model) is not None:
        from optimizers.tf.convert import convert

        return LiteRtFile(convert(model, "float32").file).macs
    return sum(cost.macs for cost in layer_costs(model).values())


def terms(model: Any) -> Iterator[tuple[str, Any, list[Term]]]:
    """(name as in `layer_costs`, layer, products) of every call of every layer."""
    names: dict[int, str] = {}
    for path, layer, inputs, outputs, times in _calls(model, "", 1):
        if id(layer) not in names:
            names[id(layer)] = path if layer.name in names.values() else layer.name
        yield names[id(layer)], layer, [Term(t.times * times, t.weight, t.axes) for t in _terms(layer, inputs, outputs)]


def _calls(model: Any, path: str, times: int) -> Iterator[tuple[str, Any, list[Shape], list[Shape], int]]:
    """(path, layer, shapes of inputs, shapes of outputs, how often) of every call, nested models opened."""
    if not is_graph(model):
        raise NotApplicable(f"The cost of model {model.name} cannot be told: it is neither functional nor sequential.")
    nested: dict[int, tuple[Any, int]] = {}
    for node in calls(model):
        layer = node.layer
        if isinstance(layer, tf_keras.Model):
            nested[id(layer)] = (layer, nested.get(id(layer), (layer, 0))[1] + 1)
        elif not node.is_input:
            given = attention_inputs(node) if isinstance(layer, _L.MultiHeadAttention) else node.keras_inputs
            yield path + layer.name, layer, _shapes(given), _shapes(node.outputs), times
    for layer, count in nested.values():
        yield from _calls(layer, f"{path}{layer.name}/", times * count)


def attention_inputs(node: Any) -> list[Any]:
    """Query, value and key of a call of multi-head attention, by position or name; without a key it is the value."""
    given = dict(zip(("query", "value", "key"), node.call_args, strict=False)) | dict(node.call_kwargs)
    key = given.get("key")
    return [given["query"], given["value"], given["value"] if key is None else key]


def _shapes(tensors: Any) -> list[Shape]:
    """Shapes without the batch dimension; open dimensions are 1."""
    return [tuple(1 if size is None else int(size) for size in tensor.shape[1:]) for tensor in tf.nest.flatten(tensors)]


def _terms(layer: Any, inputs: list[Shape], outputs: list[Shape]) -> list[Term]:
    """The products of one call on one example."""
    if isinstance(layer, tf_keras.Model):
        return [term for _, _, products in terms(layer) for term in products]
    if isinstance(layer, _L.TimeDistributed):
        steps, inner = inputs[0][0], _terms(layer.layer, [inputs[0][1:]], [outputs[0][1:]])
        return [Term(steps * term.times, term.weight, term.axes) for term in inner]
    if isinstance(layer, _L.Bidirectional):
        return [term for part in (layer.forward_layer, layer.backward_layer) for term in _terms(part, inputs, outputs)]
    if isinstance(layer, _L.MultiHeadAttention):
        return _attention(layer, inputs)
    if isinstance(layer, _L.RNN):
        return [Term(inputs[0][0] * places, weight) for places, weight in _step(layer.cell, outputs[0])]
    if isinstance(layer, _L.EinsumDense):
        return [Term(_repeats(layer, outputs[0]), layer.kernel)]
    if isinstance(layer, _TRANSPOSED):
        return [Term(_places(layer, inputs[0]), layer.kernel)]
    if isinstance(layer, _DEPTHWISE):
        return [Term(_places(layer, outputs[0]), layer.depthwise_kernel)]
    if isinstance(layer, _SEPARABLE):
        kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        return [Term(_places(layer, outputs[0]), kernel) for kernel in kernels]
    if isinstance(layer, _CONVOLUTIONS):
        return [Term(_places(layer, outputs[0]), layer.kernel)]
    if isinstance(layer, _L.Dense):
        return [Term(prod(outputs[0][:-1]), layer.kernel)]
    if isinstance(layer, _L.Wrapper):
        return _terms(layer.layer, inputs, outputs)
    return []


def _places(layer: Any, shape: Shape) -> int:
    """Places of an image or sequence, whichever side its channels are on."""
    return prod(shape[1:] if layer.data_format == "channels_first" else shape[:-1])


def _step(cell: Any, output: Shape) -> list[tuple[int, Any]]:
    """(places, weight) of one time step: a plain cell has one place, a convolving one as many as its output."""
    if isinstance(cell, _L.StackedRNNCells):
        return [product for inner in cell.cells for product in _step(inner, output)]
    places = _places(cell, output[-cell.rank - 1 :]) if type(cell).__name__.startswith("ConvLSTM") else 1
    found = [getattr(cell, name, None) for name in ("kernel", "recurrent_kernel")]
    return [(places, weight) for weight in found if weight is not None]


def _repeats(layer: Any, output: Shape) -> int:
    """How often an `EinsumDense` uses each of its weights: once for every output along axes that its kernel lacks."""
    _, kernel, target = layer.equation.replace("->", ",").replace("...", "").split(",")
    shared = (int(size) for label, size in zip(kernel, layer.kernel.shape, strict=True) if label in target)
    return prod(output) // prod(shared)


def _attention(layer: Any, inputs: list[Shape]) -> list[Term]:
    """Four projections, then queries times keys and weights times values over the attention axes."""
    query, value, key = (prod(shape[:-1]) for shape in inputs)
    attended = prod(inputs[2][axis - 1 if axis > 0 else axis] for axis in layer._attention_axes)
    kernels = [getattr(layer, f"_{part}_dense").kernel for part in ("query", "value", "key", "output")]
    projections = [Term(places, kernel) for places, kernel in zip((query, value, key, query), kernels, strict=True)]
    return [*projections, Term(query * attended, kernels[2], (1, 2)), Term(query * attended, kernels[1], (1, 2))]
