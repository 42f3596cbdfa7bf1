"""What one prediction takes: multiply-accumulates by layer, memory, and an estimate of its energy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizers.errors import ModelRefused, NotApplicable
from optimizers.figures.format import cell, count, percent, size
from optimizers.findings import REFERENCE, Analysis, Chart, Column, Context, Fact, Report, Sentence, Subject, Table
from optimizers.litert.compute import FORMULA

if TYPE_CHECKING:
    from optimizers.litert.activations import Activations
    from optimizers.litert.compute import Energy, Work

_MOST_STEPS = 200


@dataclass(frozen=True)
class _File:
    """One file in numbers; ``unknown`` tells why its work cannot be counted, and ``work`` is empty then."""

    subject: Subject
    work: tuple[Work, ...]
    activations: Activations
    energy: Energy
    unknown: str

    @property
    def macs(self) -> int:
        return sum(step.macs for step in self.work)

    @property
    def peak(self) -> float | None:
        """Measured, not computed here."""
        found = self.subject.measured.get("peak_memory_bytes")
        return found.value if found else None


def analyse(context: Context, params: Any) -> Report:
    """Work and memory of one prediction of both files, counted from the files; the peak of memory was measured.

    Raises:
        NotApplicable: A file cannot be taken apart.
    """
    own = _counted(context.subject)
    other = None if context.same else _counted(context.reference)
    tables = [_memory(own)]
    if own.work:
        tables = [_layers(own, other), *tables, _energies(own, other), _others(own)]
    return Report(sentences=tuple(_sentences(own, other)), facts=tuple(_facts(own)), tables=tuple(tables))


def _counted(subject: Subject) -> _File:
    from optimizers.litert.activations import activations
    from optimizers.litert.compute import energy, work
    from optimizers.litert.file import LiteRtFile

    survey = subject.chain[-1].report.get("survey", ()) if subject.chain else ()
    file = LiteRtFile(subject.file.read_bytes())
    try:
        memory = activations(file)
    except ModelRefused as error:
        raise NotApplicable(error.message, detail=error.detail) from error
    try:
        done = work(file, {row["weight"]: row["layer"] for row in survey})
    except NotApplicable as error:
        return _File(subject, (), memory, energy(()), error.message)
    return _File(subject, done, memory, energy(done), "")


def _sentences(own: _File, other: _File | None) -> Iterator[Sentence]:
    if own.unknown:
        yield Sentence(text=own.unknown, tone="warning")
    else:
        yield from _work(own, other)
    step = own.activations.steps[own.activations.at] if own.activations.steps else None
    text = f"Activations need {size(own.activations.arena)}"
    text += _than(own.activations.arena, other.activations.arena if other else None, other)
    text += f", most of it at once at {step.kind} (step {own.activations.at})." if step else "."
    advice = "Smaller inputs, fewer channels or units there, or 8-bit activations lower it; smaller weights do not."
    yield Sentence(text=text, advice=advice)
    if own.peak is None:
        text = "The peak of resident memory was not measured when this file was timed."
        yield Sentence(text=text, advice="Runs of this version measure it on Linux.")
    else:
        text = f"Loading it and predicting once added {size(own.peak)} to a process that holds LiteRT"
        yield Sentence(text=f"{text}{_than(own.peak, other.peak if other else None, other)}.")
    if own.work:
        yield _spent(own, other)


def _work(own: _File, other: _File | None) -> Iterator[Sentence]:
    text = f"One prediction takes {count(own.macs)} multiply-accumulates"
    if other is not None and other.work:
        text += _times(own.macs, other.macs, "fewer", "more", other.subject.name, f"as many as {other.subject.name}")
    shares = {kind: sum(step.macs for step in own.work if step.arithmetic == kind) for kind in _KINDS}
    told = [
        f"{'all' if found == own.macs else percent(found / own.macs)} in {_KINDS[kind]}"
        for kind, found in shares.items()
        if found
    ]
    advice = ""
    if other is not None and other.macs == own.macs and own.subject.digest != other.subject.digest:
        advice = (
            "Quantizing, clustering and pruning single weights leave this number as it is; removing channels, "
            "decomposing layers or a smaller model lower it."
        )
    yield Sentence(text=f"{', '.join([text, *told])}.", advice=advice)
    if _pruned(own.subject):
        yield Sentence(text="Those with zeros are counted, since LiteRT does them as well.")


_KINDS = {"float32": "floating point", "int8": "8 bits", "int16x8": "16 times 8 bits"}


def _pruned(subject: Subject) -> bool:
    values, nonzeros = (subject.measured.get(name) for name in ("parameters", "nonzeros"))
    return bool(values and nonzeros and nonzeros.value < 0.6 * values.value)


def _spent(own: _File, other: _File | None) -> Sentence:
    text = f"The energy of one prediction is estimated at {cell(own.energy.total, 'J')}"
    if other is not None and other.work:
        text += _times(
            own.energy.total, other.energy.total, "less", "more", other.subject.name, f"as much as {other.subject.name}"
        )
    parts = _parts(own.energy)
    most = max(parts, key=lambda name: parts[name])
    share = percent(parts[most] / own.energy.total) if own.energy.total else ""
    text += f"; {share} of it for {most}." if share else "."
    return Sentence(text=text, advice="It is a formula, not a measurement: good for ranking variants only.")


def _times(own: float, other: float, less: str, more: str, name: str, same: str) -> str:
    if own == other or not own or not other:
        return f", {same}" if own == other else ""
    ratio, word = (other / own, less) if own < other else (own / other, more)
    return f", {ratio:.2f} times {word} than {name}"


def _than(own: float, value: float | None, other: _File | None) -> str:
    return f" ({size(value)} in {other.subject.name})" if other is not None and value is not None else ""


def _parts(found: Energy) -> dict[str, float]:
    return {
        "arithmetic": found.arithmetic,
        "reading weights": found.weights,
        "reading and writing activations": found.activations,
    }


def _facts(own: _File) -> Iterator[Fact]:
    if own.work:
        yield Fact(name="macs", title="Multiply-accumulates", value=float(own.macs), unit="count")
    yield Fact(
        name="arena", title="Activation arena", value=float(own.activations.arena), unit="B",
        help="One block in which every activation has its place as long as it is needed, the largest placed first.",
    )  # fmt: skip
    yield Fact(
        name="live", title="Alive at once", value=float(own.activations.peak), unit="B",
        help="No runtime that keeps whole tensors can do with less.",
    )  # fmt: skip
    told = own.subject.measured.get("peak_memory_bytes")
    if told is not None:
        yield Fact(
            name="peak", title="Peak memory, measured", value=told.value, unit="B", low=told.low, high=told.high,
            n=told.n, help="Resident memory that loading the file and one prediction add to a process of LiteRT.",
        )  # fmt: skip
    if own.work:
        yield Fact(name="energy", title="Energy (estimate)", value=own.energy.total, unit="J", help=FORMULA)
        moved = sum(step.moved for step in own.work)
        yield Fact(
            name="intensity", title="MACs per byte moved", value=own.macs / moved if moved else None,
            help="Few mean that memory, not arithmetic, decides the time.",
        )  # fmt: skip


def _grouped(own: _File) -> dict[str, list[Work]]:
    """By layer; operators without a kernel by their kind."""
    found: dict[str, list[Work]] = {}
    for step in own.work:
        found.setdefault(step.layer, []).append(step)
    return found


def _layers(own: _File, other: _File | None) -> Table:
    from optimizers.litert.compute import energy

    mine, theirs = _grouped(own), _grouped(other) if other and other.work else {}
    multiplying = {name for found in (mine, theirs) for name, steps in found.items() if any(s.macs for s in steps)}
    rows = []
    for layer in [name for name in dict.fromkeys([*mine, *theirs]) if name in multiplying]:
        steps = mine.get(layer, [])
        macs = sum(step.macs for step in steps)
        row: dict[str, Any] = {"layer": layer}
        if steps:
            row |= {
                "macs": macs,
                "share": macs / own.macs if own.macs else None,
                "kinds": ", ".join(dict.fromkeys(step.kind for step in steps)),
                "arithmetic": ", ".join(dict.fromkeys(step.arithmetic for step in steps if step.macs)),
                "runs": sum(step.rounds for step in steps),
                "weights": sum(step.weight_bytes for step in steps),
                "activations": sum(step.activation_bytes for step in steps),
                "energy": energy(tuple(steps)).total,
            }
        if other is not None and other.work:
            row[REFERENCE] = sum(step.macs for step in theirs[layer]) if layer in theirs else None
        rows.append(row)
    compared = other is not None and bool(other.work)
    reference = (Column(name=REFERENCE, title=other.subject.name, unit="count"),) if compared and other else ()
    return Table(
        name="layers",
        title="Multiply-accumulates by layer",
        columns=(
            Column(name="layer", title="Layer"),
            Column(name="macs", title="This file", unit="count", better="lower"),
            *reference,
            Column(name="share", title="Share", unit="fraction"),
            Column(name="kinds", title="Operators"),
            Column(name="arithmetic", title="Multiplies in"),
            Column(
                name="runs", title="Runs", unit="count", help="Of its operators for one prediction, loops included."
            ),
            Column(name="weights", title="Weights read", unit="B", better="lower"),
            Column(name="activations", title="Activations moved", unit="B", better="lower"),
            Column(name="energy", title="Energy (estimate)", unit="J", better="lower"),
        ),
        rows=tuple(rows),
        chart=Chart(
            kind="bars", x="layer", y=("macs", REFERENCE) if compared else ("macs",), axis="Multiply-accumulates"
        ),
        note="In the order of computation. Products of two activations stand under their operator.",
    )


def _others(own: _File) -> Table:
    from optimizers.litert.compute import energy

    rows = [
        {
            "operator": name,
            "runs": sum(step.rounds for step in steps),
            "weights": sum(step.weight_bytes for step in steps),
            "activations": sum(step.activation_bytes for step in steps),
            "energy": energy(tuple(steps)).total,
        }
        for name, steps in _grouped(own).items()
        if not any(step.macs for step in steps)
    ]
    return Table(
        name="others",
        title="Operators that only move and change numbers",
        columns=(
            Column(name="operator", title="Operator"),
            Column(name="runs", title="Runs", unit="count", help="For one prediction, loops included."),
            Column(name="weights", title="Weights read", unit="B", better="lower"),
            Column(name="activations", title="Activations moved", unit="B", better="lower"),
            Column(name="energy", title="Energy (estimate)", unit="J", better="lower"),
        ),
        rows=tuple(rows),
        note="" if rows else "There are none.",
    )


def _memory(own: _File) -> Table:
    steps = own.activations.steps
    return Table(
        name="memory",
        title="Activations alive at each step",
        columns=(
            Column(name="step", title="Step", unit="count"),
            Column(name="live", title="Alive", unit="B", better="lower"),
            Column(name="kind", title="Operator"),
            Column(name="writes", title="Writes"),
        ),
        rows=tuple(
            {"step": number, "live": step.live, "kind": step.kind, "writes": step.name}
            for number, step in enumerate(steps[:_MOST_STEPS])
        ),
        chart=Chart(kind="lines", x="step", y=("live",)),
        note="Weights, and what kernels need for themselves while they run, come on top."
        + (f" The first {_MOST_STEPS} of {count(len(steps))} steps." if len(steps) > _MOST_STEPS else ""),
    )


def _energies(own: _File, other: _File | None) -> Table:
    mine = _parts(own.energy)
    theirs = _parts(other.energy) if other is not None and other.work else {}
    rows: list[dict[str, Any]] = [{"part": name, "energy": value} for name, value in mine.items()]
    if theirs:
        rows = [row | {REFERENCE: theirs[row["part"]]} for row in rows]
    name = other.subject.name if other else ""
    reference = (Column(name=REFERENCE, title=name, unit="J"),) if theirs else ()
    return Table(
        name="energy",
        title="Energy of one prediction (estimate)",
        columns=(
            Column(name="part", title="For"),
            Column(name="energy", title="This file", unit="J", better="lower"),
            *reference,
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="part", y=("energy", REFERENCE) if theirs else ("energy",), axis="Energy"),
        note=FORMULA,
    )


ANALYSIS = Analysis(
    name="compute",
    version="4",
    title="Compute, memory, energy",
    summary="What does one prediction compute, how much memory does it take, and roughly how much energy?",
    analyse=analyse,
    uses=frozenset({"reference", "chain", "measurements"}),
    quick=True,
    rank=26,
)
