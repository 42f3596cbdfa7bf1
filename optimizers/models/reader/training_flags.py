"""Layers that a model calls with ``training=True`` or ``training=False``, however the model itself is used.

With True a Keras 2 model answers as in training whenever it is used; Keras 3 overrides that. With False, as backbones
are called whose weights are learnt further, normalization keeps the statistics that it has.
"""

from __future__ import annotations

from optimizers.errors import ModelRefused
from optimizers.models.reader.spec import LayerSpec

DIFFERS = frozenset(
    {
        "BatchNormalization", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
        "GaussianDropout", "GaussianNoise", "StochasticDepth",
    }
)  # fmt: skip
"""Layers that answer otherwise in training."""
_RATES = ("dropout", "recurrent_dropout")


def heed(model: LayerSpec, *, keras3: bool) -> None:
    """Freezes normalization that is called with False.

    Args:
        model: Is changed.
        keras3: Whether Keras 3 wrote it.

    Raises:
        ModelRefused: A layer that answers otherwise in training is told to do so for good.
    """
    for layer in model.inside:
        heed(layer, keras3=keras3)
        flags = {call.kwargs.get("training") for call in layer.calls}
        if flags == {False}:
            _freeze(layer)
        if True in flags and not keras3 and differs(layer):
            raise ModelRefused(
                f"{layer.where[0].upper()}{layer.where[1:]} is called with training=True, so its answers depend on "
                "chance or on what else is in the batch, which a deployed file cannot do; build the model without "
                "training=True, give it the same weights and save it again.",
                code="training-flag",
            )


def differs(layer: LayerSpec) -> bool:
    """Whether a layer, or anything inside, answers otherwise in training."""
    rates = (layer.options.get(name) for name in _RATES)
    own = layer.kind in DIFFERS or any(isinstance(rate, int | float) and rate > 0 for rate in rates)
    return own or any(differs(one) for one in layer.inside)


def _freeze(layer: LayerSpec) -> None:
    """A frozen normalization does not use the batch's statistics, nor learn from them."""
    if layer.kind == "BatchNormalization":
        layer.trainable = False
    for one in layer.inside:
        _freeze(one)
