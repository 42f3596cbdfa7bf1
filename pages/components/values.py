"""Values of settings as people pick and type them, several at a time; what is offered follows from declarations."""

from __future__ import annotations

import re
from collections.abc import Sequence

from optimizers.errors import InvalidParameter
from optimizers.params import ParamField, Scalar
from optimizers.short_form import Span
from pages.components.forms import Choices, spread, words

_MOST_OFFERED = 12
_FACTORS, _MULTIPLES = (0.25, 0.5, 1, 2, 4), (0, 1, 2, 5, 10)
_SPAN = re.compile(r"(.+?) to (.+?) in (\d{1,3})")


def offered(field: ParamField, choices: Choices) -> list[Scalar]:
    """Sensible values of a setting, in order: all of a few, else some that hold the default and both ends."""
    if field.kind == "bool":
        return [False, True]
    if field.kind == "choice":
        return list(field.choices)
    if field.kind == "model":
        return ["", *choices.models]
    if field.kind == "layers":
        return ["", *choices.layers]
    default, low, high = float(field.default), field.low, field.high
    if field.log and low is not None and high is not None:
        found = spread(low, high, default)
    elif low is None or high is None or not field.step or (high - low) / field.step > 10 * _MOST_OFFERED:
        scaled = [default * f for f in _FACTORS] if default else [(field.step or 1) * f for f in _MULTIPLES]
        found = [v for v in scaled if (low is None or v >= low) and (high is None or v <= high)]
    else:
        count = round((high - low) / field.step)
        every = -(-count // _MOST_OFFERED)
        found = [low + i * field.step for i in range(0, count + 1, every)] + [high, default]
    cast = round if field.kind == "int" else lambda v: float(f"{v:.6g}")
    return sorted({cast(v) for v in found})


def suggested(field: ParamField, choices: Choices) -> list[Scalar]:
    """Values to begin with: all of a few, else the default and one on either side of it."""
    values = offered(field, choices)
    if field.kind in ("bool", "choice", "model", "layers"):
        return values[: 1 if field.kind in ("model", "layers") else 3]
    place, apart = values.index(field.default), max(1, len(values) // 5)
    first = min(max(0, place - apart), max(0, len(values) - 1 - 2 * apart))
    return values[first : first + 2 * apart + 1 : apart]


def shown(field: ParamField, value: Scalar) -> str:
    """A value as people read and type it; `read` reads it back."""
    if field.kind == "bool":
        return "yes" if value else "no"
    if field.kind == "choice":
        return words(str(value))
    if field.kind in ("model", "layers", "column", "labels"):
        return str(value) or "none" if field.kind != "layers" else str(value) or "all"
    return f"{float(value) * 100:.6g}%" if field.percent else f"{float(value):.6g}"


def read(field: ParamField, picked: Sequence[str]) -> list[Scalar]:
    """The values that were picked or typed, each once. Raises `InvalidParameter` for what is no value."""
    return list(dict.fromkeys(value for text in picked for value in _read(field, text.strip())))


def _read(field: ParamField, text: str) -> list[Scalar]:
    if field.kind == "bool":
        return [text == "yes"]
    if field.kind == "choice":
        return [{words(choice): choice for choice in field.choices}.get(text, text)]
    if field.kind not in ("int", "float"):
        return ["" if text in ("none", "all") else text]
    span = _SPAN.fullmatch(text)
    if span is not None:
        low, high, count = _number(field, span[1]), _number(field, span[2]), int(span[3])
        if count < 2 or (field.log and min(low, high) <= 0):
            raise InvalidParameter(f"{text!r} is no span; write its ends and how many values, like 10 to 90 in 5.")
        found = Span("log" if field.log else "linear", low, high, count).values
        return [round(v) for v in found] if field.kind == "int" else list(found)
    return [_number(field, part) for part in text.split(",") if part.strip()]


def _number(field: ParamField, text: str) -> int | float:
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        raise InvalidParameter(f"{text!r} is no value of {field.label.lower()}; write numbers.") from None
    if field.percent:
        number = float(f"{number / 100:.6g}")
    low, high = field.low, field.high
    if not ((low is None or number >= low) and (high is None or number <= high)):
        ends = f"{shown(field, low or 0)} to {shown(field, high)}" if high is not None else f"at least {low:g}"
        raise InvalidParameter(f"{field.label} must be {ends}, got {text.strip()}.")
    if field.kind == "int":
        if number != int(number):
            raise InvalidParameter(f"{field.label} must be a whole number, got {text.strip()}.")
        return int(number)
    return number
