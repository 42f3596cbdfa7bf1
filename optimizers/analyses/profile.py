"""Where the time of one answer goes, operator by operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from optimizers.errors import NotApplicable
from optimizers.figures.format import count, milliseconds, percent
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.litert.interpreter import STATEFUL_OPS
from optimizers.litert.layers import named
from optimizers.litert.operators import CASTS
from optimizers.params import ParamSet, param
from optimizers.records import LayerRow

if TYPE_CHECKING:
    from optimizers.litert.profile import Estimate, Piece, Profile

_AGREES = 0.15
"""Largest difference of the sum and the whole, as a share of the whole, that is not worth a warning."""
_DELEGATE = "XNNPACK, LiteRT's fast CPU delegate"
_ORDER = "In the order of computation, from 0. Times about or below zero are less than a call costs."
_LOOPS = frozenset({"WHILE", "IF", "CALL"})
_RECURRENT = _LOOPS | STATEFUL_OPS


class ProfileParams(ParamSet):
    """Of the profile."""

    seconds: float = param(
        4.0,
        label="Seconds of timing",
        help="Longer gives narrower intervals.",
        low=1.0,
        high=60.0,
        step=1.0,
    )


def analyse(context: Context, params: ProfileParams) -> Report:
    """Time by operator, layer and type beside the reference's, what runs outside the delegate, and what is left.

    Raises:
        NotApplicable: The file cannot be run without LiteRT's delegate, so that it cannot be taken apart.
    """
    from optimizers.litert.profile import profiles

    data = context.data()
    part = data.validation if len(data.validation) else data.train
    files = [context.subject.file.read_bytes(), *([] if context.same else [context.reference.file.read_bytes()])]
    seconds = params.seconds * len(files)
    found = profiles(files, part.x[:1], threads=context.threads, seconds=seconds, progress=context.progress)
    own = _Told(found[0], context.model.layers)
    other = _Told(found[1], context.model.layers) if len(found) > 1 else own
    if all(piece.problem for piece in own.pieces if not piece.at_load) and own.pieces:
        raise NotApplicable("No operator of this file can be run by itself.")
    name = context.reference.name
    return Report(
        sentences=tuple(_sentences(own, None if context.same else other, name)),
        facts=tuple(_facts(own)),
        tables=(
            _operators(own),
            _grouped("layers", "Time by layer", "Layer", own, other, name, lambda told, p: told.layer(p)),
            _grouped("kinds", "Time by kind of operator", "Kind", own, other, name, lambda told, p: p.kind),
            *_conversions(own),
        ),
    )


class _Told:
    """A profile with layers and sums."""

    def __init__(self, profile: Profile, layers: Sequence[LayerRow]) -> None:
        from optimizers.litert.profile import total

        self.profile, self.pieces, self._total = profile, profile.pieces, total
        self._where = _places(profile.pieces, layers)
        self.whole = total([profile.whole_ms])
        calls = profile.call_ms + profile.delegation.calls * profile.delegate_ms
        self.call = total([calls])
        self.timed = tuple(piece for piece in self.pieces if piece.ms.size)
        self.own = tuple(piece for piece in self.pieces if not piece.delegated and not piece.at_load)
        self.floating = tuple(p for p in self.pieces if p.floating and not p.at_load)
        self.casts = tuple(p for p in self.pieces if p.kind in CASTS and not p.at_load)
        self.missing = tuple(piece for piece in self.pieces if piece.problem)

    def total(self, pieces: Iterable[Piece]) -> Estimate:
        return self._total([piece.ms for piece in pieces])

    def share(self, pieces: Iterable[Piece]) -> float:
        """Of the whole time."""
        return self.total(pieces).value / self.whole.value

    @property
    def rest(self) -> float:
        """Milliseconds of the whole that neither operators nor the call explain; negative where they exceed it."""
        return self.whole.value - self.call.value - self.total(self.timed).value

    def layer(self, piece: Piece) -> str:
        return next(iter(self._where[piece.number]), piece.kind.lower())

    def title(self, piece: Piece) -> str:
        found = ", ".join(self._where[piece.number])
        return f"{piece.number}: {piece.kind} ({found})" if found else f"{piece.number}: {piece.kind}"

    def words(self, piece: Piece) -> str:
        """As sentences name an operator."""
        found = self._where[piece.number]
        return f"{piece.kind} of {found[0]}" if found else piece.kind

    @property
    def mixed(self) -> bool:
        """Whether most of what is computed is integers, yet some operators compute in floating point."""
        working = [p for p in self.pieces if not p.at_load and p.kind not in CASTS]
        integers = len(working) - len(self.floating)
        return bool(self.casts) and integers > 0 and len(self.floating) > 0


def _places(pieces: Sequence[Piece], layers: Sequence[LayerRow]) -> dict[int, tuple[str, ...]]:
    """The layers of each operator. Fused recurrent cells and loops have no name; they are the recurrent layers left."""
    found = {piece.number: named(piece.names, [row.name for row in layers]) for piece in pieces}
    told = {name for names in found.values() for name in names}
    left = [row.name for row in layers if row.parameters and row.name not in told]
    nameless = [piece for piece in pieces if piece.kind in _RECURRENT and not found[piece.number]]
    if len(left) == len(nameless):
        found |= {piece.number: (name,) for piece, name in zip(nameless, left, strict=True)}
    return found


def _sentences(own: _Told, other: _Told | None, name: str) -> Iterable[Sentence]:
    slowest = sorted(own.timed, key=lambda p: -own.total([p]).value)
    if not slowest:
        yield Sentence(text="This file has no operator that takes time.")
        return
    first = slowest[0]
    text = f"{own.words(first)} takes {percent(own.share([first]))} of the time"
    if len(slowest) > 3:
        text += f", and the three slowest of {count(len(slowest))} operators {percent(own.share(slowest[:3]))}"
    yield Sentence(text=f"{text}.", advice="What is done to these layers decides how fast the file is.")
    yield _delegated(own)
    if own.mixed:
        kinds = ", ".join(dict.fromkeys(piece.kind for piece in own.floating))
        yield Sentence(
            text=f"{count(len(own.floating))} operators of this partly integer file compute in floating point "
            f"({kinds}) and take {percent(own.share(own.floating))} of the time.",
            tone="warning",
        )
    if own.casts:
        yield Sentence(
            text=f"{count(len(own.casts))} conversions between types take {percent(own.share(own.casts))} of the time."
        )
    if other is not None and other.timed:
        yield from _changes(own, other, name)
    yield _sum(own)


def _delegated(own: _Told) -> Sentence:
    calls, total = own.profile.delegation.calls, len([p for p in own.pieces if not p.at_load])
    if not calls:
        return Sentence(
            text=f"Nothing runs in {_DELEGATE}: all operators take LiteRT's own kernels.",
            advice="Such kernels are often several times slower; another number format may suit the delegate.",
            tone="warning",
        )
    if not own.own:
        return Sentence(text=f"All {count(total)} operators run in {_DELEGATE}, in {_times(calls)}.", tone="good")
    kinds = ", ".join(dict.fromkeys(piece.kind for piece in own.own))
    share = own.share(own.own)
    does, takes = ("does", "takes") if len(own.own) == 1 else ("do", "take")
    return Sentence(
        text=f"{count(len(own.own))} of {count(total)} operators ({kinds}) {does} not run in {_DELEGATE}, and {takes} "
        f"{percent(share)} of the time; the others take {_times(calls)} of it.",
        tone="warning" if share > 0.25 else "plain",
    )


def _times(calls: int) -> str:
    return "one call" if calls == 1 else f"{count(calls)} calls"


def _changes(own: _Told, other: _Told, name: str) -> Iterable[Sentence]:
    """Which layers became faster and slower."""
    mine, theirs = (_by(told, lambda told, p: told.layer(p)) for told in (own, other))
    both = {layer: own.total(mine[layer]).value - other.total(theirs[layer]).value for layer in mine if layer in theirs}
    if not both:
        return
    gained, lost = min(both, key=both.__getitem__), max(both, key=both.__getitem__)
    noise = 0.02 * other.whole.value
    if both[gained] < -noise:
        before, after = (milliseconds(told.total(by[gained]).value) for told, by in ((other, theirs), (own, mine)))
        yield Sentence(text=f"Against {name} most time is saved in {gained}: {before} became {after}.", tone="good")
    if both[lost] > noise:
        before, after = (milliseconds(told.total(by[lost]).value) for told, by in ((other, theirs), (own, mine)))
        yield Sentence(text=f"Against {name} {lost} became slower: {before} became {after}.", tone="warning")


def _sum(own: _Told) -> Sentence:
    rest = own.rest / own.whole.value
    told = f"{milliseconds(own.whole.value)} of the whole file"
    if rest >= 0:
        text = f"Operators timed one by one and the calls explain {percent(1 - rest)} of the {told}."
    else:
        text = f"Operators timed one by one and the calls add up to {percent(-rest)} more than the {told}."
    if own.missing:
        text += f" {count(len(own.missing))} operators cannot be run by themselves, so their time is in the rest."
    advice = "" if abs(rest) <= _AGREES else (
        "Neighbours share caches and calls of the delegate, so with many tiny operators shares are only rough."
    )  # fmt: skip
    if any(piece.kind in _LOOPS for piece in own.pieces):
        advice = f"{advice} A loop counts as one operator, whatever runs inside it.".strip()
    return Sentence(text=text, advice=advice, tone="plain" if abs(rest) <= _AGREES else "warning")


def _facts(own: _Told) -> Iterable[Fact]:
    everything = own.total(own.timed)
    n = len(own.profile.whole_ms)
    yield Fact(
        name="whole", title="Whole file", value=own.whole.value, unit="ms", low=own.whole.low, high=own.whole.high, n=n,
        help="Median time of one answer, taken in turn with the operators.",
    )  # fmt: skip
    yield Fact(
        name="sum", title="All operators", value=everything.value, unit="ms", low=everything.low, high=everything.high,
        n=n, help="Each timed by itself, without the cost of calls.",
    )  # fmt: skip
    yield Fact(
        name="call", title="Calls", value=own.call.value, unit="ms", low=own.call.low, high=own.call.high, n=n,
        help="What LiteRT and its delegate take to be called, measured on files with no operator and with a tiny one.",
    )  # fmt: skip
    yield Fact(
        name="rest", title="Not explained", value=own.rest / own.whole.value, unit="fraction",
        help="Share of the whole; negative where operators by themselves take longer than together.",
    )  # fmt: skip
    yield Fact(name="outside", title="Operators outside the delegate", value=float(len(own.own)), unit="count")
    yield Fact(name="outside_share", title="Their share of the time", value=own.share(own.own), unit="fraction")
    yield Fact(
        name="calls", title="Calls of the delegate", value=float(own.profile.delegation.calls), unit="count",
        help="Neighbouring operators that it takes are joined into one call.",
    )  # fmt: skip
    yield Fact(name="casts_share", title="Type conversions' share", value=own.share(own.casts), unit="fraction")


def _operators(own: _Told) -> Table:
    rows = []
    for piece in own.pieces:
        time = own.total([piece]) if piece.ms.size else None
        rows.append(
            {
                "operator": own.title(piece),
                "ms": time.value if time else None,
                "low": time.low if time else None,
                "high": time.high if time else None,
                "share": time.value / own.whole.value if time else None,
                "runs": "once, at load" if piece.at_load else "delegate" if piece.delegated else "own kernel",
                "computes": "floating point" if piece.floating else "integers" if piece.kind not in CASTS else "both",
            }
        )
    apart = [f"{own.title(piece)}: {piece.problem}" for piece in own.missing]
    return Table(
        name="operators",
        title="Time by operator",
        columns=(
            Column(name="operator", title="Operator (layers)"),
            Column(name="ms", title="Time", unit="ms", better="lower"),
            Column(name="low", title="95% from", unit="ms"),
            Column(name="high", title="to", unit="ms"),
            Column(name="share", title="Share of the whole", unit="fraction"),
            Column(name="runs", title="Runs in", help="LiteRT's CPU delegate is XNNPACK."),
            Column(name="computes", title="Computes in"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="operator", y=("ms",), low="low", high="high"),
        note="Not timed: " + "; ".join(apart) if apart else _ORDER,
    )


def _by(told: _Told, group: Callable[[_Told, Piece], str]) -> dict[str, list[Piece]]:
    found: dict[str, list[Piece]] = {}
    for piece in told.pieces:
        if not piece.at_load:
            found.setdefault(group(told, piece), []).append(piece)
    return found


def _grouped(
    table: str, title: str, heading: str, own: _Told, other: _Told, name: str, group: Callable[[_Told, Piece], str]
) -> Table:
    mine, theirs = _by(own, group), _by(other, group)
    compared = other is not own
    rows = []
    for key in sorted({*mine, *theirs}, key=lambda k: -max(own.total(mine.get(k, ())).value, 0.0)):
        pieces = mine.get(key, [])
        row: dict[str, Any] = {
            "group": key,
            "count": len(pieces),
            "outside": sum(not piece.delegated for piece in pieces),
            "ms": own.total(pieces).value if pieces else None,
            "share": own.share(pieces) if pieces else None,
        }
        if compared:
            row["reference"] = other.total(theirs[key]).value if key in theirs else None
        rows.append(row)
    reference = (Column(name="reference", title=f"Time in {name}", unit="ms"),) if compared else ()
    return Table(
        name=table,
        title=title,
        columns=(
            Column(name="group", title=heading),
            Column(name="ms", title="Time", unit="ms", better="lower"),
            Column(name="share", title="Share of the whole", unit="fraction"),
            *reference,
            Column(name="count", title="Operators", unit="count"),
            Column(name="outside", title="Outside the delegate", unit="count", better="lower"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="group", y=("ms", "reference") if compared else ("ms",), axis="Time"),
    )


def _conversions(own: _Told) -> Iterable[Table]:
    """Where numbers are turned from one type into another, and what that costs."""
    if not own.casts:
        return
    by_number = {piece.number: piece for piece in own.pieces}

    def near(numbers: Iterable[int], border: str) -> str:
        return ", ".join(own.layer(by_number[n]) for n in numbers) or border

    cuts = own.profile.neighbours
    yield Table(
        name="conversions",
        title="Conversions between types",
        columns=(
            Column(name="operator", title="Operator"),
            Column(name="after", title="After"),
            Column(name="before", title="Before"),
            Column(name="ms", title="Time", unit="ms", better="lower"),
            Column(name="share", title="Share of the whole", unit="fraction"),
        ),
        rows=tuple(
            {
                "operator": f"{piece.number}: {piece.kind}",
                "after": near(cuts[piece.number][0], "input"),
                "before": near(cuts[piece.number][1], "output"),
                "ms": own.total([piece]).value if piece.ms.size else None,
                "share": own.share([piece]) if piece.ms.size else None,
            }
            for piece in own.casts
        ),
    )


ANALYSIS = Analysis(
    name="profile",
    version="3",
    title="Time by operator",
    summary="Which operators take the time, which of them run outside the fast CPU delegate, and what is left over?",
    analyse=analyse,
    params=ProfileParams,
    uses=frozenset({"reference", "data"}),
    alone=True,
    rank=30,
)
