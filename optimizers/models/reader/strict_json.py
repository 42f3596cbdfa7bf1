"""Reads JSON from strangers: bounded in size and depth, without NaN, without repeated keys."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from optimizers.errors import ModelRefused
from optimizers.models.reader.limits import LIMITS

_WAY_OUT = "save the model again with model.save('model.keras')."


def parse_json(data: bytes, what: str = "model description") -> Any:
    """The value that JSON text stands for.

    Args:
        data: UTF-8 text.
        what: How messages call it.

    Raises:
        ModelRefused: ``bad-json`` or ``too-large``.
    """
    if len(data) > LIMITS.json_bytes:
        raise ModelRefused(
            f"The {what} is {len(data) >> 20} MiB of text; at most {LIMITS.json_bytes >> 20} MiB are read: {_WAY_OUT}",
            code="too-large",
        )

    def no_constant(name: str) -> NoReturn:
        raise ModelRefused(f"The {what} has the value {name}, which JSON does not allow; {_WAY_OUT}", code="bad-json")

    def finite(text: str) -> float:
        number = float(text)
        return number if math.isfinite(number) else no_constant(text[:20])

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ModelRefused(f"The {what} repeats a key, so it has no single meaning; {_WAY_OUT}", code="bad-json")
        return found

    try:
        value = json.loads(data, parse_constant=no_constant, parse_float=finite, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:100].rstrip(".") or "nested too deep"
        raise ModelRefused(f"The {what} is not valid JSON ({reason}); {_WAY_OUT}", code="bad-json") from None
    _check_extent(value, what)
    return value


def _check_extent(value: Any, what: str) -> None:
    """Refuses what is nested too deep or has too many values. Iterative, so that depth cannot exhaust the stack."""
    level, depth, count = [value], 0, 0
    while level:
        depth += 1
        count += len(level)
        if depth > LIMITS.json_depth or count > LIMITS.json_nodes:
            raise ModelRefused(
                f"The {what} is nested more than {LIMITS.json_depth} levels deep or has more than "
                f"{LIMITS.json_nodes:,} values; {_WAY_OUT}",
                code="too-large",
            )
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = inner
