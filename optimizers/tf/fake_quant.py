"""How kernels are fake-quantized while a model trains, and the toolkit's 8-bit scheme with that put in.

The toolkit's own cluster-preserving quantizers do not serve here: they give every output channel of a convolution
values of its own as soon as the channels have equally many, so that 16 values become 16 per channel; one scale per
channel then blurs them again; and one quantizer is shared by all layers, so that the first layer without zeros ends the
preservation of zeros in all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import quant_ops
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit.default_8bit_quantize_configs import (
    NoOpQuantizeConfig,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantize_aware_activation import (
    NoOpActivation,
    QuantizeAwareActivation,
)

from optimizers.tf.nearest import nearest_values

_default = tfmot.quantization.keras.default_8bit
_ACTIVATIONS = QuantizeAwareActivation._PRE_QUANT_ACTIVATIONS | QuantizeAwareActivation._POST_QUANT_ACTIVATIONS
Scales = Literal["toolkit", "per_tensor", "shared"]
Groups = Literal["none", "tensor", "channel"]


@dataclass(frozen=True)
class KernelPlan:
    """What happens to one layer's kernel.

    Attributes:
        scales: As the toolkit has it (one scale per output channel for convolutions, one per tensor otherwise), one per
            tensor, or one per output channel that is the same for all: what one per tensor is where a batch
            normalization follows, whose factors then stay in the scales.
        clusters: Whether the kernel has few values that are to stay few, in the whole tensor or in each channel.
        keep_zeros: Whether a value that is zero stays zero.
    """

    scales: Scales = "toolkit"
    clusters: Groups = "none"
    keep_zeros: bool = False


class KernelQuantizer(tfmot.quantization.keras.quantizers.LastValueQuantizer):  # type: ignore[misc]
    """Signed 8 bits with zero at zero; before that, every weight becomes the nearest of its kernel's values.

    The values and the weights behind them are both trained, see `nearest_values`.
    """

    def __init__(self, plan: KernelPlan, per_axis: bool) -> None:
        super().__init__(num_bits=8, per_axis=per_axis, symmetric=True, narrow_range=True)
        self._plan = plan

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        size = (tensor_shape[-1],) if self.per_axis else ()
        constant = tf_keras.initializers.Constant
        found = {
            f"{end}_var": layer.add_weight(f"{name}_{end}", size, trainable=False, initializer=constant(start))
            for end, start in (("min", -6.0), ("max", 6.0))
        }
        if self._plan.clusters != "none":
            values = centroids(np.asarray(getattr(layer.layer, name)), self._plan.clusters)
            found["centroids"] = layer.add_weight(f"{name}_centroids", values.shape, initializer=constant(values))
            found["mask"] = tf.constant((values != 0) if self._plan.keep_zeros else np.ones_like(values), tf.float32)
        return found

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **_: Any) -> Any:
        values = self.clustered(inputs, weights)
        low, high = weights["min_var"], weights["max_var"]
        if self._plan.scales == "shared" and training:
            largest = tf.reduce_max(tf.abs(values)) * tf.ones_like(high)
            low, high = low.assign(-largest), high.assign(largest)
            training = False
        return quant_ops.LastValueQuantize(
            values, low, high, is_training=training, num_bits=8, per_channel=self.per_axis, symmetric=True,
            narrow_range=True,
        )  # fmt: skip

    def clustered(self, kernel: Any, weights: dict[str, Any]) -> Any:
        """The kernel with every weight at the nearest of its values; the kernel itself where it has no clusters."""
        if self._plan.clusters == "none":
            return kernel
        return nearest_values(kernel, weights["centroids"] * weights["mask"])


def centroids(kernel: np.ndarray, groups: Groups) -> np.ndarray:
    """The values of a kernel, shape (values,), or of each of its output channels, shape (channels, values).

    A channel with fewer values than others repeats its last one.
    """
    if groups == "tensor":
        return np.unique(kernel)
    rows = [np.unique(row) for row in np.moveaxis(kernel, -1, 0).reshape(kernel.shape[-1], -1)]
    most = max(len(row) for row in rows)
    return np.stack([np.pad(row, (0, most - len(row)), mode="edge") for row in rows])


class Scheme(_default.Default8BitQuantizeScheme):  # type: ignore[misc, name-defined]
    """The toolkit's scheme with own quantizers for some kernels.

    Args:
        kernels: Plan of every layer with a kernel that is to be quantized.
    """

    def __init__(self, kernels: Mapping[str, KernelPlan]) -> None:
        super().__init__()
        self._kernels = kernels

    def get_layout_transformer(self) -> Any:
        return _Layout(self._kernels)

    def get_quantize_registry(self) -> Any:
        return _Registry()


class _Registry(_default.Default8BitQuantizeRegistry):  # type: ignore[misc, name-defined]
    """The toolkit's registry without layers whose activation it does not know: it quantizes the output of any layer
    before a quantized one, and would end at such an activation."""

    def supports(self, layer: Any) -> bool:
        if not super().supports(layer):
            return False
        if not isinstance(layer, tf_keras.layers.Activation):
            return knows_activation(layer)
        try:
            _default.Default8BitQuantizeRegistry().get_quantize_config(layer).get_output_quantizers(layer)
        except ValueError:
            return False
        return True


def knows_activation(layer: Any) -> bool:
    """Whether the scheme knows the activation inside a layer, if it has one."""
    return getattr(layer, "activation", None) is None or activation_name(layer) in _ACTIVATIONS


def activation_name(layer: Any) -> str:
    """Name of the activation inside a layer, such as ``relu``."""
    return str(getattr(layer.activation, "__name__", type(layer.activation).__name__))


class _Layout(_default.Default8BitQuantizeLayoutTransform):  # type: ignore[misc, name-defined]
    """The toolkit's changes to a graph, after which every kernel has its quantizer.

    Where a ReLU layer follows a convolution or Dense layer directly, the toolkit turns off all of that layer's
    quantization, its kernel's included; it is only the activation in between that must not be quantized.
    """

    def __init__(self, kernels: Mapping[str, KernelPlan]) -> None:
        self._kernels = kernels

    def apply(self, model: Any, layer_quantize_map: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        model, found = super().apply(model, layer_quantize_map)
        for layer in model.layers:
            plan = self._kernels.get(layer.name)
            if plan is None:
                continue
            if isinstance(found.get(layer.name, {}).get("quantize_config"), NoOpQuantizeConfig):
                layer.activation = NoOpActivation()
            config = _default.Default8BitQuantizeRegistry().get_quantize_config(layer)
            if plan != KernelPlan():
                per_axis = config.weight_quantizer.per_axis and plan.scales != "per_tensor"
                config.weight_quantizer = KernelQuantizer(plan, per_axis)
            found[layer.name] = {**found.get(layer.name, {}), "quantize_config": config}
        return model, found
