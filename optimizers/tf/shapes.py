"""Fixing what a model leaves open: LiteRT files, and everything that calibrates on them, want known dimensions."""

from __future__ import annotations

from typing import Any

from optimizers.errors import NotApplicable
from optimizers.tf import keras3_only


def with_input_shape(model: Any, shape: tuple[int, ...] | None) -> Any:
    """The model for examples of one shape; the model itself where its input has no open dimension.

    Args:
        model: A functional or sequential tf_keras model with one input.
        shape: Of one example, without the batch dimension; None leaves the model as it is.

    Raises:
        NotApplicable: The model cannot take examples of that shape.
    """
    if shape is None or len(model.inputs) != 1 or None not in tuple(model.inputs[0].shape[1:]):
        return model
    held = keras3_only.inside(model)
    if held is not None:
        return keras3_only.clothed(held.inner, held.ranges, shape)
    config = model.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_input_shape"] = (None, *shape)
    try:
        fixed = type(model).from_config(config)
        for layer in model.layers:
            fixed.get_layer(layer.name).set_weights(layer.get_weights())
    except (ValueError, TypeError) as error:
        shown = ", ".join(str(size) for size in shape)
        raise NotApplicable(f"This model cannot be fixed to examples of shape ({shown}).", detail=str(error)) from error
    return fixed
