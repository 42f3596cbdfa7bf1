"""tf_keras layers for what only Keras 3 has, registered under ``paretoscope>`` so that they can be saved and cloned."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.models.reader.templates import fill_template
from optimizers.tf.activations import PACKAGE
from optimizers.tf.ops import OPERATIONS

_register = tf_keras.utils.register_keras_serializable


@_register(PACKAGE, "Operation")
class Operation(tf_keras.layers.Layer):  # type: ignore[misc]
    """One operation of ``keras.ops`` as a layer without weights.

    Args:
        operation: Name in ``optimizers.tf.ops.OPERATIONS``.
        template: Its arguments with numbered holes for tensors, see ``optimizers.models.reader.templates``.

    Call arguments:
        inputs: One tensor or a list of tensors, in the order of the holes.
    """

    def __init__(self, operation: str, template: str, **options: Any) -> None:
        super().__init__(autocast=False, **options)
        self.operation = operation
        self.template = template

    def call(self, inputs: Any) -> Any:
        args, options = fill_template(self.template, list(inputs) if isinstance(inputs, list | tuple) else [inputs])
        return OPERATIONS[self.operation](*args, **options)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Operations do not pass masks on."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "operation": self.operation, "template": self.template}


@_register(PACKAGE, "RMSNormalization")
class RMSNormalization(tf_keras.layers.Layer):  # type: ignore[misc]
    """Divides by the root mean square over ``axis`` and multiplies by a learned scale. Keeps the shape.

    As in Keras 3 the scale meets the last dimensions, whatever the axes are.
    """

    def __init__(self, axis: int | list[int] = -1, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        axes = [self.axis] if isinstance(self.axis, int) else sorted(self.axis)
        shape, last = tuple(input_shape[axis] for axis in axes), tuple(input_shape)[-len(axes) :]
        if any(own not in (1, other) and other not in (1, None) for own, other in zip(shape, last, strict=True)):
            raise ValueError("its scale does not fit the last axes, so Keras cannot run it")
        self.scale = self.add_weight("scale", shape, initializer="ones")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        mean = tf.reduce_mean(tf.square(inputs), axis=self.axis, keepdims=True)
        return inputs * tf.math.rsqrt(mean + self.epsilon) * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


@_register(PACKAGE, "LayerScale")
class LayerScale(tf_keras.layers.Layer):  # type: ignore[misc]
    """Multiplies the last axis, of size ``projection_dim``, by learned factors. Keeps the shape."""

    def __init__(self, projection_dim: int, init_values: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.projection_dim = projection_dim
        self.init_values = init_values

    def build(self, input_shape: Any) -> None:
        start = tf_keras.initializers.Constant(self.init_values)
        self.gamma = self.add_weight("gamma", (self.projection_dim,), initializer=start)
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs * self.gamma

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "projection_dim": self.projection_dim, "init_values": self.init_values}


@_register(PACKAGE, "StochasticDepth")
class StochasticDepth(tf_keras.layers.Layer):  # type: ignore[misc]
    """Drops whole examples with probability ``drop_path_rate`` while training, scales the others. Keeps the shape."""

    def __init__(self, drop_path_rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.drop_path_rate = drop_path_rate

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training:
            return inputs
        keep = 1.0 - self.drop_path_rate
        shape = (tf.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        return inputs / keep * tf.floor(keep + tf.random.uniform(shape, dtype=inputs.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "drop_path_rate": self.drop_path_rate}


@_register(PACKAGE, "CustomScaleLayer")
class CustomScaleLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """Adds ``scale`` times the second input to the first, both of one shape (Inception-ResNet)."""

    def __init__(self, scale: float, **options: Any) -> None:
        super().__init__(**options)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1] * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@_register(PACKAGE, "CategoryEncoding")
class CategoryEncoding(tf_keras.layers.Layer):  # type: ignore[misc]
    """Numbers below ``num_tokens`` as rows of 0 and 1, or counts. LiteRT has no operator for tf_keras's own layer.

    ``one_hot`` makes a row of each number (n, 1), the others one of all numbers (n, many).
    """

    def __init__(self, num_tokens: int, output_mode: str = "multi_hot", **options: Any) -> None:
        super().__init__(autocast=False, **options)
        self.num_tokens = num_tokens
        self.output_mode = output_mode

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        hot = tf.one_hot(tf.cast(inputs, tf.int32), self.num_tokens, dtype=self.compute_dtype)
        if count_weights is not None:
            hot *= tf.cast(count_weights, hot.dtype)[..., tf.newaxis]
        if self.output_mode == "one_hot":
            return hot[..., 0, :] if len(inputs.shape) > 1 and inputs.shape[-1] == 1 else hot
        return (tf.reduce_max if self.output_mode == "multi_hot" else tf.reduce_sum)(hot, axis=-2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}


@_register(PACKAGE, "SpectralNormalization")
class SpectralNormalization(tf_keras.layers.SpectralNormalization):  # type: ignore[misc]
    """tf_keras's own, which cannot be made again of what it tells about itself."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        inner = config["layer"]
        layer = tf_keras.layers.deserialize(inner, custom_objects, use_legacy_format="module" not in inner)
        return cls(layer, **{name: value for name, value in config.items() if name != "layer"})


LAYERS = {
    "CategoryEncoding": CategoryEncoding,
    "SpectralNormalization": SpectralNormalization,
    "Operation": Operation,
    "RMSNormalization": RMSNormalization,
    "LayerScale": LayerScale,
    "StochasticDepth": StochasticDepth,
    "CustomScaleLayer": CustomScaleLayer,
}
