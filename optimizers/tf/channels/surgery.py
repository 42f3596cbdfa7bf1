"""The same model without some of its channels."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import tf_keras

from optimizers.tf import graph
from optimizers.tf.channels.layout import Cut, Layout, Size
from optimizers.tf.channels.trace import Trace

_SHAPES = ("query_shape", "key_shape", "value_shape", "batch_input_shape")
"""Options with which tf_keras builds a layer for inputs as they were."""


def without(trace: Trace, dead: Collection[int]) -> Any:
    """A new tf_keras model without the channels of some roots; its other weights are those of the traced model.

    It computes what the traced model does where these channels are zero wherever they appear.

    Args:
        trace: Of the model, which is not changed.
        dead: Roots of groups. No group may lose all of its channels.
    """
    twins: dict[str, Any] = {}

    def replaced(layer: Any) -> Any:
        config = {key: value for key, value in layer.get_config().items() if key not in _SHAPES}
        for size in trace.layouts[layer.name].sizes:
            _set(config, size.path, int(trace.keep(size.labels, dead).sum()))
        # attention makes its weights in from_config, for the inputs that it had; its constructor takes a config as well
        attention = isinstance(layer, tf_keras.layers.MultiHeadAttention)
        twins[layer.name] = type(layer)(**config) if attention else type(layer).from_config(config)
        return twins[layer.name]

    names = [name for name, layout in trace.layouts.items() if _loses(trace, (*layout.cuts, *layout.sizes), dead)]
    result = graph.rebuilt(trace.model, dict.fromkeys(names, replaced))
    for name, twin in twins.items():
        by_weight = _cuts(trace.layouts[name])
        weights = []
        for weight in trace.model.get_layer(name).weights:
            value = weight.numpy()
            for cut in by_weight.get(id(weight), ()):
                value = np.compress(trace.keep(cut.labels, dead), value, axis=cut.axis)
            weights.append(value)
        twin.set_weights(weights)
    return result


def zeroed(trace: Trace, dead: Collection[int]) -> dict[Any, list[np.ndarray]]:
    """All weights of the layers that see some channels, with zeros where these channels are.

    With these weights the traced model computes what it would without the channels.

    Args:
        trace: Of the model.
        dead: Roots of groups.

    Returns:
        For each such layer all of its weights, as ``set_weights`` takes them.
    """
    found: dict[Any, list[np.ndarray]] = {}
    for name, layout in trace.layouts.items():
        if not _loses(trace, layout.cuts, dead):
            continue
        layer, by_weight = trace.model.get_layer(name), _cuts(layout)
        found[layer] = []
        for weight in layer.weights:
            value = weight.numpy()
            for cut in by_weight.get(id(weight), ()):
                np.moveaxis(value, cut.axis, 0)[~trace.keep(cut.labels, dead)] = 0
            found[layer].append(value)
    return found


def _loses(trace: Trace, parts: Iterable[Cut | Size], dead: Collection[int]) -> bool:
    return any(not trace.keep(part.labels, dead).all() for part in parts)


def _cuts(layout: Layout) -> dict[int, list[Cut]]:
    """The cuts of each weight, by its identity."""
    found: dict[int, list[Cut]] = {}
    for cut in layout.cuts:
        found.setdefault(id(cut.weight), []).append(cut)
    return found


def _set(config: dict[str, Any], path: tuple[str, ...], count: int) -> None:
    """Writes a number of channels where an option counts them."""
    for key in path[:-1]:
        config = config[key]
    before = config[path[-1]]
    config[path[-1]] = count if isinstance(before, int) else (*(before or ())[:-1], count)
