"""Conversions tried in advance, where size and possibility cannot be told by counting weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from optimizers.datasets.several import joined
from optimizers.errors import ConversionWrong, NotApplicable
from optimizers.tf import keras3_only, kernels, verify
from optimizers.tf.convert import Mode, Recurrent, convert

_COUNTED = frozenset(
    [
        *("InputLayer", "Dense", "Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"),
        *("BatchNormalization", "Normalization", "Rescaling", "Dropout", "SpatialDropout1D", "SpatialDropout2D"),
        *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Flatten", "Reshape", "Permute"),
        *("ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D"),
        *("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D", "GlobalAveragePooling1D"),
        *("GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
        *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"),
    ]
)
"""Layers that become an operator or two in every mode, so that their files can be foretold without making them."""
_MOST_PARAMETERS = 3_000_000
"""Beyond these a conversion takes too long for a forecast, and weights are nearly all of the file anyway."""
_EXAMPLES = 4


_known: dict[tuple[str, Mode, Recurrent], int | NotApplicable | None] = {}


def size(model: Any, mode: Mode, recurrent: Recurrent) -> int | None:
    """Bytes of the file that a conversion would make; None where counting tells as much.

    It is really converted, calibrated on random inputs, once for all models that differ in weights only.

    Args:
        model: A built tf_keras model.
        mode, recurrent: As `optimizers.tf.convert.convert` takes them.

    Raises:
        NotApplicable: The mode cannot be had for this model, or LiteRT cannot run the result.
    """
    kinds = {type(layer).__name__ for layer in kernels.layers(model)}
    if kinds <= _COUNTED or model.count_params() > _MOST_PARAMETERS:
        return None
    if keras3_only.inside(model) is not None:
        return _tried(model, mode, recurrent)
    key = (model.to_json(), mode, recurrent)
    if key not in _known:
        try:
            _known[key] = _tried(model, mode, recurrent)
        except NotApplicable as error:
            _known[key] = error
    found = _known[key]
    if isinstance(found, NotApplicable):
        raise found
    return found


def _tried(model: Any, mode: Mode, recurrent: Recurrent) -> int | None:
    rows = verify.random_inputs(model, 0, _EXAMPLES)
    examples = joined([np.concatenate(tensors) for tensors in zip(*rows, strict=True)])
    try:
        return len(convert(model, mode, representative=examples, recurrent=recurrent).file)
    except ConversionWrong:  # the real examples decide about that
        return None
