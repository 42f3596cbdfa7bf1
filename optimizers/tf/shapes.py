"""Fixing what a model leaves open: LiteRT files, and everything that calibrates on them, want known dimensions."""

from __future__ import annotations

from typing import Any

from optimizers.declarations import InputShape
from optimizers.errors import NotApplicable
from optimizers.tf import keras3_only


def with_input_shape(model: Any, shape: InputShape | None) -> Any:
    """The model for examples of one shape; the model itself where no input has an open dimension.

    Args:
        model: A functional or sequential tf_keras model.
        shape: Of one example, without the batch dimension, or one for each of several inputs; None leaves the model as
            it is.

    Raises:
        NotApplicable: The model cannot take examples of that shape.
    """
    if shape is None or not any(None in tuple(tensor.shape[1:]) for tensor in model.inputs):
        return model
    shapes: list[tuple[int, ...]] = [shape] if len(model.inputs) == 1 else list(shape)
    held = keras3_only.inside(model)
    if held is not None:
        return keras3_only.clothed(held.inner, held.ranges, shapes)
    config, known = model.get_config(), dict(zip(model.input_names, shapes, strict=True))
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            name = layer["config"]["name"]
            layer["config"]["batch_input_shape"] = (None, *known.get(name, shapes[0]))
    try:
        fixed = type(model).from_config(config)
        for layer in model.layers:
            fixed.get_layer(layer.name).set_weights(layer.get_weights())
    except (ValueError, TypeError) as error:
        shown = " and ".join(f"({', '.join(map(str, sizes))})" for sizes in shapes)
        raise NotApplicable(f"This model cannot be fixed to examples of shape {shown}.", detail=str(error)) from error
    return fixed
