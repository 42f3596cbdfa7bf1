"""What the bytes of a file are for, how few could tell its weights, and what compressors make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizers.errors import ModelRefused, NotApplicable
from optimizers.figures.format import count, percent, size
from optimizers.findings import REFERENCE, Analysis, Chart, Column, Context, Fact, Report, Sentence, Subject, Table

if TYPE_CHECKING:
    from optimizers.litert.anatomy import Anatomy
    from optimizers.litert.census import Census, Counted

_FAR = 1.25
"""Times the bound from which on it is worth saying that the weights could be stored in less."""
_MUCH = 0.25
"""Share of the file that is not weights from which on it is worth saying so."""
_REST = "everything else"


@dataclass(frozen=True)
class _File:
    """One file in numbers."""

    subject: Subject
    census: Census
    packed: dict[str, int]
    layers: dict[str, list[Counted]]

    @property
    def anatomy(self) -> Anatomy:
        return self.census.anatomy

    @property
    def stored(self) -> int:
        return sum(weight.stored_bytes for weight in self.census.weights)

    @property
    def bound(self) -> float:
        return sum(weight.bound for weight in self.census.weights)

    def bytes_of(self, layer: str) -> int:
        """With the scales and the places of non-zeros that its weights need."""
        return sum(self.anatomy.of_tensor(weight.place) for weight in self.layers.get(layer, ()))


def analyse(context: Context, params: Any) -> Report:
    """Bytes by layer and by purpose, the entropy bound of the weights, and all compressors.

    Raises:
        NotApplicable: A file cannot be taken apart.
    """
    order = {row.name: place for place, row in enumerate(context.model.layers)}
    own = _counted(context.subject, order)
    other = None if context.same else _counted(context.reference, order)
    return Report(
        sentences=tuple(_sentences(own, other)),
        facts=tuple(_facts(own)),
        tables=(_by_layer(own, other), _by_part(own, other), _by_compressor(own, other)),
    )


def _counted(subject: Subject, order: Mapping[str, int]) -> _File:
    from optimizers.litert import compression
    from optimizers.litert.census import census, owners

    survey = subject.chain[-1].report.get("survey", ()) if subject.chain else ()
    try:
        found = census(subject.file)
    except ModelRefused as error:
        raise NotApplicable(error.message, detail=error.detail) from error
    where = owners(found, {row["weight"]: row["layer"] for row in survey})
    layers: dict[str, list[Counted]] = {}
    for weight in sorted(found.weights, key=lambda w: order.get(where[w.place], len(order))):
        layers.setdefault(where[weight.place], []).append(weight)
    return _File(subject, found, compression.of_file(subject.file), layers)


def _sentences(own: _File, other: _File | None) -> Iterator[Sentence]:
    from optimizers.litert import compression

    total, best = own.anatomy.size, compression.best(own.packed)
    weights = sum(own.bytes_of(layer) for layer in own.layers)
    largest = max(own.layers, key=own.bytes_of, default="")
    text = (
        f"The file has {size(total)}{_against(total, other)}; {percent(weights / total)} are weights with their scales"
    )
    text += f", and the largest layer, {largest}, has {percent(own.bytes_of(largest) / total)}." if largest else "."
    yield Sentence(text=text)
    if own.bound:
        yield _distance(own, best)
    packed, bound = own.packed[best], own.census.bound
    saved = 1 - packed / own.packed[compression.GZIP]
    text = f"Compressed with {best} it has {size(packed)}"
    text += f", {percent(saved)} less than with gzip" if saved >= 0.001 else ""
    if packed < bound:
        text += f"; that is less than codes for single values can reach ({size(bound)}), because stretches repeat."
    else:
        text += f"; that is {packed / bound:.2f} times what ideal codes for single values would leave ({size(bound)})."
    yield Sentence(text=text)
    rest = total - weights
    if rest / total > _MUCH:
        yield _overhead(own, rest)


def _against(total: int, other: _File | None) -> str:
    if other is None:
        return ""
    theirs, name = other.anatomy.size, other.subject.name
    if total == theirs:
        return f", as many as {name}"
    ratio, word = (theirs / total, "smaller") if total < theirs else (total / theirs, "larger")
    return f", {ratio:.2f} times {word} than {name} ({size(theirs)})"


def _distance(own: _File, best: str) -> Sentence:
    """How far what is stored is from the bound."""
    ratio, kernels = own.stored / own.bound, own.census.kernels
    text = (
        f"Its weights take {size(own.stored)}. Codes made for how often each value occurs need {size(own.bound)}: "
        f"they are stored in {ratio:.2f} times the fewest bytes."
    )
    if ratio < _FAR:
        return Sentence(text=text, advice="Only fewer or coarser weights make it much smaller.", tone="good")
    zeros = 1 - sum(k.nonzero for k in kernels) / max(1, sum(k.values for k in kernels))
    few = max((kernel.unique for kernel in kernels), default=0)
    why = (
        f"{percent(zeros)} of the kernels' values are zero and stored in full"
        if zeros > 0.5
        else f"no kernel has more than {count(few)} distinct values, and all are stored in full"
        if few < 100
        else "its values are not used equally often"
    )
    advice = f"{why[:1].upper()}{why[1:]}: keep and send the file compressed ({best})."
    return Sentence(text=text, advice=advice, tone="warning")


def _overhead(own: _File, rest: int) -> Sentence:
    from optimizers.litert.anatomy import PARTS

    taken = {part: own.anatomy.of(part) for part in PARTS if part not in ("kernels", "vectors", "sparsity")}
    weights = (weight for layer in own.layers.values() for weight in layer)
    taken["scales"] -= sum(own.anatomy.regions[("scales", weight.place)] for weight in weights)
    most = sorted(taken, key=lambda part: -taken[part])[:2]
    told = " and ".join(f"{PARTS[part].lower()} ({size(taken[part])})" for part in most)
    text = f"{percent(rest / own.anatomy.size)} of the file are neither, most of all {told}."
    return Sentence(text=text, advice="This part grows with the number of operators, not with the weights.")


def _facts(own: _File) -> Iterator[Fact]:
    from optimizers.litert import compression

    best = compression.best(own.packed)
    yield Fact(name="size", title="File", value=float(own.anatomy.size), unit="B")
    yield Fact(name="best", title=f"Compressed ({best})", value=float(own.packed[best]), unit="B")
    yield Fact(
        name="stored", title="Weights as stored", value=float(own.stored), unit="B", help="Without scales and names."
    )
    yield Fact(name="bound", title="Entropy bound of the weights", value=own.bound, unit="B", help=_BOUND_HELP)
    if own.bound:
        yield Fact(
            name="distance", title="Stored over bound", value=own.stored / own.bound, unit="x",
            help="1.00x is as small as codes for single values can be.",
        )  # fmt: skip
    yield Fact(
        name="packed_distance", title="Compressed file over its bound", value=own.packed[best] / own.census.bound,
        unit="x", help="The bound of the weights, and the rest compressed. Below 1.00x where stretches repeat.",
    )  # fmt: skip


_BOUND_HELP = (
    "Shannon's entropy of each tensor's values, or of their bytes where that is less, times their number, and the list "
    "of values that there are. It knows how often each value occurs, not what stands beside it."
)


def _by_layer(own: _File, other: _File | None) -> Table:
    rows = [_layer_row(own, layer) for layer in own.layers]
    rest = own.anatomy.size - sum(own.bytes_of(layer) for layer in own.layers)
    rows.append({"layer": _REST, "bytes": rest, "share": rest / own.anatomy.size})
    if other is not None:
        known = {row["layer"] for row in rows}
        rows[-1:-1] = [{"layer": layer} for layer in other.layers if layer not in known]
        theirs = other.anatomy.size - sum(other.bytes_of(layer) for layer in other.layers)
        for row in rows:
            layer = str(row["layer"])
            row[REFERENCE] = theirs if layer == _REST else other.bytes_of(layer) if layer in other.layers else None
    return Table(
        name="layers",
        title="Bytes by layer",
        columns=(
            Column(name="layer", title="Layer"),
            Column(name="bytes", title="This file", unit="B", better="lower", help="Weights with their scales."),
            *_reference(other),
            Column(name="share", title="Share of the file", unit="fraction"),
            Column(name="values", title="Weights", unit="count", help="Numbers, biases included."),
            Column(name="types", title="Type"),
            Column(name="bits", title="Stored per weight", unit="bits", better="lower"),
            Column(name="entropy", title="Bound per weight", unit="bits", better="lower", help=_BOUND_HELP),
            Column(name="distance", title="Stored over bound", unit="x", better="lower"),
            Column(name="zeros", title="Zeros", unit="fraction", help="Of the kernels' values."),
            Column(name="unique", title="Distinct values", unit="count", help="Of the kernel that has most."),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="layer", y=_drawn(other), axis="Size"),
        note="Weights that several layers share stand under the first of them.",
    )


def _layer_row(own: _File, layer: str) -> dict[str, Any]:
    weights = own.layers[layer]
    kernels = [weight for weight in weights if weight.kernel]
    values, stored = sum(w.values for w in weights), sum(w.stored_bytes for w in weights)
    bound, total = sum(w.bound for w in weights), own.bytes_of(layer)
    of_kernels = sum(kernel.values for kernel in kernels)
    return {
        "layer": layer,
        "bytes": total,
        "share": total / own.anatomy.size,
        "values": values,
        "types": ", ".join(dict.fromkeys(w.dtype for w in [*kernels, *weights])),
        "bits": 8 * stored / values if values else None,
        "entropy": 8 * bound / values if values else None,
        "distance": stored / bound if bound else None,
        "zeros": 1 - sum(kernel.nonzero for kernel in kernels) / of_kernels if of_kernels else None,
        "unique": max((kernel.unique for kernel in kernels), default=None),
    }


def _by_part(own: _File, other: _File | None) -> Table:
    from optimizers.litert.anatomy import PARTS

    rows = []
    for part, title in PARTS.items():
        found, theirs = own.anatomy.of(part), other.anatomy.of(part) if other else 0
        if found or theirs:
            row: dict[str, Any] = {"part": title, "bytes": found, "share": found / own.anatomy.size}
            rows.append(row | ({REFERENCE: theirs} if other else {}))
    return Table(
        name="parts",
        title="Bytes by purpose",
        columns=(
            Column(name="part", title="Purpose"),
            Column(name="bytes", title="This file", unit="B", better="lower"),
            *_reference(other),
            Column(name="share", title="Share of the file", unit="fraction"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="part", y=_drawn(other), axis="Size"),
        note="Every byte of the file is counted once. Scales are those of weights and of activations.",
    )


def _by_compressor(own: _File, other: _File | None) -> Table:
    total, bound = own.anatomy.size, own.census.bound
    rows: list[dict[str, Any]] = [{"how": "as it is", "bytes": total, "times": 1.0, "distance": total / bound}]
    rows += [
        {"how": name, "bytes": found, "times": total / found, "distance": found / bound}
        for name, found in own.packed.items()
    ]
    rows.append({"how": "entropy bound", "bytes": bound, "times": total / bound, "distance": 1.0})
    if other is not None:
        theirs = [other.anatomy.size, *other.packed.values(), other.census.bound]
        rows = [row | {REFERENCE: found} for row, found in zip(rows, theirs, strict=True)]
    return Table(
        name="compressors",
        title="Bytes after each compressor",
        columns=(
            Column(name="how", title="Compressed with"),
            Column(name="bytes", title="This file", unit="B", better="lower"),
            *_reference(other),
            Column(name="times", title="Smaller than the file", unit="x", better="higher"),
            Column(name="distance", title="Over the bound", unit="x", better="lower"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="how", y=_drawn(other), axis="Size"),
        note="The last row is the bound of the weights and what the best compressor leaves of everything else.",
    )


def _reference(other: _File | None) -> tuple[Column, ...]:
    return () if other is None else (Column(name=REFERENCE, title=other.subject.name, unit="B"),)


def _drawn(other: _File | None) -> tuple[str, ...]:
    return ("bytes",) if other is None else ("bytes", REFERENCE)


ANALYSIS = Analysis(
    name="size",
    version="4",
    title="Size and entropy",
    summary="What are the bytes of this file for, how few could tell its weights, and what do compressors make of it?",
    analyse=analyse,
    uses=frozenset({"reference", "chain"}),
    quick=True,
    rank=22,
)
