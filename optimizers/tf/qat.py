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
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapper

from optimizers.datasets.several import arrays_of
from optimizers.errors import NotApplicable
from optimizers.tf import build, graph, kernels
from optimizers.tf.fake_quant import KernelPlan, Scheme
from optimizers.tf.outputs import answers
from optimizers.tf.qat_files import MODEL, RANGES, RECORD
from optimizers.tf.qat_plan import Plan, few, plan, prepared

_BATCH = 128


def quantized(model: Any, what: Plan) -> Any:
    """A model with fake quantization, with copies of all weights.

    Args:
        model: Out of `qat_plan.prepared`. It is not changed.
        what: Out of `qat_plan.plan` for this model.

    Raises:
        NotApplicable: The toolkit cannot copy the model.
    """

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

    Activations are not rounded meanwhile. Without this the ranges of activations start from -6 and 6.
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
            answers(model, [array[start : start + _BATCH] for array in arrays_of(examples)])
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
        NotApplicable: As `qat_plan.plan` and `quantized`.
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
        clean: A float model of the same layers, such as the one that `quantized` was given; its weights are replaced.
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
