"""Rules about speed: what runs outside the fast CPU delegate, what converts, what is too small to be faster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from optimizers.diagnosis.facts import CELLS, Facts, Op
from optimizers.diagnosis.finding import Figure, Finding, Rule
from optimizers.figures.format import count, listed, milliseconds, percent
from optimizers.findings import Tone
from optimizers.litert.processor import has_dot_products

_WORK = 0.05
"""Share of the multiply-accumulates from which operators are worth a sentence."""
_DELEGATE = "LiteRT's fast CPU delegate (XNNPACK)"
_BROKEN = 3
_MOST = 0.5
"""Share of the multiply-accumulates from which the kind of their arithmetic decides how fast a file can be."""
_CALL = 0.25
_NOISE = 0.05

_WHY: Mapping[str, tuple[str, str]] = {
    "16-bit activations": (
        "because of 16-bit activations",
        "Full int8 (8-bit activations) is what this CPU has fast kernels for; 16 bits are for hardware made for them.",
    ),
    "8-bit kernels meet floats": (
        "because of integer kernels under floating point activations",
        "Full int8 quantization, or float32 kernels for these layers, run in the delegate.",
    ),
    "recurrent cell outside the delegate": (
        "because it has no fused recurrent cells",
        "Full int8 with the setting “recurrent layers: unrolled” makes operators of them that it has.",
    ),
    "recurrent layer is a loop": (
        "because it cannot take loops, whose rounds are run one by one",
        "Full int8 with the setting “recurrent layers: unrolled” makes operators of them that it has.",
    ),
    "operators outside the delegate": ("because it has no such operators, or not in these types", ""),
}
"""Why the delegate does not take operators, and what helps, by case."""
_FALLBACK = "float operators in an integer file"


def outside(facts: Facts) -> Iterable[Finding]:
    """Operators that do much of the work but run in LiteRT's own, slower kernels."""
    own = facts.own
    groups: dict[str, list[Op]] = {}
    for op in own.ops:
        if not op.delegated and op.macs:
            groups.setdefault(_reason(op, own.integer), []).append(op)
    for reason, ops in groups.items():
        share = sum(op.macs for op in ops) / own.macs
        if share < _WORK or reason == _FALLBACK:
            continue
        words, advice = _WHY[reason]
        kinds = listed(op.kind for op in ops)
        noun, run = ("1 operator", "does") if len(ops) == 1 else (f"{count(len(ops))} operators", "do")
        text = f"{noun} ({kinds}: {listed(op.layer for op in ops)}) with {percent(share)} of the multiplications {run} "
        text += f"not run in {_DELEGATE}, {words}.{_took(facts, ops)}"
        shown = (Figure("Of the multiplications", share, "fraction"), Figure("Operators", len(ops), "count"))
        yield Finding(reason, "speed", text, advice, (*shown, *_speed(facts)), _worry(facts))


def _reason(op: Op, integer: bool) -> str:
    if op.given == "INT16":
        return "16-bit activations"
    if op.hybrid and op.kind not in CELLS:
        return "8-bit kernels meet floats"
    if op.kind in CELLS:
        return "recurrent cell outside the delegate"
    if op.loop:
        return "recurrent layer is a loop"
    return _FALLBACK if op.floating and integer else "operators outside the delegate"


def fallback(facts: Facts) -> Iterable[Finding]:
    """Floating point is left in a file whose work is mostly done in whole numbers."""
    own = facts.own
    left = [op for op in own.ops if op.floating]
    if not own.integer or not left:
        return
    share = sum(op.macs for op in left) / own.macs
    inside = sum(op.cast and not op.border for op in own.ops)
    compute = "computes" if len(left) == 1 else "compute"
    text = f"{count(len(left))} of {count(len(own.ops))} operators of this integer file {compute} in floating point "
    text += f"({listed(op.kind for op in left)}; {percent(share)} of the multiplications)"
    text += f", and {count(inside)} more convert between the two." if inside else "."
    text += _took(facts, left)
    advice = "They have no int8 form in LiteRT, or were left in floating point on purpose. Other layers in their place "
    advice += "make the file integer only, as NPUs and microcontrollers need it."
    shown = (
        Figure("In floating point", len(left), "count"),
        Figure("Of the multiplications", share, "fraction"),
        Figure("Conversions inside", inside, "count"),
    )
    yield Finding(_FALLBACK, "speed", text, advice, shown, "warning")


def borders(facts: Facts) -> Iterable[Finding]:
    """Inputs and outputs are converted between floating point and whole numbers."""
    ends = [op for op in facts.own.ops if op.cast and op.border]
    if not ends or not facts.own.integer:
        return
    text = f"Inputs and outputs are floating point, so {count(len(ends))} operators ({listed(op.kind for op in ends)}) "
    text += f"convert them at the borders of the integer model.{_took(facts, ends)}"
    advice = "The setting “inputs and outputs: int8” does away with them where the application can give integers."
    yield Finding("conversions at the borders", "speed", text, advice, (Figure("Conversions", len(ends), "count"),))


_INSTEAD = (
    (frozenset({"SQUARED_DIFFERENCE", "RSQRT"}), "Batch in place of layer normalization leaves fewer of them."),
    (frozenset({"HARD_SWISH", "GELU", "ELU"}), "ReLU or ReLU6 as the activation leaves fewer of them."),
)
"""What helps against operators that the delegate does not take."""


def broken(facts: Facts) -> Iterable[Finding]:
    """The delegate is called again and again, because operators between its own are not its."""
    own, other = facts.own, facts.reference
    if own.calls is None or other.calls is None or own.calls <= max(_BROKEN, other.calls):
        return
    between = [op for op in own.ops if op.delegated is False]
    text = f"{count(len(between))} operators ({listed(op.kind for op in between)}) do not run in {_DELEGATE}, which "
    text += f"is therefore called {count(own.calls)} times for one answer, {count(other.calls)} in {facts.called}."
    text += _took(facts, between)
    kinds = {op.kind for op in between}
    advice = next(
        (words for some, words in _INSTEAD if kinds & some), "Other layers in their place leave fewer of them."
    )
    if not other.integer:
        advice = f"In floating point it takes them, where dynamic range quantization keeps them. {advice}"
    shown = (Figure("Calls of the delegate", own.calls, "count"), Figure("Operators between", len(between), "count"))
    yield Finding("delegate is called many times", "speed", text, advice, (*shown, *_speed(facts)), _worry(facts))


def tiny(facts: Facts) -> Iterable[Finding]:
    """There is so little to compute that calling LiteRT takes much of the time."""
    took = facts.measured.get("latency_ms")
    if took is None or facts.call_ms is None or facts.call_ms < _CALL * took.value:
        return
    text = f"One answer takes {milliseconds(took.value)}, "
    if facts.call_ms < took.value:
        text += f"of which LiteRT needs at least {milliseconds(facts.call_ms)} to be called at all: "
    else:  # they were measured at different times
        text += f"hardly more than LiteRT needs to be called at all ({milliseconds(facts.call_ms)}): "
    text += f"{count(facts.own.macs)} multiplications are too few for faster arithmetic to show."
    advice = "Several examples in one call share this cost."
    shown = (Figure("One answer", took.value, "ms"), Figure("A call by itself", facts.call_ms, "ms"))
    yield Finding("calls take the time", "speed", text, advice, (*shown, *_speed(facts)), _worry(facts))


def processor(facts: Facts) -> Iterable[Finding]:
    """The processor has no instruction that makes whole numbers faster than floating point."""
    own, told = facts.own, facts.speedup
    if told is None or facts.faster or facts.reference.integer or has_dot_products(told.device) is not False:
        return
    share = sum(op.macs for op in own.ops if op.kernel == "INT8" and not op.widened and op.delegated) / max(1, own.macs)
    if share < _MOST:
        return
    text = (
        f"{percent(share)} of the multiplications are of 8-bit numbers, for which this processor ({told.device}) has "
    )
    text += "no instruction that multiplies and adds them at once (VNNI, dot product)."
    advice = (
        "Processors that have one, as those of newer phones and servers, can be several times faster with the same "
    )
    advice += "file: measure it there (“This device”). To be faster here as well, let the model compute less, with "
    advice += "structured pruning or low-rank decomposition."
    shown = (Figure("Of the multiplications", share, "fraction"), *_speed(facts))
    yield Finding("processor is not faster in integers", "speed", text, advice, shown, _worry(facts))


def slower_layers(facts: Facts) -> Iterable[Finding]:
    """The delegate takes a layer in both files and needs longer in this one, as a profile tells."""
    if facts.profile is None or facts.same or facts.faster:
        return
    whole = sum(_number(row["ms"]) for row in facts.profile.table("layers").rows)
    rows = [row for row in facts.profile.table("layers").rows if not row["outside"] and row.get("reference")]
    worst = max(rows, key=lambda row: _number(row["ms"]) - _number(row["reference"]), default=None)
    if worst is None or _number(worst["ms"]) - _number(worst["reference"]) < _NOISE * whole:
        return
    after, before = _number(worst["ms"]), _number(worst["reference"])
    text = f"{worst['group']} takes {milliseconds(after)} instead of {milliseconds(before)} in {facts.called}: "
    text += "in the types that it has here this CPU computes it more slowly."
    advice = "Leave this layer in floating point (mixed precision), or measure on the device that the file is for."
    shown = (Figure("Time", after, "ms"), Figure(f"In {facts.called}", before, "ms"))
    yield Finding("layer is slower in this type", "speed", text, advice, (*shown, *_speed(facts)), _worry(facts))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def unexplained(facts: Facts, found: Iterable[Finding]) -> Iterable[Finding]:
    """It is slower by more than a trifle, and no rule knows why."""
    trifle = facts.speedup is not None and facts.speedup.value > 1 - _NOISE
    if facts.slower and not trifle and not any(f.concerns == "speed" and f.tone == "warning" for f in found):
        text = "It is slower than the baseline, and nothing about its operators explains it."
        advice = "“Time by operator” finds out which of them take longer, and this diagnosis then says so."
        yield Finding("slower without a known cause", "speed", text, advice, _speed(facts), "warning")


def _took(facts: Facts, ops: Iterable[Op]) -> str:
    """Their share of the time, where a profile tells it."""
    share = facts.time_share(op.number for op in ops)
    return f" That takes {percent(share)} of the time." if share is not None else ""


def _speed(facts: Facts) -> tuple[Figure, ...]:
    return (Figure("Speed-up", facts.speedup.value, "x"),) if facts.speedup else ()


def _worry(facts: Facts) -> Tone:
    """What keeps a file from being faster is no reason to worry where it is faster all the same."""
    return "plain" if facts.same or facts.faster or facts.speedup is None else "warning"


RULES: tuple[Rule, ...] = (outside, fallback, broken, tiny, processor, slower_layers, borders)
