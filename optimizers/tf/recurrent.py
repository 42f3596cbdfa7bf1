"""Recurrent layers: finding them, and a copy of a model in which their steps are written out."""

from __future__ import annotations

from typing import Any

import tf_keras

from optimizers.errors import NotApplicable

_KINDS = (tf_keras.layers.LSTM, tf_keras.layers.GRU, tf_keras.layers.SimpleRNN)
_NAMES = frozenset(kind.__name__ for kind in _KINDS)


def layers(model: Any) -> list[Any]:
    """All LSTM, GRU and SimpleRNN layers, also those inside wrappers and nested models."""
    return [module for module in model.submodules if isinstance(module, _KINDS)]


def all_unrolled(model: Any) -> bool:
    """True when no recurrent layer is left as a cell that steps through time."""
    return all(layer.unroll for layer in layers(model))


def unrolled(model: Any) -> Any:
    """A copy with the same weights in which every recurrent layer is unrolled over its (fixed) number of time steps.

    Args:
        model: Functional or sequential, with a fixed number of time steps.

    Raises:
        NotApplicable: The number of time steps is open, or the model cannot be copied.
    """
    config = model.get_config()
    _unroll_config(config)
    try:
        copy = type(model).from_config(config)
        _copy_weights(model, copy)
    except (ValueError, TypeError) as error:
        raise NotApplicable("The recurrent layers of this model cannot be unrolled.", detail=str(error)) from error
    return copy


def _unroll_config(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("class_name") in _NAMES and isinstance(node.get("config"), dict):
            node["config"]["unroll"] = True
        for value in node.values():
            _unroll_config(value)
    elif isinstance(node, list | tuple):
        for value in node:
            _unroll_config(value)


def _copy_weights(source: Any, target: Any) -> None:
    """Layer by layer by name: the order of a whole model's weights depends on which layers are frozen."""
    for layer in source.layers:
        target.get_layer(layer.name).set_weights(layer.get_weights())
