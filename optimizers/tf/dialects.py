"""What differs between building with tf_keras and with Keras 3: names, options, activations, masks, operations."""

from __future__ import annotations

import keyword
import re
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.errors import ModelRefused
from optimizers.models.reader.catalogue import FROM_APPLICATIONS
from optimizers.models.reader.spec import LayerSpec
from optimizers.models.reader.templates import write_template
from optimizers.tf import activations, pooling
from optimizers.tf.layers import LAYERS, Operation
from optimizers.tf.ops import OPERATIONS

_FORMATS = (None, "channels_last")
_ABSENT_IN_KERAS2: dict[str, dict[str, tuple[Any, ...]]] = {
    **{f"ConvLSTM{n}D": {"zero_output_for_mask": (False,)} for n in (1, 2, 3)},
    "BatchNormalization": {"synchronized": (False,)},
    "LayerNormalization": {"rms_scaling": (False,)},
    "AdditiveAttention": {"dropout": (0.0,)},
    "MultiHeadAttention": {"use_gate": (False,), "sliding_window": (None,)},
    "ZeroPadding1D": {"data_format": _FORMATS},
    "CenterCrop": {"data_format": _FORMATS},
    "Resizing": {"data_format": _FORMATS, "antialias": (False,)},
}
_NAMES_NOW = {"GroupedQueryAttention": "GroupQueryAttention"}
"""Layers that earlier releases of Keras 3 wrote under another name."""
_CALL_OPTIONS = ("constant_values",)
"""Options that Keras 3 operations take when they are called, not when they are created."""
_KEPT_WHEN_NONE = frozenset({"merge_mode", "axis"})


class Dialect(Protocol):
    """One of the two ways to build."""

    keras: Any
    name: str

    def layer_class(self, kind: str) -> Any: ...
    def layer_name(self, name: str) -> str: ...
    def activation(self, name: str) -> Any: ...
    def options(self, spec: LayerSpec, options: dict[str, Any]) -> dict[str, Any]: ...
    def call_options(self, spec: LayerSpec, args: list[Any], options: dict[str, Any]) -> dict[str, Any]: ...
    def operation(self, spec: LayerSpec, name: str, args: list[Any], options: dict[str, Any]) -> Any: ...


def is_tensor(value: Any) -> bool:
    """Whether a call argument is a symbolic tensor of either Keras."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "_keras_history")


def _carries_mask(values: Any) -> bool:
    """Whether a mask travels with one of these tensors; operations, unlike layers, do not pass it on."""
    return any(getattr(tensor, "_keras_mask", None) is not None for tensor in flat_tensors(values))


def flat_tensors(value: Any) -> list[Any]:
    """Tensors in lists and dicts; dicts are taken in order of their keys, as Keras does."""
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in flat_tensors(item)]
    if isinstance(value, dict):
        return [tensor for key in sorted(value) for tensor in flat_tensors(value[key])]
    return [value]


def _common_options(spec: LayerSpec, options: dict[str, Any]) -> dict[str, Any]:
    options = {key: value for key, value in options.items() if value is not None or key in _KEPT_WHEN_NONE}
    for key in ("target_shape", "dims"):
        if key in options:
            options[key] = tuple(-1 if size is None else size for size in options[key])
    if spec.kind == "Normalization":
        if "axis" not in spec.options:
            options.pop("axis", None)
        for key in ("mean", "variance"):  # Keras 3 rounds them to float32 whatever it computes in, Keras 2 does not
            if key in options:
                options[key] = np.asarray(options[key], np.float32).tolist()
    return options


class Keras2:
    """Builds with tf_keras. What only Keras 3 has becomes a registered layer or activation."""

    keras = tf_keras
    name = "tf_keras"

    def layer_class(self, kind: str) -> Any:
        return LAYERS.get(kind) or getattr(tf_keras.layers, kind, None)

    def layer_name(self, name: str) -> str:
        """TensorFlow scopes and function arguments take fewer characters than Keras 3 names."""
        safe = re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
        if not re.match(r"[A-Za-z0-9]", safe) or keyword.iskeyword(safe):
            safe = f"layer_{safe}"
        return safe

    def activation(self, name: str) -> Any:
        return activations.keras2_activation(name)

    def options(self, spec: LayerSpec, options: dict[str, Any]) -> dict[str, Any]:
        options = _common_options(spec, options)
        for option, neutral in _ABSENT_IN_KERAS2.get(spec.kind, {}).items():
            if options.get(option, neutral[0]) not in neutral:
                raise ModelRefused(
                    f"{spec.where[0].upper()}{spec.where[1:]}: option {option!r} is new in Keras 3 and has no "
                    "counterpart in Keras 2, which the optimization toolkit needs; build the model without it.",
                    code="unsupported-option",
                )
            options.pop(option, None)
        if spec.kind == "LeakyReLU":
            options["alpha"] = options.pop("negative_slope", 0.3)
        if spec.kind.endswith("Transpose") and isinstance(options.get("output_padding"), int):
            rank = int(spec.kind[4])
            options["output_padding"] = (options["output_padding"],) * rank if rank > 1 else options["output_padding"]
        return options

    def call_options(self, spec: LayerSpec, args: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        """Keras 3 writes automatic masks into the graph; here they travel with the tensors by themselves."""
        implicit = _carries_mask(args[:1])
        self._refuse_masks_by_hand(spec, args, options)
        kept = {}
        for key, value in options.items():
            automatic = key in ("query_mask", "value_mask", "key_mask") or (
                key == "mask"
                and (value is None or implicit or spec.graph is not None or spec.kind == "BatchNormalization")
            )
            if key == "training" or automatic or (value is None and key == "initial_state"):
                continue
            kept[key] = value
        return kept

    def _refuse_masks_by_hand(self, spec: LayerSpec, args: list[Any], options: dict[str, Any]) -> None:
        """Keras 2's attention has no argument for a mask that does not travel with the tensor itself."""
        if spec.kind != "MultiHeadAttention":
            return
        given = dict(zip(("query", "value", "key"), args, strict=False)) | options
        for name in ("query", "value", "key"):
            source = given.get(name, given.get("value")) if name == "key" else given.get(name)
            if given.get(f"{name}_mask") is not None and not _carries_mask([source]):
                raise ModelRefused(
                    f"{spec.where[0].upper()}{spec.where[1:]}: its {name}_mask is given by hand, which Keras 2 does "
                    "not know; give it an attention_mask instead.",
                    code="unsupported-option",
                )

    def operation(self, spec: LayerSpec, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        layer = None if _carries_mask(args) else self._as_layer(spec, name, args, options)
        if layer is not None:
            inputs = [value for value in flat_tensors(args) if is_tensor(value)]
            return layer(inputs if len(inputs) > 1 else inputs[0])
        if spec.kind not in OPERATIONS:
            raise ModelRefused(
                f"Operation {spec.name!r} ({spec.kind}) has no counterpart in {self.name}; replace it by a built-in "
                "layer and save the model again.",
                code="unsupported-op",
            )
        template, tensors = write_template(args, options, is_tensor)
        if not tensors:
            raise ModelRefused(
                f"Operation {spec.name!r} has no tensor to work on; build the model again and save it.",
                code="bad-graph",
            )
        return Operation(spec.kind, template, name=name)(tensors)

    def _as_layer(self, spec: LayerSpec, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        """The built-in layer that means exactly the same, if any: the toolkit knows layers, not operations."""
        layers, kind = tf_keras.layers, spec.kind
        first: Any = args[0] if args else None
        if kind == "Concatenate":
            return self._concatenation(name, first, options)
        if not is_tensor(first) or not tf.as_dtype(first.dtype).is_floating:
            return None
        if kind in ("Add", "Subtract", "Multiply", "Maximum", "Minimum") and len(args) == 2:
            if is_tensor(args[1]) and first.shape == args[1].shape and first.dtype == args[1].dtype:
                return getattr(layers, kind)(name=name)
            return _rescaling(kind, name, args[1])
        if kind in ("Relu", "Relu6"):
            return layers.ReLU(max_value=6.0 if kind == "Relu6" else None, name=name)
        if kind in ("Sigmoid", "Tanh", "Silu"):
            return layers.Activation(self.activation(kind.lower()), name=name)
        if kind == "Mean" and len(first.shape) == 4 and options.get("axis") in ([1, 2], [2, 1]):
            return layers.GlobalAveragePooling2D("channels_last", keepdims=bool(options.get("keepdims")), name=name)
        return None

    @staticmethod
    def _concatenation(name: str, tensors: Any, options: dict[str, Any]) -> Any:
        axis = options.get("axis", 0)
        if not isinstance(tensors, list) or len(tensors) < 2 or not all(is_tensor(tensor) for tensor in tensors):
            return None
        if axis == 0 or any(tensor.dtype != tensors[0].dtype for tensor in tensors):
            return None
        return tf_keras.layers.Concatenate(axis=axis, name=name)


def _rescaling(kind: str, name: str, factor: Any) -> Any:
    """Adding or multiplying by a constant, as a Rescaling layer."""
    if isinstance(factor, bool) or not isinstance(factor, int | float):
        return None
    if kind == "Multiply":
        return tf_keras.layers.Rescaling(float(factor), name=name)
    if kind in ("Add", "Subtract"):
        return tf_keras.layers.Rescaling(1.0, offset=float(factor if kind == "Add" else -factor), name=name)
    return None


class Keras3:
    """Builds with Keras 3."""

    keras = keras
    name = "Keras 3"

    def layer_class(self, kind: str) -> Any:
        if kind in FROM_APPLICATIONS:
            from keras.src.applications import convnext, inception_resnet_v2

            return getattr(convnext, kind, None) or getattr(inception_resnet_v2, kind)
        return pooling.LAYERS.get(kind) or getattr(keras.layers, _NAMES_NOW.get(kind, kind), None)

    def layer_name(self, name: str) -> str:
        return name.replace("/", "_")

    def activation(self, name: str) -> Any:
        return activations.keras3_activation(name)

    def options(self, spec: LayerSpec, options: dict[str, Any]) -> dict[str, Any]:
        return _common_options(spec, options)

    def call_options(self, spec: LayerSpec, args: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in options.items() if value is not None and key != "training"}

    def operation(self, spec: LayerSpec, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        args = [tuple(value) if spec.kind == "GetItem" and isinstance(value, list) else value for value in args]
        late = {key: options[key] for key in _CALL_OPTIONS if options.get(key) is not None}
        early = {key: value for key, value in options.items() if key not in _CALL_OPTIONS}
        return _operation_class(spec.kind)(**early, name=name)(*args, **late)


def _operation_class(kind: str) -> Any:
    if kind in pooling.OPERATIONS:
        return pooling.OPERATIONS[kind]
    from keras.src.ops import core, image, linalg, math, nn, numpy

    for module in (numpy, nn, core, math, image, linalg):
        if hasattr(module, kind):
            return getattr(module, kind)
    raise ModelRefused(f"Keras {keras.__version__} has no operation {kind!r}.", code="unsupported-op")
