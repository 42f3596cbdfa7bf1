"""Typed, bounded, documented parameters: one declaration feeds validation, form, command line and search space."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizers.errors import InvalidParameter

Scalar = bool | int | float | str


class ParamSet(BaseModel):
    """Base of all parameter classes. Immutable; an unknown name is an error, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=False)


class ParamField(BaseModel):
    """What a form, a command line or a search needs to know about one parameter."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Literal["bool", "int", "float", "choice", "layers", "model", "column", "labels", "output"]
    default: Scalar
    label: str
    help: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    percent: bool = False
    log: bool = False
    advanced: bool = False
    searched: bool | tuple[str, ...] = True


def param(
    default: Scalar,
    *,
    label: str,
    help: str,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    percent: bool = False,
    log: bool = False,
    advanced: bool = False,
    text: Literal["layers", "model", "column", "labels", "output"] | None = None,
    searched: bool | tuple[str, ...] = True,
) -> Any:
    """A parameter declaration, to be used as a class attribute of a `ParamSet`.

    Args:
        default: Value when nobody says anything; must work on every sample model.
        label: Words in front of the control, without unit.
        help: One sentence on what a larger or other value does.
        low, high: Inclusive bounds of a number, in the parameter's own unit.
        step: Distance between two sensible values (slider step).
        percent: Show the fraction as percent; the value itself stays a fraction from 0 to 1.
        log: Sensible values are spread over orders of magnitude.
        advanced: Hide behind "more settings".
        text: What a text parameter says: ``layers`` is a choice of layers as `optimizers.selection` reads it, ``model``
            the URI of a model or nothing, ``column`` the name of a table's column or nothing, ``labels`` labels with
            commas between them or nothing, ``output`` the name of one of several outputs or nothing.
        searched: Whether a search may try other values, or which ones of a choice. Settings behind "more settings" and
            texts keep their default in a search whatever is said here.
    """
    extra: dict[str, Any] = {"label": label, "step": step, "percent": percent, "log": log, "advanced": advanced}
    extra["searched"] = searched
    if text:
        extra["kind"] = text
    return Field(default=default, ge=low, le=high, description=help, json_schema_extra=extra)


def fields(params: type[ParamSet]) -> tuple[ParamField, ...]:
    """The declared parameters of a class in order of declaration, inherited ones last."""
    inherited = {name for base in params.__mro__[1:] if issubclass(base, ParamSet) for name in base.model_fields}
    order = sorted(params.model_fields, key=lambda name: name in inherited)
    return tuple(_field(name, params.model_fields[name]) for name in order)


def _field(name: str, info: Any) -> ParamField:
    bounds = {}
    for rule in info.metadata:
        if getattr(rule, "ge", None) is not None:
            bounds["low"] = float(rule.ge)
        if getattr(rule, "le", None) is not None:
            bounds["high"] = float(rule.le)
    choices: tuple[str, ...] = ()
    if get_origin(info.annotation) is Literal:
        kind, choices = "choice", tuple(str(c) for c in get_args(info.annotation))
    else:
        kind = {bool: "bool", int: "int", float: "float", str: "text"}[info.annotation]
    return ParamField.model_validate(
        {
            "name": name,
            "kind": kind,
            "default": info.default,
            "help": info.description,
            "choices": choices,
            **bounds,
            **info.json_schema_extra,
        }
    )


def resolve(owner: str, params: type[ParamSet], given: dict[str, Any]) -> ParamSet:
    """A validated instance.

    Args:
        owner: Name of what the parameters belong to, for messages.
        params: The declaration.
        given: Explicit values by name.

    Raises:
        InvalidParameter: Names the value, the bound and the way out.
    """
    try:
        return params.model_validate(given)
    except ValidationError as error:
        raise InvalidParameter(_sentence(owner, params, error)) from None


def _sentence(owner: str, params: type[ParamSet], error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    known = {field.name: field for field in fields(params)}
    if name not in known:
        if not name:
            return f"{owner}: {first['msg'].removeprefix('Value error, ')}."
        options = ", ".join(known) or "none"
        return f"{owner} has no parameter {name!r}; it takes: {options}."
    field, value = known[name], first["input"]
    if field.kind == "choice":
        return f"{owner}.{name} must be one of {', '.join(field.choices)}, got {value!r}."
    if field.kind == "bool":
        return f"{owner}.{name} must be true or false, got {value!r}."
    if field.kind in ("layers", "model", "column", "labels", "output"):
        return f"{owner}.{name}: {first['msg'].removeprefix('Value error, ')}, got {value!r}."
    noun = "a whole number" if field.kind == "int" else "a number"
    if field.low is not None and field.high is not None:
        return f"{owner}.{name} must be {noun} in [{field.low:g}, {field.high:g}], got {value!r}."
    return f"{owner}.{name} must be {noun}, got {value!r}."
