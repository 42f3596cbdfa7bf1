"""The short form of recipes as text: ``magnitude_pruning(target_sparsity=0.8)+int8``.

Where a recipe may be a grid, a value may also be a list, ``[0.5, 0.7]``, or a span: ``linear(0.5, 0.9, 5)`` for values
at equal distances, ``log(1e-4, 1e-2, 5)`` for values at equal ratios. What techniques and settings there are is not
known here.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optimizers.errors import InvalidParameter, InvalidRecipe

Written = tuple[str, dict[str, Any]]
"""A technique's name and what was written in its brackets."""

_MOST_OF_A_SPAN = 1000


@dataclass(frozen=True)
class Span:
    """So many values from ``low`` to ``high``, both included, at equal distances or at equal ratios."""

    kind: str
    low: float
    high: float
    count: int

    @property
    def values(self) -> tuple[float, ...]:
        """The values, to six digits."""
        places = [i / (self.count - 1) for i in range(self.count)]
        if self.kind == "log":
            found = [self.low * (self.high / self.low) ** place for place in places]
        else:
            found = [self.low + (self.high - self.low) * place for place in places]
        return (self.low, *(float(f"{value:.6g}") for value in found[1:-1]), self.high)

    @property
    def text(self) -> str:
        return f"{self.kind}({self.low!r}, {self.high!r}, {self.count})"


def read(text: str) -> list[Written]:
    """The steps that are written, in order.

    Raises:
        InvalidRecipe: The text is not of that form.
        InvalidParameter: A value is neither a number, a word, true/false nor several of these.
    """
    try:
        expression = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InvalidRecipe(
            f"{text!r} is no recipe; write steps joined by '+', like magnitude_pruning(target_sparsity=0.8)+int8, with "
            "quotes around a value that is no plain word or number, like layers='conv*'."
        ) from None
    return _steps(expression, text)


def write(technique: str, given: Mapping[str, Any]) -> str:
    """One step as text, with the values in the order given."""
    if not given:
        return technique
    return f"{technique}({', '.join(f'{name}={literal(value)}' for name, value in given.items())})"


def literal(value: Any) -> str:
    """A value, a list of values or a span as text; `read` reads it back."""
    if isinstance(value, Span):
        return value.text
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(each) for each in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if value.isidentifier() and value not in ("true", "false") else repr(value)
    return repr(value)


def _steps(node: ast.expr, text: str) -> list[Written]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_steps(node.left, text), *_steps(node.right, text)]
    if isinstance(node, ast.Name):
        return [(node.id, {})]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        given: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                break
            given[keyword.arg] = _value(keyword.value, f"{node.func.id}.{keyword.arg}")
        else:
            return [(node.func.id, given)]
    part = ast.get_source_segment(text, node) or text
    raise InvalidRecipe(f"{part!r} is no step; write a technique with named values, like int8(io='int8').")


def _value(node: ast.expr, where: str) -> Any:
    if isinstance(node, ast.Name):
        return {"true": True, "false": False}.get(node.id, node.id)
    if isinstance(node, ast.List):
        return [_value(each, where) for each in node.elts]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("linear", "log"):
        return _span(node.func.id, [_value(each, where) for each in node.args], bool(node.keywords), where)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise InvalidParameter(
            f"{where} must be a number, a word or true/false, or several of them in a list or a span, like [0.5, 0.9] "
            "or linear(0.5, 0.9, 3)."
        ) from None


def _span(kind: str, said: list[Any], named: bool, where: str) -> Span:
    numbers = [n for n in said if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(said) != 3 or len(numbers) != 3 or named or not 2 <= said[2] <= _MOST_OF_A_SPAN or said[2] != int(said[2]):
        raise InvalidParameter(
            f"{where}: a span names its ends and how many values it has, from 2 to {_MOST_OF_A_SPAN}, like "
            f"{kind}(1, 9, 5)."
        )
    low, high, count = said
    if kind == "log" and not (low > 0 and high > 0):
        raise InvalidParameter(f"{where}: a log span lies between two numbers above 0, got {low:g} and {high:g}.")
    return Span(kind, low, high, int(count))
