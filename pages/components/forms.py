"""Controls made from parameter declarations. What a technique declares is all that is known about it here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from optimizers import selection
from optimizers.params import ParamField, ParamSet, Scalar, fields

_MOST_SLIDER_STEPS = 60
_MOST_BUTTONS = 3


@dataclass(frozen=True)
class Choices:
    """What a declaration cannot know: the model's layers and outputs, other models (names by URI), columns."""

    layers: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def given_params(owner: str, params: type[ParamSet], choices: Choices) -> dict[str, Scalar]:
    """Draws the controls of a technique or an analysis and returns what differs from the defaults."""
    declared = fields(params)
    values = {f.name: control(owner, f, choices) for f in declared if not f.advanced}
    advanced = [f for f in declared if f.advanced]
    if advanced:
        with st.expander("More settings", key=f"more:{owner}"):
            values |= {f.name: control(owner, f, choices) for f in advanced}
    return {f.name: values[f.name] for f in declared if values[f.name] != f.default}


def key_of(owner: str, name: str) -> str:
    """Under which the session keeps a control's value."""
    return f"set:{owner}.{name}"


def control(owner: str, field: ParamField, choices: Choices) -> Scalar:
    """One control and its present value, in the parameter's own unit (a fraction where percent is shown)."""
    said: dict[str, Any] = {"help": field.help, "key": key_of(owner, field.name), "persist_state": "session"}
    if field.kind == "bool":
        return bool(st.toggle(field.label, bool(field.default), **said))
    if field.kind == "layers":
        return _layers(field, choices.layers, said)
    if field.kind == "model":
        named = {"": "None", **choices.models}
        return str(st.selectbox(field.label, list(named), format_func=lambda uri: named.get(uri, uri), **said))
    if field.kind == "column":
        kept = st.session_state.get(said["key"]) or []
        st.session_state[said["key"]] = [title for title in kept if title in choices.columns]
        return ",".join(
            st.multiselect(field.label, choices.columns, placeholder="Found by its name, else the last", **said)
        )
    if field.kind == "labels":
        return str(st.text_input(field.label, max_chars=200, placeholder="None", **said) or "").strip()
    if field.kind == "output":  # a model with one has nothing to choose
        return str(st.selectbox(field.label, choices.outputs, **said)) if choices.outputs else field.default
    if field.kind == "choice":
        return _choice(field, said)
    if field.percent and field.low is not None and field.high is not None:
        return _percent(field, said)
    if field.log and field.low is not None and field.high is not None:
        options = spread(field.low, field.high, float(field.default))
        shown = st.select_slider(field.label, options, float(field.default), format_func=lambda v: f"{v:g}", **said)
        return int(shown) if field.kind == "int" else float(shown)
    return _number(field, said)


def shown_value(field: ParamField, value: Scalar) -> Any:
    """A parameter's value as its control keeps it: percents instead of fractions, layers and columns as a list."""
    if field.kind == "layers":
        return list(selection.patterns(str(value)))
    if field.kind == "column":
        return [title.strip() for title in str(value).split(",") if title]
    if field.percent and field.low is not None and field.high is not None:
        return type(_percent_numbers(field)[0])(round(float(value) * 100, 4))
    return float(value) if field.log else value


def _layers(field: ParamField, names: Sequence[str], said: dict[str, Any]) -> str:
    """Layers to pick from a list, or patterns to type; none means all."""
    kept = st.session_state.get(said["key"]) or []
    options = list(dict.fromkeys([*names, *kept]))
    picked = st.multiselect(field.label, options, accept_new_options=True, placeholder="All that can be", **said)
    return ", ".join(picked)


def _choice(field: ParamField, said: dict[str, Any]) -> str:
    known = said["key"] in st.session_state  # a default beside it would be a second opinion
    if len(field.choices) <= _MOST_BUTTONS:
        default = None if known else field.default
        chosen = st.segmented_control(
            field.label, field.choices, default=default, required=True, format_func=words, **said
        )
        return str(chosen if chosen is not None else field.default)
    place = 0 if known else field.choices.index(str(field.default))
    return str(st.selectbox(field.label, field.choices, place, format_func=words, **said))


def _percent(field: ParamField, said: dict[str, Any]) -> float:
    numbers = _percent_numbers(field)
    form = "%d%%" if isinstance(numbers[0], int) else "%.1f%%"
    shown = st.slider(field.label, *numbers, format=form, **said)
    return round(float(shown) / 100, 6)


def _percent_numbers(field: ParamField) -> list[int] | list[float]:
    """Lowest, highest, default and step in percent, as whole numbers where all of them are."""
    fractions = (float(field.low or 0), float(field.high or 1), float(field.default), field.step or 0.05)
    numbers = [round(fraction * 100, 4) for fraction in fractions]
    return [int(n) for n in numbers] if all(n == int(n) for n in numbers) else numbers


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
