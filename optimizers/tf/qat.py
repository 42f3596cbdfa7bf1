"""Quantization-aware training of a tf_keras model with the toolkit's 8-bit scheme, layer by layer where it can.

What the toolkit leaves wrong is put right here and in ``fake_quant``, each with a test: one unknown layer no longer
refuses the whole model; a convolution directly before a ReLU layer trains with a quantized kernel; ranges of
activations start from what training examples show instead of from -6 and 6, which take thousands of steps to be
forgotten; frozen layers stay frozen.

A stage is kept as a float model with the trained weights (``model.keras``), the ranges of all quantizers, and which
layers are quantized how. Nothing in it has to be deserialized by the toolkit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_aware_activation import (
    QuantizeAwareActivation,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapper

from optimizers.errors import NotApplicable
from optimizers.selection import NOT_CHOSEN, chosen
from optimizers.tf import build, folding, graph, kernels
from optimizers.tf.fake_quant import Groups, KernelPlan, Scales, Scheme

MODEL, RECORD, RANGES = "model.keras", "quantization.json", "ranges.npz"
_L = tf_keras.layers
_registry = tfmot.quantization.keras.default_8bit.Default8BitQuantizeRegistry
_ACTIVATIONS = QuantizeAwareActivation._PRE_QUANT_ACTIVATIONS | QuantizeAwareActivation._POST_QUANT_ACTIVATIONS
_BEFORE_NORM = (_L.Conv2D, _L.DepthwiseConv2D, _L.Dense)
_CLUSTERABLE = (_L.Conv2D, _L.Dense)
_MOST_VALUES = 257
_BATCH = 128
_LATER = "it stays float while training and is quantized from examples when the file is made"


@dataclass(frozen=True)
class Plan:
    """Which layers are quantized while training.

    Attributes:
        layers: Names, those of layers without weights included.
        kernels: For those with a kernel, how it is quantized.
        skipped: Other layers with kernels, and why.
    """

    layers: frozenset[str]
    kernels: dict[str, KernelPlan]
    skipped: dict[str, str] = field(default_factory=dict)


def prepared(model: Any) -> Any:
    """A flat copy of a model in which separable convolutions are the two that they consist of.

    The depthwise part is called ``<name>_depthwise``; the other keeps the name.
    """
    flat = graph.rebuilt(model)
    separable = {layer.name: layer for layer in flat.layers if type(layer) is _L.SeparableConv2D}
    if not separable:
        return flat
    result = graph.rebuilt(flat, dict.fromkeys(separable, _split))
    for name, layer in separable.items():
        depthwise, *rest = layer.get_weights()
        result.get_layer(f"{name}_depthwise").set_weights([depthwise])
        result.get_layer(name).set_weights(rest)
    return result


def _split(layer: Any) -> Callable[..., Any]:
    config = layer.get_config()
    shared = {key: config[key] for key in ("data_format", "trainable", "dtype")}
    moves = {key: config[key] for key in ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")}
    first = _L.DepthwiseConv2D(**shared, **moves, use_bias=False, name=f"{layer.name}_depthwise")
    ends = {key: config[key] for key in ("filters", "use_bias", "activation")}
    second = _L.Conv2D(**shared, **ends, kernel_size=1, name=layer.name)
    return lambda x, *_, **__: second(first(x))


def plan(model: Any, choice: str, *, keep_clusters: bool, keep_zeros: bool, frozen: bool = False) -> Plan:
    """What the scheme supports, and why it does not support the rest.

    Args:
        model: Out of `prepared`.
        choice: Of layers with kernels, as `optimizers.selection` reads it.
        keep_clusters, keep_zeros: What earlier steps achieved and is to last.
        frozen: Frozen layers are quantized as well, for a model that is not trained.
    """
    reasons = {layer.name: _reason(layer, choice, frozen) for layer in model.layers}
    normed = folding.followers(model)
    for first, norm in normed.items():
        if not reasons[first] and isinstance(model.get_layer(first), _BEFORE_NORM):
            reasons[norm] = ""
    names = {layer.name for layer in model.layers if not reasons[layer.name]}
    with_kernels = {layer.name: layer for layer in model.layers if kernels.kernels(layer)}
    plans = {}
    for name, layer in with_kernels.items():
        if name not in names:
            continue
        groups = clusters(layer) if keep_clusters and isinstance(layer, _CLUSTERABLE) else "none"
        scales = _scales(groups, normed=name in normed)
        plans[name] = KernelPlan(scales, groups, keep_zeros and groups != "none")
    return Plan(frozenset(names), plans, {name: reasons[name] for name in with_kernels if name not in names})


def _scales(groups: Groups, *, normed: bool) -> Scales:
    """Scales under which a clustered kernel stays clustered in the file."""
    if groups != "tensor":
        return "toolkit"
    return "shared" if normed else "per_tensor"


def _reason(layer: Any, choice: str, frozen: bool) -> str:
    """Why a layer stays float; empty where the scheme takes it."""
    kind = type(layer).__name__
    if kernels.kernels(layer):
        if not chosen(layer.name, choice):
            return NOT_CHOSEN
        if not layer.trainable and not frozen:
            return f"the layer is frozen; {_LATER}"
    if isinstance(layer, _L.InputLayer) or not _registry().supports(layer):
        return f"the 8-bit scheme has no {kind}; {_LATER}"
    tensors = [tensor for node in layer.inbound_nodes for tensor in node.keras_inputs]
    if not all(tensor.dtype.is_floating for tensor in tensors):
        return f"it takes whole numbers; {_LATER}"
    if any(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors):
        return f"its input carries a mask; {_LATER}"
    activation = getattr(layer, "activation", None)
    if isinstance(layer, _L.Activation):
        try:
            _registry().get_quantize_config(layer).get_output_quantizers(layer)
        except ValueError:
            return f"the 8-bit scheme has no activation {_called(activation)}; {_LATER}"
    elif activation is not None and _called(activation) not in _ACTIVATIONS:
        return f"the 8-bit scheme has no activation {_called(activation)}; {_LATER}"
    return ""


def keeps_factors_apart(layer: Any) -> bool:
    """Whether an int8 file has the factors of a following batch normalization in the scales of the layer's channels, so
    that the kernel keeps its values: where it has a scale for every channel, and fake quantization can say which."""
    return type(layer) in (_L.Conv2D, _L.SeparableConv2D)


def _called(activation: Any) -> str:
    return str(getattr(activation, "__name__", type(activation).__name__))


def clusters(layer: Any) -> Groups:
    """Whether a layer's kernel has few values for its size, as a whole or in every output channel."""
    kernel = np.asarray(kernels.kernels(layer)[0])
    if few(kernel):
        return "tensor"
    if isinstance(layer, _L.Conv2D) and all(few(row) for row in np.moveaxis(kernel, -1, 0)):
        return "channel"
    return "none"


def few(weights: np.ndarray) -> bool:
    """Whether weights repeat so much that they must have been clustered."""
    return len(np.unique(weights)) <= min(_MOST_VALUES, weights.size // 2)


def quantized(model: Any, what: Plan) -> Any:
    """A model with fake quantization, with copies of all weights.

    Args:
        model: Out of `prepared`. It is not changed.
        what: Out of `plan` for this model.

    Raises:
        NotApplicable: Nothing with a kernel can be quantized, or the toolkit cannot copy the model.
    """
    if not what.kernels:
        told = "; ".join(f"{name}: {reason}" for name, reason in what.skipped.items()) or "no layer has a kernel"
        raise NotApplicable(f"No layer of this model can be trained in 8 bits ({told}).")

    def annotate(layer: Any) -> Any:
        named = layer.name in what.layers
        return tfmot.quantization.keras.quantize_annotate_layer(layer) if named else layer

    copy = graph.rebuilt(model)
    try:
        annotated = tf_keras.models.clone_model(copy, clone_function=annotate)
        result = tfmot.quantization.keras.quantize_apply(annotated, Scheme(what.kernels))
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise NotApplicable(
            "The toolkit cannot prepare this model for training in 8 bits.", detail=str(error)
        ) from error
    for number, layer in enumerate(layer for layer in result.layers if isinstance(layer, QuantizeLayer)):
        layer._name = f"quantize_input_{number}"  # the toolkit counts on over all models of a process
    return result


def wrappers(model: Any) -> Iterator[tuple[str, Any]]:
    """The layers of a fake-quantized model that hold quantizers, each by the name of the layer inside it."""
    for layer in model.layers:
        if isinstance(layer, QuantizeWrapper):
            yield layer.layer.name, layer
        elif isinstance(layer, QuantizeLayer):
            yield layer.name, layer


def calibrate(model: Any, examples: np.ndarray) -> None:
    """Sets the ranges of all quantizers to what kernels and examples, shape (n, *input_shape), show.

    The model computes in float meanwhile. Without this the ranges of activations start from -6 and 6.
    """
    recorder = _Recorder()
    undo: list[tuple[Any, str, Any]] = []
    for _, wrapper in wrappers(model):
        for holder, name in _activation_quantizers(wrapper):
            undo.append((holder, name, getattr(holder, name)))
            found = getattr(holder, name)
            setattr(holder, name, [recorder] if isinstance(found, list) else recorder)
        for kernel, quantizer, variables in getattr(wrapper, "_weight_vars", []):
            quantizer(kernel, True, weights=variables)
    try:
        for start in range(0, len(examples), _BATCH):
            model(examples[start : start + _BATCH], training=False)
    finally:
        for holder, name, before in undo:
            setattr(holder, name, before)
    recorder.write()


def calibrated(model: Any, examples: np.ndarray) -> Any:
    """A float model with fake quantization that keeps its clusters, its ranges set without any training.

    Converted, clustered convolutions have one scale for the kernel and keep the factors of a batch normalization that
    follows in the scales of their channels.

    Args:
        model: Functional or sequential.
        examples: Shape (n, *input_shape).

    Raises:
        NotApplicable: As `quantized`.
    """
    flat = prepared(model)
    result = quantized(flat, plan(flat, "", keep_clusters=True, keep_zeros=False, frozen=True))
    calibrate(result, examples)
    return result


def _activation_quantizers(wrapper: Any) -> Iterator[tuple[Any, str]]:
    """Objects and the names of their attributes that hold a quantizer, or a list of one."""
    if isinstance(wrapper, QuantizeLayer):
        yield wrapper, "quantizer"
        return
    for activation in wrapper._quantize_activations:
        yield activation, "quantizer"
    if wrapper._output_quantizers:
        yield wrapper, "_output_quantizers"


class _Recorder:
    """Stands in for a quantizer: passes tensors on and remembers their extremes, zero included."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[dict[str, Any], float, float]] = {}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **_: Any) -> Any:
        values = np.asarray(inputs)
        _, low, high = self._seen.get(id(weights["min_var"]), (weights, 0.0, 0.0))
        self._seen[id(weights["min_var"])] = (weights, min(low, float(values.min())), max(high, float(values.max())))
        return inputs

    def write(self) -> None:
        for variables, low, high in self._seen.values():
            if high > low:
                variables["min_var"].assign(low)
                variables["max_var"].assign(high)


def stripped(model: Any, clean: Any) -> Any:
    """The trained weights of a fake-quantized model in a float model of the same layers, which is returned.

    Clustered kernels hold their values; other kernels hold the weights before quantization.
    """
    for layer in model.layers:
        if isinstance(layer, QuantizeWrapper):
            values = {kernels.kernel_name(variable): variable.numpy() for variable in layer.layer.weights}
            for kernel, quantizer, variables in layer._weight_vars:
                value = quantizer.clustered(kernel, variables) if hasattr(quantizer, "clustered") else kernel
                values[kernels.kernel_name(kernel)] = np.asarray(value)
            target = clean.get_layer(layer.layer.name)
            target.set_weights([values[kernels.kernel_name(variable)] for variable in target.weights])
        elif layer.weights and not isinstance(layer, QuantizeLayer):
            clean.get_layer(layer.name).set_weights(layer.get_weights())
    return clean


def quantized_kernels(model: Any) -> dict[str, np.ndarray]:
    """Fake-quantized kernels by layer: multiples of the scales, as the file will hold them."""
    return {
        name: np.asarray(quantizer(kernel, False, weights=variables))
        for name, wrapper in wrappers(model)
        for kernel, quantizer, variables in getattr(wrapper, "_weight_vars", [])
    }


def freeze_clusters(model: Any, what: Plan) -> tuple[str, ...]:
    """Freezes layers that are not quantized and have clustered kernels, and returns their names.

    Nothing would keep their clusters together while they train.
    """
    found = []
    for layer in kernels.layers(model):
        if layer.name in what.skipped and layer.trainable and any(few(np.asarray(v)) for v in kernels.kernels(layer)):
            layer.trainable = False
            found.append(layer.name)
    return tuple(found)


def save_qat(model: Any, clean: Any, what: Plan, scheme: str, folder: Path) -> str:
    """Writes a trained model as ``model.keras``, ``ranges.npz`` and ``quantization.json``; returns the first's name.

    Args:
        model: Fake-quantized and trained.
        clean: A float model of the same layers; its weights are replaced.
        what: The plan that it was made with.
        scheme: ``QAT``, ``PQAT``, ``CQAT`` or ``PCQAT``.
        folder: Must be there.
    """
    build.save_working(stripped(model, clean), folder / MODEL)
    np.savez(folder / RANGES, **dict(sorted(_ranges(model))))
    record = {
        "scheme": scheme,
        "float": sorted(what.skipped),
        "layers": sorted(what.layers),
        "kernels": {name: what.kernels[name].scales for name in sorted(what.kernels)},
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return MODEL


def _ranges(model: Any) -> Iterator[tuple[str, Any]]:
    for name, wrapper in wrappers(model):
        for variable in wrapper.weights:
            end = kernels.kernel_name(variable)
            if end.endswith(("_min", "_max")):
                yield f"{name}/{'input' + end[-4:] if isinstance(wrapper, QuantizeLayer) else end}", variable.numpy()


def is_qat(path: Path) -> bool:
    """Whether a model file is that of a quantization-aware training: its ranges lie beside it."""
    return path.is_file() and path.with_name(RECORD).is_file() and path.with_name(RANGES).is_file()


def all_quantized(path: Path) -> bool:
    """Whether every kernel of a stage was quantized while it trained; ``path`` is its ``model.keras``."""
    return not json.loads(path.with_name(RECORD).read_text("utf-8"))["float"]


def load_qat(path: Path, change: Callable[[Any], Any] = lambda model: model) -> Any:
    """The fake-quantized model, exactly as it was saved.

    Args:
        path: The ``model.keras`` of the stage.
        change: Done to the float model before it is quantized, such as fixing an open dimension.
    """
    return with_ranges(change(build.load_working(path)), path)


def with_ranges(model: Any, path: Path) -> Any:
    """The fake quantization of a stage on a float model of the same layers.

    Args:
        model: The stage's float model, possibly changed in what is not quantized.
        path: The stage's ``model.keras``.
    """
    record: Mapping[str, Any] = json.loads(path.with_name(RECORD).read_text("utf-8"))
    plans = {name: KernelPlan(scales) for name, scales in record["kernels"].items()}
    result = quantized(model, Plan(frozenset(record["layers"]), plans))
    with np.load(path.with_name(RANGES), allow_pickle=False) as ranges:
        for name, wrapper in wrappers(result):
            for variable in wrapper.weights:
                end = kernels.kernel_name(variable)
                if end.endswith(("_min", "_max")):
                    key = f"{name}/{'input' + end[-4:] if isinstance(wrapper, QuantizeLayer) else end}"
                    variable.assign(ranges[key])
    return result
