"""Conversions tried in advance, where size and possibility cannot be told by counting weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from optimizers.datasets.several import joined
from optimizers.errors import ConversionWrong, NotApplicable
from optimizers.tf import keras3_only, kernels, verify
from optimizers.tf.convert import Granularity, Mode, Recurrent, convert

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
_FEW_PARAMETERS = 100_000
"""Up to these a file is made in any case: what is beside its weights counts, and making it takes half a second."""
_MOST_PARAMETERS = 3_000_000
"""Beyond these a conversion takes too long for a forecast, and weights are nearly all of the file anyway."""
_EXAMPLES = 4


_known: dict[tuple[str, Mode, Recurrent, Granularity], int | NotApplicable | None] = {}


def size(model: Any, mode: Mode, recurrent: Recurrent, granularity: Granularity = "per_channel") -> int | None:
    """Bytes of the file that a conversion would make; None where counting tells as much.

    It is really converted, calibrated on random inputs, once for all models that differ in weights only.

    Args:
        model: A built tf_keras model.
        mode, recurrent, granularity: As `optimizers.tf.convert.convert` takes them.

    Raises:
        NotApplicable: The mode cannot be had for this model, or LiteRT cannot run the result.
    """
    kinds, parameters = {type(layer).__name__ for layer in kernels.layers(model)}, model.count_params()
    if parameters > (_FEW_PARAMETERS if kinds <= _COUNTED else _MOST_PARAMETERS):
        return None
    if keras3_only.inside(model) is not None:
        return _tried(model, mode, recurrent, granularity)
    key = (model.to_json(), mode, recurrent, granularity)
    if key not in _known:
        try:
            with as_if_trained(model):
                _known[key] = _tried(model, mode, recurrent, granularity)
        except NotApplicable as error:
            _known[key] = error
    found = _known[key]
    if isinstance(found, NotApplicable):
        raise found
    return found


@contextmanager
def as_if_trained(model: Any) -> Iterator[None]:
    """Meanwhile no two weights are equal, as before a training, when a file stores them once."""
    weights, rng = [(v, v.numpy()) for v in model.weights], np.random.default_rng(0)
    fresh = [(v, values) for v, values in weights if values.size and values.dtype.kind == "f" and np.ptp(values) == 0]
    try:
        for variable, values in fresh:
            variable.assign(values + rng.uniform(0.001, 0.01, values.shape).astype(values.dtype))
        yield
    finally:
        for variable, values in fresh:
            variable.assign(values)


def _tried(model: Any, mode: Mode, recurrent: Recurrent, granularity: Granularity) -> int | None:
    rows = verify.random_inputs(model, 0, _EXAMPLES)
    examples = joined([np.concatenate(tensors) for tensors in zip(*rows, strict=True)])
    try:
        made = convert(model, mode, representative=examples, recurrent=recurrent, granularity=granularity)
    except ConversionWrong:  # the real examples decide about that
        return None
    return len(made.file)
