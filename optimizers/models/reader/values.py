"""Checks of single option values. Each takes ``(value, where)`` and returns plain data or raises `ModelRefused`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from optimizers.errors import ModelRefused
from optimizers.models.reader.limits import LIMITS

Rule = Callable[[Any, str], Any]


def words(text: str) -> list[str]:
    """The words of a text, for tables that are easier to read as one."""
    return text.split()


FLOAT_DTYPES = {"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"}
PLAIN_DTYPES = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"}

ACTIVATIONS = frozenset(
    words(
        "linear relu relu6 leaky_relu sigmoid tanh softmax log_softmax elu selu celu softplus softsign "
        "exponential gelu silu mish hard_sigmoid hard_silu hard_tanh hard_shrink soft_shrink tanh_shrink "
        "log_sigmoid squareplus sparse_plus sparse_sigmoid glu keras2_hard_sigmoid"
    )
)
_ACTIVATION_NAMES = {
    None: "linear",
    "": "linear",
    "swish": "silu",
    "hard_swish": "hard_silu",
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
}
ACTIVATION_LAYERS = frozenset({"ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"})
OURS = "paretoscope>"
"""Prefix under which the classes and functions of ``optimizers.tf`` are registered in files that we write."""


def wrong(where: str, expected: str, value: Any) -> NoReturn:
    """Refuses a value: names the place, what was expected and what was found."""
    raise ModelRefused(
        f"{where[0].upper()}{where[1:]}: expected {expected}, got {str(value)[:60]!r}; build the model again with a "
        "legal value and save it.",
        code="bad-value",
    )


def whole(low: int, high: int) -> Rule:
    """Rule: a whole number within bounds. ``3.0`` counts as 3, true does not count as 1."""

    def rule(value: Any, where: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            wrong(where, f"a whole number from {low} to {high}", value)
        return int(value)

    return rule


size = whole(1, LIMITS.dimension)
integer = whole(-LIMITS.dimension, LIMITS.dimension)
_window = whole(1, 65536)
_pad = whole(0, 1 << 20)
_axis = whole(-8, 8)
_extent = whole(-1, LIMITS.dimension)


def optional(rule: Rule) -> Rule:
    """Rule: None, or what the other rule allows."""
    return lambda value, where: None if value is None else rule(value, where)


def number(value: Any, where: str) -> float:
    """Rule: a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong(where, "a number", value)
    try:
        converted = float(value)
    except OverflowError:
        wrong(where, "a finite number", "a very large integer")
    if not math.isfinite(converted):
        wrong(where, "a finite number", value)
    return converted


def flag(value: Any, where: str) -> bool:
    """Rule: true or false; old files write 0 and 1."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    wrong(where, "true or false", value)


def text(value: Any, where: str) -> str:
    """Rule: up to 128 printable ASCII characters."""
    if isinstance(value, str) and re.fullmatch(r"[\x20-\x7e]{0,128}", value):
        return value
    wrong(where, "a short text of plain characters", value)


def name(value: Any, where: str) -> str:
    """Rule: up to 255 printable characters of any script; none of markup, invisible, or turning the way of writing."""
    if isinstance(value, str) and len(value) <= 255 and value.isprintable() and not {"<", ">"} & set(value):
        return value
    wrong(where, "a short text of printable characters other than < and >", shown(value))


def shown(value: Any) -> str:
    """Anything as text that is safe and short enough for a message."""
    text = str(value)
    cut = "".join(letter if letter.isprintable() else "?" for letter in text[:80])
    return f"{cut}…" if len(text) > len(cut) else cut


def window(value: Any, where: str) -> int | tuple[int, ...]:
    """Rule: a kernel, pool or stride size: one number or one for each of up to three dimensions."""
    if isinstance(value, list | tuple):
        if not 1 <= len(value) <= 3:
            wrong(where, "one to three sizes", value)
        return tuple(_window(item, where) for item in value)
    return int(_window(value, where))


def padding(value: Any, where: str, depth: int = 0) -> Any:
    """Rule: amounts of padding or cropping: a number, one per dimension, or (before, after) per dimension."""
    if isinstance(value, list | tuple):
        if len(value) > 3 or depth > 2:
            wrong(where, "at most three amounts", value)
        return tuple(padding(item, where, depth + 1) for item in value)
    return _pad(value, where)


def axes(value: Any, where: str, depth: int = 0) -> Any:
    """Rule: an axis or a list of axes."""
    if isinstance(value, list | tuple):
        if len(value) > 8 or depth > 2:
            wrong(where, "at most eight axes", value)
        return [axes(item, where, depth + 1) for item in value]
    return _axis(value, where)


def shape(value: Any, where: str) -> tuple[int | None, ...]:
    """Rule: a shape of at most eight dimensions; None and -1 are open."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple) or len(value) > 8:
        wrong(where, "a shape of at most eight dimensions", value)
    return tuple(None if item is None else int(_extent(item, where)) for item in value)


def array_value(value: Any) -> Any:
    """The nested lists inside Keras' ways to write an array into JSON, or the value itself."""
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        config = value.get("config")
        value = config.get("value") if isinstance(config, dict) else None
    if isinstance(value, dict) and value.get("type") == "ndarray":
        value = value.get("value")
    return value


def scalar(value: Any, where: str) -> float:
    """Rule: a number, possibly written as an array of one."""
    return number(array_value(value), where)


def numbers(value: Any, where: str) -> Any:
    """Rule: a number or nested lists of numbers."""
    counted = 0

    def walk(item: Any, depth: int) -> Any:
        nonlocal counted
        if depth > 6:
            wrong(where, "an array of at most six dimensions", "more")
        if isinstance(item, list | tuple):
            return [walk(inner, depth + 1) for inner in item]
        counted += 1
        if counted > LIMITS.constants:
            wrong(where, f"at most {LIMITS.constants:,} numbers", "more")
        return number(item, where)

    return walk(array_value(value), 0)


def constant(value: Any, dtype_name: Any, where: str) -> np.ndarray:
    """An array written into the graph. Booleans and whole numbers keep their kind.

    Returns:
        Array of the given dtype; float32 when the dtype is a float or missing.
    """
    kind = dtype(dtype_name, where)
    plain = array_value({"class_name": "__numpy__", "config": {"value": value}})
    checked = numbers(_without_booleans(plain), where)
    try:
        return np.asarray(checked, dtype=kind if kind in PLAIN_DTYPES else "float32")
    except (ValueError, OverflowError):
        wrong(where, "an array with rows of equal length", plain)


def _without_booleans(value: Any, depth: int = 0) -> Any:
    if isinstance(value, list) and depth < 8:
        return [_without_booleans(item, depth + 1) for item in value]
    return int(value) if isinstance(value, bool) else value


def one_of(*words: str) -> Rule:
    """Rule: one of these words."""

    def rule(value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in words:
            wrong(where, f"one of {', '.join(words)}", value)
        return value

    return rule


data_format = optional(one_of("channels_last", "channels_first"))


def activation(value: Any, where: str) -> str:
    """Rule: a built-in activation, by its Keras 3 name."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    name = value.removeprefix(OURS) if isinstance(value, str) else value
    if name is None or isinstance(name, str):
        name = _ACTIVATION_NAMES.get(name, name)
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ModelRefused(
            f"{where[0].upper()}{where[1:]}: {shown(name)!r} is not an activation that is built into Keras; its code "
            "is not in the file, so replace it by a built-in one and save the model again.",
            code="custom-function",
        )
    return name


_CONSTRAINTS: dict[str, dict[str, Rule]] = {
    "MaxNorm": {"max_value": number, "axis": axes},
    "NonNeg": {},
    "UnitNorm": {"axis": axes},
    "MinMaxNorm": {"min_value": number, "max_value": number, "rate": number, "axis": axes},
}
_REGULARIZERS = frozenset({"L1", "L2", "L1L2", "l1", "l2", "l1_l2"})


def regularizer(value: Any, where: str) -> dict[str, float] | None:
    """Rule: an L1 or L2 penalty, as ``{"l1": …, "l2": …}``; only training would use it."""
    if isinstance(value, dict) and value and set(value) <= {"l1", "l2"}:
        value = {"class_name": "L1L2", "config": value}
    named = _named(value, where, _REGULARIZERS, "regularizer")
    if named is None:
        return None
    return {key: scalar(item, where) for key, item in named[1].items() if key in ("l1", "l2") and item is not None}


def constraint(value: Any, where: str) -> tuple[str, dict[str, Any]] | None:
    """Rule: a built-in weight constraint, as (name, options); only training would use it."""
    named = _named(value, where, frozenset(_CONSTRAINTS), "constraint")
    if named is None:
        return None
    rules = _CONSTRAINTS[named[0]]
    return named[0], {key: rules[key](array_value(item), where) for key, item in named[1].items() if key in rules}


def _named(value: Any, where: str, known: frozenset[str], noun: str) -> tuple[str, dict[str, Any]] | None:
    if value is None:
        return None
    name = value.get("class_name") if isinstance(value, dict) else value
    options = value.get("config") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in known or not isinstance(options or {}, dict):
        raise ModelRefused(
            f"{where[0].upper()}{where[1:]}: {shown(name)!r} is not a {noun} that is built into Keras; leave it out "
            "and save the model again.",
            code="custom-function",
        )
    return name, options or {}


def dtype(value: Any, where: str) -> str | None:
    """Rule: name of a dtype or dtype policy, from its name or its JSON form; None where the file leaves it open."""
    if isinstance(value, dict):
        name, config = value.get("class_name"), value.get("config") or {}
        if name not in ("DTypePolicy", "Policy", "FloatDTypePolicy") or not isinstance(config, dict):
            if re.search("Quantized|GPTQ|AWQ", str(name)):
                _already_quantized(where, name)
            wrong(where, "a dtype", name)
        value = config.get("name")
    if value is None or value in ("_infer", "infer"):
        return None
    if value == "string":
        raise ModelRefused(
            f"{where[0].upper()}{where[1:]}: text cannot be an input of a deployable model; feed whole-number ids "
            "instead.",
            code="unsupported-layer",
        )
    if not isinstance(value, str) or value not in FLOAT_DTYPES | PLAIN_DTYPES:
        if isinstance(value, str) and re.search("int8_from|int4|float8", value):
            _already_quantized(where, value)
        wrong(where, "a dtype", value)
    return value


def _already_quantized(where: str, name: Any) -> NoReturn:
    raise ModelRefused(
        f"{where[0].upper()}{where[1:]}: the model was already quantized by Keras ({shown(name)}); give the float "
        "model.",
        code="already-quantized",
    )
