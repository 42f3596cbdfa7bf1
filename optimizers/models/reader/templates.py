"""JSON form of an operation's arguments, in which tensors are numbered holes. Used in the files that we write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from optimizers.models.reader import values as v
from optimizers.models.reader.nodes import bad_graph
from optimizers.models.reader.strict_json import parse_json

_TENSOR, _SLICE, _ELLIPSIS, _ARRAY, _DTYPE = "$tensor", "$slice", "$ellipsis", "$array", "$dtype"


def write_template(args: list[Any], options: dict[str, Any], is_tensor: Any) -> tuple[str, list[Any]]:
    """Template text, and the tensors in the order of its holes.

    Args:
        args, options: Plain data, slices, ``...``, NumPy arrays and tensors.
        is_tensor: Tells whether a leaf is a tensor.

    Example:
        ``[x, 2.0], {"axis": 1}`` gives ``{"args": [{"$tensor": 0}, 2.0], "options": {"axis": 1}}`` and ``[x]``.
    """
    tensors: list[Any] = []

    def encode(value: Any) -> Any:
        if is_tensor(value):
            tensors.append(value)
            return {_TENSOR: len(tensors) - 1}
        if isinstance(value, slice):
            return {_SLICE: [value.start, value.stop, value.step]}
        if value is ...:
            return {_ELLIPSIS: True}
        if isinstance(value, np.ndarray):
            return {_ARRAY: value.tolist(), _DTYPE: value.dtype.name}
        if isinstance(value, list | tuple):
            return [encode(item) for item in value]
        if isinstance(value, dict):
            return {key: encode(item) for key, item in value.items()}
        return value

    text = json.dumps({"args": encode(args), "options": encode(options)}, sort_keys=True, allow_nan=False)
    return text, tensors


def fill_template(text: Any, tensors: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments and options with the tensors in their holes. Raises `ModelRefused` for text that is no template."""
    template = parse_json(text.encode("utf-8", "replace") if isinstance(text, str) else b"", "template of an operation")

    def decode(value: Any) -> Any:
        if isinstance(value, list):
            return [decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if _TENSOR in value:
            position = value[_TENSOR]
            if type(position) is not int or not 0 <= position < len(tensors):
                raise bad_graph("an operation lacks one of its inputs")
            return tensors[position]
        if _SLICE in value:
            bounds = value[_SLICE]
            if not isinstance(bounds, list) or len(bounds) != 3:
                raise bad_graph("an operation has a damaged slice")
            return slice(*(v.optional(v.integer)(bound, "slice") for bound in bounds))
        if _ELLIPSIS in value:
            return ...
        if _ARRAY in value:
            return v.constant(value[_ARRAY], value.get(_DTYPE), "constant")
        return {key: decode(item) for key, item in value.items()}

    args = template.get("args") if isinstance(template, dict) else None
    options = template.get("options") if isinstance(template, dict) else None
    if not isinstance(args, list) or not isinstance(options, dict):
        raise bad_graph("an operation without arguments")
    return decode(args), decode(options)
