"""How numbers look, in one place: sizes, times, percentages, counts, intervals and differences to the baseline.

Sizes are decimal (1 KB is 1,000 bytes). Minus signs are typographic everywhere, so that columns of numbers line up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from optimizers.declarations import Metric
from optimizers.litert.ratio import PRECISION, verdict

NOT_MEASURED = "not measured"
INDISTINGUISHABLE = "indistinguishable from the baseline"
_SAME = 0.005
"""Ratios closer to 1 than this are told as equal."""
_FINEST = 5
"""Decimals of scores that lie between 0 and 1; no test part is large enough for more."""


@dataclass(frozen=True)
class Scale:
    """How an axis shows a metric: values are multiplied by ``factor`` and named ``unit``."""

    factor: float
    unit: str


_BYTES = (Scale(1e-9, "GB"), Scale(1e-6, "MB"), Scale(1e-3, "KB"), Scale(1.0, "bytes"))
_TIMES = (Scale(1e-3, "s"), Scale(1.0, "ms"), Scale(1e3, "µs"))
_JOULES = (Scale(1.0, "J"), Scale(1e3, "mJ"), Scale(1e6, "µJ"), Scale(1e9, "nJ"), Scale(1e12, "pJ"))


_MOST_ZEROS = 3
"""Behind the point of a number that is written out; ``0.0000740`` is hard to read and too long for a tile."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MORE_DIGITS = 3
"""Most digits that an interval gets so that none of its ends looks like 0."""


def inside(title: str) -> str:
    """A title in the middle of a sentence: abbreviations keep their capitals."""
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def missing(value: float | None) -> bool:
    """Whether there is no number."""
    return value is None or not math.isfinite(value)


def scale(metric: Metric, values: Iterable[float | None]) -> Scale:
    """One scale that suits all values of a metric: the largest unit in which the largest value is at least 1."""
    if metric.percent:
        return Scale(100.0, "%")
    steps = steps_of(metric.unit)
    if not steps:
        return Scale(1.0, "" if metric.unit in ("fraction", "count", "") else metric.unit)
    top = max((abs(v) for v in values if v is not None and not missing(v)), default=1.0)
    return next((step for step in steps if top * step.factor >= 1), steps[-1])


def steps_of(unit: str) -> tuple[Scale, ...]:
    """The units that bytes, milliseconds or joules are shown in, largest first; none for other units."""
    return {"B": _BYTES, "ms": _TIMES, "J": _JOULES}.get(unit, ())


def size(value: float) -> str:
    """A number of bytes, like ``12.3 KB``."""
    step = next((s for s in _BYTES if abs(value) * s.factor >= 1), _BYTES[-1])
    return f"{_three_digits(value * step.factor) if step.factor < 1 else _written(value, '.0f')} {step.unit}"


def milliseconds(value: float) -> str:
    """A short time given in milliseconds, like ``56.1 µs``."""
    step = next((s for s in _TIMES if abs(value) * s.factor >= 1), _TIMES[-1])
    return f"{_three_digits(value * step.factor)} {step.unit}"


def elapsed(seconds: float) -> str:
    """A time that people wait, like ``42 s``, ``3 min 5 s`` or ``1 h 20 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, units = (whole // 60, whole % 60, "min s") if whole < 3600 else (
        whole // 3600, whole % 3600 // 60, "h min",
    )  # fmt: skip
    first, second = units.split()
    return f"{large} {first} {small} {second}" if small else f"{large} {first}"


def count(value: float) -> str:
    """A whole number with thousands separators."""
    return _written(value, ",.0f")


def percent(fraction: float) -> str:
    """A fraction as percent with one decimal, or with as many as it takes not to read as all when it is not."""
    digits = _short_of_one(fraction, 3) - 2
    return f"{_written(round(fraction * 100, digits) + 0.0, f'.{digits}f')}%"  # no minus before a zero


def _short_of_one(fraction: float, digits: int) -> int:
    """Decimals, at least so many and at most six, with which a number just below 1 does not read as 1."""
    while digits < 6 and fraction < 1 and round(fraction, digits) >= 1:
        digits += 1
    return digits


def plain(value: float) -> str:
    """Any other number, with about three significant digits."""
    return count(value) if abs(value) >= 1000 else _three_digits(value)


def value(metric: Metric, number: float | None) -> str:
    """A metric's value with its unit; ``not measured`` where there is none."""
    if number is None or missing(number):
        return NOT_MEASURED
    if metric.percent:
        return percent(number)
    if metric.unit == "B":
        return size(number)
    if metric.unit == "ms":
        return milliseconds(number)
    if metric.unit == "x":
        return f"{number:.2f}x"
    if metric.unit == "count":
        return count(number)
    if metric.unit == "fraction" and 0.995 <= number < 1:
        return f"{number:.{_short_of_one(number, 3)}f}"
    unit = "" if metric.unit in ("fraction", "") else f" {metric.unit}"
    return f"{plain(number)}{unit}"


def spread(metric: Metric, deviation: float) -> str:
    """A standard deviation with its unit; that of a percentage is in points, like ``0.12 points``."""
    return f"{100 * deviation:.2f} points" if metric.percent else value(metric, deviation)


def interval(metric: Metric, low: float | None, high: float | None) -> str:
    """The 95% interval, like ``95.1% to 97.0%`` or ``21.9 to 22.1 µs``; empty where the value is exact."""
    if low is None or high is None or missing(low) or missing(high):
        return ""
    return _from_to(value(metric, low), value(metric, high))


def _from_to(low: str, high: str) -> str:
    """Two numbers with their unit, which is written once where it is the same."""
    unit = high.partition(" ")[2]
    return f"{low.removesuffix(f' {unit}') if unit else low} to {high}"


def unbroken(bounds: str) -> str:
    """An interval for a narrow column: a dash instead of words where no number has a sign, no end of a line inside."""
    short = bounds if set("-−+") & set(bounds) else bounds.replace(" to ", "\u2060–\u2060")
    return short.replace(" ", "\u00a0")


def change(metric: Metric, difference: float | None, speedup: tuple[float, float] | None = None) -> str:
    """The difference to the baseline in words; empty where there is none.

    Args:
        metric: What was measured.
        difference: As comparisons hold it: variant minus baseline for prediction metrics, else ratio minus one.
        speedup: Interval of the speed-up, if known; a time whose interval holds 1 is told as indistinguishable.
    """
    if difference is None or missing(difference) or metric.unit == "x":
        return ""
    if metric.percent:
        return signed(difference * 100, "points", 1)
    if metric.needs == "predictions" and metric.unit == "fraction":
        return signed(difference, "", 3 if abs(difference) >= 0.01 else _FINEST)
    if metric.needs == "predictions":
        return _signed_plain(difference, metric.unit)
    ratio = 1 + difference
    if metric.unit == "ms" and speedup is not None and verdict(1 / ratio, *speedup) == "indistinguishable":
        return INDISTINGUISHABLE
    less, more = _WORDS.get(metric.unit, ("less", "more"))
    if metric.direction == "higher":
        less, more = "less", "more"
    if abs(difference) < _SAME or ratio <= 0:
        return "same" if ratio > 0 else less
    return f"{_times(1 / ratio)} {less}" if ratio < 1 else f"{_times(ratio)} {more}"


def speed(ratio: float, low: float | None, high: float | None) -> str:
    """A speed-up in words, like ``2.50x faster``, ``1.10x slower`` or ``indistinguishable from the baseline``."""
    found = verdict(ratio, low, high)
    if found == "indistinguishable":
        return INDISTINGUISHABLE
    return f"{ratio if found == 'faster' else 1 / ratio:.2f}x {found}"


def precision(ratio: float, low: float | None, high: float | None, disturbed: float | None = None) -> str:
    """How well a speed-up is known, and whether timing ended because it was known well enough.

    Args:
        ratio, low, high: The speed-up and its interval.
        disturbed: Share of the time in which the machine was disturbed.
    """
    if low is None or high is None or missing(low) or missing(high):
        return ""
    width = (high - low) / ratio
    known = f"speed-up known to ±{50 * width:.1f}%"
    if disturbed == 1:
        return f"{known} at best: this machine was disturbed all the time"
    return known if width < PRECISION else f"{known} only: time was up before ±{50 * PRECISION:.1f}%"


def change_interval(metric: Metric, low: float | None, high: float | None) -> str:
    """The 95% interval of a paired difference, like ``−0.4 to +0.6``; empty where there is none."""
    if low is None or high is None or missing(low) or missing(high):
        return ""
    factor = 100 if metric.percent else 1
    widest = max(abs(low), abs(high))
    finest = _FINEST if metric.unit == "fraction" else 9
    digits = 1 if metric.percent else max(0, min(finest, 1 - math.floor(math.log10(widest)))) if widest else 0
    for _ in range(_MORE_DIGITS):  # an end that is not 0 does not look as if it were
        if any(end and not round(end * factor, digits) for end in (low, high)):
            digits += 1
    return " to ".join(signed(end * factor, "", digits) for end in (low, high))


def _signed_plain(number: float, unit: str) -> str:
    """Like `signed` with three decimals, or with three digits where these would hide it."""
    if number == 0 or abs(number) >= 0.01:
        return signed(number, unit, 3)
    return f"{'+' if number > 0 else '−'}{_three_digits(abs(number))} {unit}".rstrip()


_WORDS = {"B": ("smaller", "larger"), "ms": ("faster", "slower"), "count": ("fewer", "more")}


def signed(number: float, unit: str, digits: int) -> str:
    """A difference with its sign; zero after rounding has a plus-minus sign."""
    rounded = round(number, digits)
    sign = "±" if rounded == 0 else "+" if rounded > 0 else "−"
    return f"{sign}{abs(rounded):.{digits}f} {unit}".rstrip()


def _times(ratio: float) -> str:
    return f"{ratio:.2f}x" if ratio < 1.1 else f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x"


def _three_digits(number: float) -> str:
    if number == 0:
        return "0"
    rounded = round(number, 2 - math.floor(math.log10(abs(number))))
    digits = 2 - math.floor(math.log10(abs(rounded)))
    if digits > _MOST_ZEROS + 3:
        tens = 2 - digits
        return f"{_written(rounded / 10**tens, '.2f')}×10{str(tens).translate(_RAISED)}"
    return _written(rounded, f".{max(0, digits)}f")


def _written(number: float, spec: str) -> str:
    """A number as the specification has it, with a typographic minus sign."""
    return format(number, spec).replace("-", "−")


def cell(number: str | bool | float | None, unit: str = "") -> str:
    """A fact or a table's cell in its unit, see `optimizers.findings.Unit`; a dash where there is nothing."""
    if number is None or (not isinstance(number, str | bool) and missing(number)):
        return "–"
    if isinstance(number, bool):
        return "yes" if number else "no"
    if isinstance(number, str):
        return number
    written = _WRITTEN.get(unit)
    if written is not None:
        return written(number)
    return f"{_whole_or_plain(number)} {unit}".rstrip()


def share(fraction: float) -> str:
    """A share as percent, with as many digits as it takes to see that it is not nothing."""
    return percent(fraction) if fraction == 0 or abs(fraction) >= 0.0005 else f"{_written(fraction * 100, '.1g')}%"


def bounds(low: float | None, high: float | None, unit: str = "") -> str:
    """Two bounds in one unit, which is written once where it is the same.

    Example:
        ``bounds(-0.02, 0.01, "points")`` gives ``−2.0 to +1.0 points``.
    """
    return _from_to(cell(low, unit), cell(high, unit))


def listed(names: Iterable[str]) -> str:
    """The first three names, and how many more there are."""
    every = list(dict.fromkeys(names))
    more = f" and {count(len(every) - 3)} more" if len(every) > 3 else ""
    return ", ".join(every[:3]) + more


_WRITTEN: dict[str, Callable[[float], str]] = {
    "B": size,
    "ms": milliseconds,
    "s": elapsed,
    "x": lambda v: f"{v:.2f}x",
    "fraction": percent,
    "count": count,
    "bits": lambda v: f"{v:.2f} bits",
    "dB": lambda v: f"{_written(v, '.1f')} dB",
    "J": lambda v: _joules(v),
    "1/s": lambda v: f"{plain(v)} per s",
    "points": lambda v: signed(v * 100, "points", 1),
}


def _joules(number: float) -> str:
    step = next((s for s in _JOULES if abs(number) * s.factor >= 1), _JOULES[-1])
    return f"{_three_digits(number * step.factor)} {step.unit}"


def _whole_or_plain(number: float) -> str:
    return count(number) if isinstance(number, int) else plain(number)
