"""Controls made from parameter declarations. What a technique declares is all that is known about it here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from optimizers.declarations import Technique
from optimizers.params import ParamField, Scalar, fields

_MOST_SLIDER_STEPS = 60
_MOST_BUTTONS = 3


def given_params(technique: Technique) -> dict[str, Scalar]:
    """Draws the controls of a technique and returns what differs from its defaults."""
    declared = fields(technique.params)
    values = {f.name: control(technique.name, f) for f in declared if not f.advanced}
    advanced = [f for f in declared if f.advanced]
    if advanced:
        with st.expander("More settings", key=f"more:{technique.name}"):
            values |= {f.name: control(technique.name, f) for f in advanced}
    return {f.name: values[f.name] for f in declared if values[f.name] != f.default}


def control(owner: str, field: ParamField) -> Scalar:
    """One control and its present value, in the parameter's own unit (a fraction where percent is shown)."""
    said: dict[str, Any] = {"help": field.help, "key": f"set:{owner}.{field.name}", "persist_state": "session"}
    if field.kind == "bool":
        return bool(st.toggle(field.label, bool(field.default), **said))
    if field.kind == "choice":
        return _choice(field, said)
    if field.percent and field.low is not None and field.high is not None:
        return _percent(field, said)
    if field.log and field.low is not None and field.high is not None:
        options = spread(field.low, field.high, float(field.default))
        shown = st.select_slider(field.label, options, float(field.default), format_func=lambda v: f"{v:g}", **said)
        return int(shown) if field.kind == "int" else float(shown)
    return _number(field, said)


def _choice(field: ParamField, said: dict[str, Any]) -> str:
    if len(field.choices) <= _MOST_BUTTONS:
        chosen = st.segmented_control(
            field.label, field.choices, default=field.default, required=True, format_func=words, **said
        )
        return str(chosen if chosen is not None else field.default)
    place = field.choices.index(str(field.default))
    return str(st.selectbox(field.label, field.choices, place, format_func=words, **said))


def _percent(field: ParamField, said: dict[str, Any]) -> float:
    low, high = round(float(field.low or 0) * 100, 4), round(float(field.high or 1) * 100, 4)
    step = round((field.step or 0.05) * 100, 4)
    whole = all(number == int(number) for number in (low, high, step, float(field.default) * 100))
    numbers = [int(n) if whole else float(n) for n in (low, high, round(float(field.default) * 100, 4), step)]
    shown = st.slider(field.label, *numbers, format="%d%%" if whole else "%.1f%%", **said)
    return round(float(shown) / 100, 6)


def _number(field: ParamField, said: dict[str, Any]) -> int | float:
    whole = field.kind == "int"
    cast: type[int] | type[float] = int if whole else float
    low = None if field.low is None else cast(field.low)
    high = None if field.high is None else cast(field.high)
    default, step = cast(field.default), cast(field.step or (1 if whole else 0.05))
    if low is not None and high is not None and _fits_slider(low, high, default, step):
        return cast(st.slider(field.label, low, high, default, step, **said))
    form = None if whole else "%g"
    return cast(st.number_input(field.label, low, high, default, step, format=form, **said))


def _fits_slider(low: float, high: float, default: float, step: float) -> bool:
    on_step = math.isclose((default - low) / step, round((default - low) / step), abs_tol=1e-6)
    return on_step and (high - low) / step <= _MOST_SLIDER_STEPS


def spread(low: float, high: float, default: float) -> list[float]:
    """Values 1, 2 and 5 of every order of magnitude between two bounds, with the bounds and the default."""
    start, end = math.floor(math.log10(low)), math.ceil(math.log10(high))
    series = [float(f"{digit}e{power}") for power in range(start, end + 1) for digit in (1, 2, 5)]
    return sorted({*(v for v in series if low <= v <= high), low, high, default})


def words(name: str) -> str:
    """A choice as people read it: ``per_channel`` is ``per channel``."""
    return name.replace("_", " ")


def chips(label: str, options: Sequence[str], **said: Any) -> list[str]:
    """The options that are switched on."""
    return list(st.pills(label, options, selection_mode="multi", wrap=True, **said) or [])
