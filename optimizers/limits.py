"""Limits that a file has to keep, typed as short text: ``size<=100KB, accuracy>=-1pt, speedup>=2``.

A number without a sign limits the figure itself. A sign compares with the baseline: ``accuracy>=-1pt`` allows one point
less, ``size<=-50%`` asks for half. So does a multiple: ``size<=0.25x``. Words do as well: ``at most 100 KB, at most
1 point worse, at least 2x faster``. `optimizers.qualifying` tells which files keep them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

from optimizers import registry
from optimizers.declarations import Metric
from optimizers.errors import InvalidParameter
from optimizers.figures import format as fmt

Kind = Literal["value", "difference", "ratio"]
Side = Literal["most", "least"]

MOST_LIMITS = 12
_EXAMPLE = "size<=100KB, {}, speedup>=2"
EXAMPLE = _EXAMPLE.format("accuracy>=-1pt")
_LATENCY, _SPEEDUP = "latency_ms", "speedup"

_SIGNS: dict[str, Side] = {
    "<=": "most", "<": "most", "≤": "most", "at most": "most", "max": "most", "below": "most", "under": "most",
    ">=": "least", ">": "least", "≥": "least", "at least": "least", "min": "least", "above": "least", "over": "least",
}  # fmt: skip
_WORDS = {
    "worse", "better", "smaller", "larger", "bigger", "faster", "slower", "fewer", "less", "more", "lower", "higher",
}  # fmt: skip
_POINTS = {"pt", "pts", "pp", "point", "points"}
_TIMES = {"x", "times"}
_UNITS: dict[str, dict[str, float]] = {
    "B": {"b": 1, "byte": 1, "bytes": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30},
    "ms": {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1, "s": 1e3},
    "count": {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "bn": 1e9},
}
_LIMIT = re.compile(
    rf"(?P<name>.*?)\s*(?P<sign>{'|'.join(_SIGNS)})\s*"
    rf"(?P<number>[-+−]?\s*(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*"
    rf"(?P<unit>%|[^\W\d]*)\s*(?P<word>{'|'.join(sorted(_WORDS))})?(?:\s+than\s+the\s+baseline)?",
    re.IGNORECASE,
)

_ABOVE_ZERO = ("B", "ms", "J", "x")
"""Units of what no file has none of."""


@dataclass(frozen=True)
class Limit:
    """One bound on one metric.

    Attributes:
        metric: Its name.
        kind: What is bounded: the figure itself (``value``), how much it is above the baseline's (``difference``), or
            what multiple of the baseline's it is (``ratio``).
        side: Whether it may be at ``most`` or must be at ``least`` the bound.
        bound: In the metric's own unit (bytes, milliseconds, a fraction of 1), for ratios a multiple.
    """

    metric: str
    kind: Kind
    side: Side
    bound: float

    def __post_init__(self) -> None:
        declared = registry.metric(self.metric)
        if not isfinite(self.bound):
            raise InvalidParameter(f"A limit of {declared.title} must be a number, got {self.bound}.")
        if self.kind == "value" and self.bound <= 0 and declared.unit in _ABOVE_ZERO:
            raise InvalidParameter(f"{declared.title} is above 0 in every file; write a limit above 0.")
        if self.kind == "value" and self.side == "least" and self.bound > 1 and _share(declared):
            raise InvalidParameter(f"{declared.title} is never above {self.amount(1)}; write a limit up to that.")
        if self.kind == "ratio" and self.bound <= 0:
            raise InvalidParameter(f"{declared.title} can only be limited to a multiple above 0, got {self.bound:g}x.")
        if self.kind != "value" and declared.needs == "timing" and declared.unit != "B":
            if self.metric != _LATENCY:
                raise InvalidParameter(
                    f"{declared.title} is not measured in turn with the baseline; limit the speed-up, as in speedup>=2."
                )
            if self.kind == "difference":
                raise InvalidParameter("Times are compared by ratios; write latency<=0.5x, or speedup>=2.")

    @property
    def declared(self) -> Metric:
        return registry.metric(self.metric)

    @property
    def text(self) -> str:
        """The short form; `parse` gives the same limit back."""
        sign = "<=" if self.side == "most" else ">="
        name = _short(self.metric)
        if self.kind == "ratio":
            return f"{name}{sign}{self.bound:.10g}x"
        compared = self.kind == "difference"
        unit = self.declared.unit
        if unit == "fraction" and compared:
            return f"{name}{sign}{self.bound * 100:+.10g}pt"
        if self.declared.percent:
            return f"{name}{sign}{self.bound * 100:.10g}%"
        scale = fmt.scale(self.declared, [self.bound])
        number, shown = self.bound * scale.factor, scale.unit if fmt.steps_of(unit) or unit == "x" else ""
        return f"{name}{sign}{f'{number:+.10g}' if compared else f'{number:.10g}'}{shown}"

    @property
    def words(self) -> str:
        """As a sentence would have it, like ``file size at most 100 KB``."""
        title = fmt.inside(self.declared.title)
        if self.kind == "value":
            return f"{title} at {self.side} {self._written(self.bound)}"
        if self.kind == "ratio":
            return f"{title} at {self.side} {self.bound:.4g}x the baseline's"
        falls = self.declared.direction == "higher"
        if falls == (self.side == "least"):  # the side on which being worse is limited
            if self.bound == 0:
                return f"{title} not worse than the baseline's"
            worse = (self.bound < 0) == falls
            return f"{title} at {'most' if worse else 'least'} {self._written(abs(self.bound))} {_than(worse)}"
        return (
            f"{title} at {self.side} {'+' if self.bound >= 0 else '−'}{self.amount(abs(self.bound))} of the baseline's"
        )

    def _written(self, bound: float) -> str:
        """A bound with its unit and no more digits than it was given with."""
        if self.kind == "difference" and self.declared.unit == "fraction":
            return self.amount(bound)
        scale = fmt.scale(self.declared, [bound])
        unit = scale.unit if scale.unit in ("", "%", "x") else f" {scale.unit}"
        return f"{bound * scale.factor:,.10g}{unit}" if bound >= 1e4 else f"{bound * scale.factor:.4g}{unit}"

    def amount(self, quantity: float) -> str:
        """A quantity of the kind that is bounded, with its unit: ``12.3 KB``, ``1.5 points``, ``0.25x``."""
        return fmt.value(self.declared, quantity) if self.kind == "value" else self.gap(quantity)

    def gap(self, quantity: float) -> str:
        """How far one such quantity is from another; shares differ by points: ``1.5 points``."""
        if self.kind == "ratio":
            return f"{quantity:.3g}x"
        if self.declared.unit != "fraction":
            return fmt.value(self.declared, quantity)
        points = round(quantity * 100, 2)
        return f"{points:g} point{'' if abs(points) == 1 else 's'}"


def usual(metric: str) -> str:
    """What people often allow a quality to lose: a point of a share, or 5% more of an error."""
    declared = registry.metric(metric)
    if declared.unit != "fraction":
        return f"{metric}<=1.05x"
    return f"{metric}>=-1pt" if declared.direction == "higher" else f"{metric}<=+1pt"


def example(metric: str) -> str:
    """`EXAMPLE` with that quality."""
    return _EXAMPLE.format(usual(metric))


def parse(text: str, *, quality: str = "") -> tuple[Limit, ...]:
    """The limits in a text, in order; none in an empty one.

    Args:
        text: Limits, separated by commas, semicolons or ``and``.
        quality: The metric that is meant where points are named without one; see
            `optimizers.history.frames.headline`.

    Raises:
        InvalidParameter: What cannot be understood, and how to write it.
    """
    parts = [p.strip() for p in re.split(r"(?<!\d),|,(?!\d)|[;\n]|\band\b", text) if p.strip()]
    if len(parts) > MOST_LIMITS:
        raise InvalidParameter(f"At most {MOST_LIMITS} limits can be given, got {len(parts)}.")
    return tuple(dict.fromkeys(_limit(part, quality) for part in parts))


def text_of(limits: Iterable[Limit]) -> str:
    """The short form of several limits; `parse` gives the same limits back."""
    return ", ".join(limit.text for limit in limits)


def metric_named(text: str) -> str:
    """The metric's name that people write as ``size``, ``File size``, ``size_bytes``; ``digit/accuracy`` of an output.

    Raises:
        InvalidParameter: Lists what there is.
    """
    wanted, known = _plain(text), registry.metrics()
    for name, metric in known.items():
        if wanted in (_plain(name), _plain(_short(name)), _plain(metric.title)):
            return name
    output, mark, rest = text.strip().rpartition("/")
    if mark and output.strip():
        name = f"{output.strip()}/{metric_named(rest)}"
        if name in known:
            return name
        raise InvalidParameter(f"{registry.metric(metric_named(rest)).title} is told of a file, not of one output.")
    more = {"memory": "peak_memory_bytes", "speed": _SPEEDUP, "compressed": "compressed_bytes", "arena": "arena_bytes"}
    if wanted in more:
        return more[wanted]
    told = ", ".join(_short(name) for name in known)
    raise InvalidParameter(f"There is no metric {text.strip()!r}; there are: {told}.")


def _limit(part: str, quality: str) -> Limit:
    found = _LIMIT.fullmatch(part.replace("×", "x"))
    if found is None:
        raise InvalidParameter(f"{part!r} is no limit. Write a metric, <= or >=, and a number, as in {EXAMPLE}.")
    if re.search("[<>≤≥]", found["name"]):
        raise InvalidParameter(f"{part!r} are several limits; separate them by commas, as in {EXAMPLE}.")
    number, signed = _number(found["number"], part)
    unit, word, side = found["unit"].lower(), (found["word"] or "").lower(), _SIGNS[found["sign"].lower()]
    if unit in _WORDS and not word:
        unit, word = "", unit
    name = metric_named(found["name"]) if found["name"].strip() else _implied(unit, word, quality, part)
    if word:
        limit = _in_words(name, side, number, unit, word, part)
    else:
        limit = _in_signs(name, side, number, signed, unit, part)
    return replace(limit, bound=float(f"{limit.bound:.10g}"))  # what the short form tells, exactly


def _number(text: str, part: str) -> tuple[float, bool]:
    """The number and whether it has a sign."""
    plain = text.replace("−", "-").replace(" ", "")
    if "," in plain and not re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?", plain):
        raise InvalidParameter(f"{part!r} has a comma inside a number; write 1.5, not 1,5.")
    return float(plain.replace(",", "")), plain[0] in "+-"


def _implied(unit: str, word: str, quality: str, part: str) -> str:
    """The metric of a limit that names none."""
    if word in ("faster", "slower"):
        return _SPEEDUP
    if unit in _UNITS["B"] or word in ("smaller", "larger", "bigger"):
        return "size_bytes"
    if unit in _UNITS["ms"]:
        return _LATENCY
    if quality and (unit in _POINTS or word in ("worse", "better")):
        return quality
    raise InvalidParameter(f"{part!r} does not say which metric it limits; put its name in front, as in {EXAMPLE}.")


def _in_signs(name: str, side: Side, number: float, signed: bool, unit: str, part: str) -> Limit:
    metric, short = registry.metric(name), _short(name)
    own = _UNITS.get(metric.unit, {})
    if unit in _TIMES:
        return Limit(name, "value" if metric.unit == "x" else "ratio", side, number)
    if unit in _POINTS:
        if metric.unit != "fraction":
            raise InvalidParameter(
                f"{part!r}: {metric.title} is not counted in points; write a multiple, {short}<=1.05x."
            )
        if not signed:
            raise InvalidParameter(f"{part!r}: points compare with the baseline and need a sign, as in {short}>=-1pt.")
        return Limit(name, "difference", side, number / 100)
    if unit == "%" and not metric.percent:
        if not signed:
            raise InvalidParameter(f"{part!r}: write {short}<=+5% or {short}<=0.95x, to say how it compares.")
        return Limit(name, "ratio", side, 1 + number / 100)
    if unit == "%" and signed:
        raise InvalidParameter(f"{part!r}: write {short}>=-1pt for one point less than the baseline.")
    kind: Kind = "difference" if signed else "value"
    if unit == "%":
        return Limit(name, kind, side, number / 100)
    if metric.percent and not 0 <= abs(number) <= 1:
        raise InvalidParameter(f"{part!r}: write {short}>=95%, or {short}>=-1pt for one point less than the baseline.")
    if unit not in own and unit:
        raise InvalidParameter(f"{part!r}: {metric.title} is not measured in {unit}; write {_way(metric, short)}.")
    if not unit and metric.unit in ("B", "ms"):
        raise InvalidParameter(f"{part!r} lacks a unit; write {_way(metric, short)}.")
    return Limit(name, kind, side, number * own.get(unit, 1.0))


def _in_words(name: str, side: Side, number: float, unit: str, word: str, part: str) -> Limit:
    """``at most 1 point worse``, ``at least 4x smaller``, ``at most 5% more``."""
    metric = registry.metric(name)
    if word in ("faster", "slower"):
        if name not in (_SPEEDUP, _LATENCY) or unit not in _TIMES or number <= 0:
            raise InvalidParameter(f"{part!r}: write how many times, as in at least 1.5x faster.")
        return Limit(
            _SPEEDUP, "value", side if word == "faster" else _other(side), number if word == "faster" else 1 / number
        )
    up = word in ("larger", "bigger", "more", "higher") or (
        word in ("worse", "better") and (word == "better") == (metric.direction == "higher")
    )
    ahead = side if up else _other(side)  # "at most 1 point worse" bounds accuracy from below
    if unit in _TIMES:
        return Limit(name, "ratio", ahead, number if up else 1 / number if number > 0 else number)
    step = number if up else -number
    if unit == "%" and not metric.percent:
        return Limit(name, "ratio", ahead, 1 + step / 100)
    if unit == "%" and metric.percent:
        raise InvalidParameter(f"{part!r}: of a share in percent say points, as in at most 1 point worse.")
    if unit in _POINTS and metric.unit == "fraction":
        return Limit(name, "difference", ahead, step / 100)
    if unit not in _UNITS.get(metric.unit, {"": 1.0}):
        raise InvalidParameter(f"{part!r}: {metric.title} does not go with {unit or 'a bare number'}; write {EXAMPLE}.")
    return Limit(name, "difference", ahead, step * _UNITS.get(metric.unit, {"": 1.0})[unit])


def _other(side: Side) -> Side:
    return "least" if side == "most" else "most"


def _than(worse: bool) -> str:
    return "worse than the baseline's" if worse else "better than the baseline's"


def _way(metric: Metric, short: str) -> str:
    return {"B": f"{short}<=100KB", "ms": f"{short}<=5ms"}.get(metric.unit, f"{short}<=1.05x or a bare number")


def _short(name: str) -> str:
    """A metric's name without its unit, where that is no other one's."""
    short = re.sub(r"_(bytes|ms)$", "", name)
    return short if short not in registry.metrics() else name


def _share(metric: Metric) -> bool:
    """Whether the best there can be is 1."""
    return metric.unit == "fraction" and metric.direction == "higher"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9²]", "", text.lower())
