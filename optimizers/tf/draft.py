"""Conversions tried in advance, where size and possibility cannot be told by counting weights."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any, NamedTuple

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
_LOOKED_AT, _BLOCK = 4 << 20, 1 << 18
"""Bytes that are compressed of what is larger, and in which pieces."""


class Made(NamedTuple):
    """Bytes of a file that was made to know them, and what gzip leaves of it beside its weights."""

    size: int
    beside: int


_known: dict[tuple[str, Mode, Recurrent, Granularity, tuple[bool, ...]], Made | NotApplicable | None] = {}


def made(
    model: Any, mode: Mode, recurrent: Recurrent, bits: Mapping[str, float], granularity: Granularity = "per_channel"
) -> Made | None:
    """The file that a conversion would make; None where counting tells as much.

    It is really converted, calibrated on random inputs, once for all models that differ in weights only. Weights that
    are all alike, such as biases before a training, are another matter: a file stores them once, or not at all.

    Args:
        model: A built tf_keras model.
        bits: Of a kernel value, by layer.
        mode, recurrent, granularity: As `optimizers.tf.convert.convert` takes them.

    Raises:
        NotApplicable: The mode cannot be had for this model, or LiteRT cannot run the result.
    """
    kinds, parameters = {type(layer).__name__ for layer in kernels.layers(model)}, model.count_params()
    if parameters > (_FEW_PARAMETERS if kinds <= _COUNTED else _MOST_PARAMETERS):
        return None
    if keras3_only.inside(model) is not None:
        return _tried(model, mode, recurrent, bits, granularity)
    alike = tuple(_alike(values) for values in model.get_weights())
    key = (model.to_json(), mode, recurrent, granularity, alike)
    if key not in _known:
        try:
            _known[key] = _tried(model, mode, recurrent, bits, granularity)
        except NotApplicable as error:
            _known[key] = error
    found = _known[key]
    if isinstance(found, NotApplicable):
        raise found
    return found


def stir(model: Any) -> None:
    """Leaves no two weights of a tensor equal where all are, as a training does."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        values = variable.numpy()
        if _alike(values):
            variable.assign(values + rng.uniform(0.001, 0.01, values.shape).astype(values.dtype))


def weights_of(model: Any, bits: Mapping[str, float]) -> bytes:
    """All weights about as a file would hold them, so that they compress about alike."""
    packed: list[bytes] = []
    for layer in kernels.layers(model):
        own = {id(v) for v in kernels.kernels(layer)}
        for variable in layer.weights:
            if id(variable) in own:
                packed.append(_stored(np.asarray(variable), bits.get(layer.name, 32)))
            elif type(layer).__name__ != "BatchNormalization":
                packed.append(np.asarray(variable).astype(np.float32).tobytes())
    return b"".join(packed)


def beside(file: bytes, model: Any, bits: Mapping[str, float]) -> int:
    """What gzip leaves of a model's file beside its weights, in bytes."""
    return max(0, compressed(file) - compressed(weights_of(model, bits)))


def compressed(content: bytes) -> int:
    """Bytes that gzip leaves; of much content about so many, from blocks that lie evenly in it.

    Of 25 MB with many zeros it would take gzip a minute. It looks back 32 KB only, so blocks are told like the whole.
    """
    if len(content) <= _LOOKED_AT:
        return len(gzip.compress(content, compresslevel=9, mtime=0))
    starts = np.linspace(0, len(content) - _BLOCK, _LOOKED_AT // _BLOCK).astype(int)
    blocks = b"".join(content[start : start + _BLOCK] for start in starts)
    return round(len(gzip.compress(blocks, compresslevel=9, mtime=0)) * len(content) / len(blocks))


def _alike(values: np.ndarray) -> bool:
    return bool(values.size and values.dtype.kind == "f" and np.ptp(values) == 0)


def _tried(
    model: Any, mode: Mode, recurrent: Recurrent, bits: Mapping[str, float], granularity: Granularity
) -> Made | None:
    rows = verify.random_inputs(model, 0, _EXAMPLES)
    examples = joined([np.concatenate(tensors) for tensors in zip(*rows, strict=True)])
    try:
        file = convert(model, mode, representative=examples, recurrent=recurrent, granularity=granularity).file
    except ConversionWrong:  # the real examples decide about that
        return None
    return Made(len(file), beside(file, model, bits))


def _stored(values: np.ndarray, width: float) -> bytes:
    """The values about as a file of that width would hold them, so that they compress about alike."""
    if width >= 32:
        return values.astype(np.float32).tobytes()
    if width >= 16:
        return values.astype(np.float16).tobytes()
    top = 2 ** (int(width) - 1) - 1
    flat = values.reshape(-1, values.shape[-1])
    scale = np.abs(flat).max(axis=0) / top
    numbers = np.rint(flat / np.where(scale > 0, scale, 1)).astype(np.int8)
    if width > 4:
        return numbers.tobytes()
    per_byte = 8 // (4 if width > 2 else 2)
    codes = numbers.reshape(-1).astype(np.uint8) & (2 ** (8 // per_byte) - 1)
    codes = np.append(codes, np.zeros(-len(codes) % per_byte, np.uint8)).reshape(-1, per_byte)
    shifts = np.arange(per_byte, dtype=np.uint8) * (8 // per_byte)
    return bytes(np.bitwise_or.reduce(codes << shifts, axis=1).astype(np.uint8).tobytes())
