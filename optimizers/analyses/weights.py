"""What became of the weights of every layer: distribution, zeros, distinct values, and how far they are from before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizers import registry
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Subject, Table

if TYPE_CHECKING:
    import numpy as np

    from optimizers.litert.pairs import LayerPair
    from optimizers.litert.weights import StoredWeight

_BINS = 61
"""Odd, so that zero lies in the middle of a bin."""
_COARSE = 20.0
"""dB below which rounding is worth a warning: the error is a tenth of the weights' own size."""


def analyse(context: Context, params: Any) -> Report:
    """Kernels of both files, read back as the numbers that they stand for, layer by layer."""
    from optimizers.litert.pairs import flat

    pairs = layer_pairs(context)
    why_not = another_network(context.subject) or another_network(context.reference)
    rows = [_row(pair, why_not) for pair in pairs]
    own = flat([w for pair in pairs for w in _kernels(pair.own)])
    reference = flat([w for pair in pairs for w in _kernels(pair.reference)])
    whole = None if why_not else _whole(pairs)
    facts = (
        Fact(name="layers", title="Layers with kernels", value=float(sum(bool(p.own) for p in pairs)), unit="count"),
        Fact(name="sqnr", title="All kernels against the reference", value=whole, unit="dB", help=_SQNR_HELP),
        _zeros("zeros", "Zeros in this file", own),
        _zeros("reference_zeros", f"Zeros in {context.reference.name}", reference),
    )
    tables = (_histograms(context, pairs), _layers(context, rows))
    return Report(sentences=tuple(_sentences(context, pairs, rows, why_not)), facts=facts, tables=tables)


def layer_pairs(context: Context) -> tuple[LayerPair, ...]:
    """The layers of both files side by side."""
    from optimizers.litert.pairs import paired

    surveys = [
        subject.chain[-1].report.get("survey", ()) if subject.chain else ()
        for subject in (context.subject, context.reference)
    ]
    return paired(context.subject.file, context.reference.file, *surveys)


def another_network(subject: Subject) -> str:
    """Why no weight of the file can have a counterpart in the original; empty where they can."""
    for step in subject.chain:
        if step.technique and registry.technique(step.technique).family == "distillation":
            return f"{subject.name} is another network than the original, so their weights do not correspond."
    return ""


def trained_by(subject: Subject) -> list[str]:
    """The steps of its chain that trained, each once."""
    names = (step.technique for step in subject.chain if step.technique)
    return list(dict.fromkeys(name for name in names if "train" in registry.technique(name).needs))


_SQNR_HELP = (
    "Signal to quantization noise ratio: energy of the reference's weights over that of the difference. 40 dB are an "
    "error of 1% of the weights' own size, 20 dB of 10%. Empty where they are equal."
)


def _kernels(found: tuple[StoredWeight, ...]) -> list[StoredWeight]:
    return [weight for weight in found if weight.kernel]


def _row(pair: LayerPair, why_not: str) -> dict[str, Any]:
    import numpy as np

    from optimizers.litert.pairs import flat, sqnr

    own, reference = flat(_kernels(pair.own)), flat(_kernels(pair.reference))
    matched = [(a, b) for a, b in pair.matched if a.kernel]
    row: dict[str, Any] = {
        "layer": pair.layer,
        "type": "+".join(dict.fromkeys(w.dtype.lower() for w in _kernels(pair.own))) or None,
        "values": int(own.size),
        "zeros": float((own == 0).mean()) if own.size else None,
        "reference_zeros": float((reference == 0).mean()) if reference.size else None,
        "unique": max((w.unique for w in _kernels(pair.own)), default=None),
        "reference_unique": max((w.unique for w in _kernels(pair.reference)), default=None),
        "note": why_not or _unmatched(pair),
    }
    if matched and pair.complete and not why_not:
        before, after = flat([a for a, _ in matched]), flat([b for _, b in matched])
        row["sqnr"] = sqnr(before, after)
        row["largest"] = float(np.abs(before - after).max())
        row["range"] = float(np.abs(before).max())
    return row


def _unmatched(pair: LayerPair) -> str:
    if pair.complete:
        return ""
    if not pair.own:
        return "not in this file"
    if not pair.reference:
        return "only in this file"
    shapes = [" and ".join(sorted({str(w.shape) for w in _kernels(side)})) for side in (pair.own, pair.reference)]
    return f"shape {shapes[0]} instead of {shapes[1]}"


def _whole(pairs: tuple[LayerPair, ...]) -> float | None:
    from optimizers.litert.pairs import flat, sqnr

    matched = [(a, b) for pair in pairs if pair.complete for a, b in pair.matched if a.kernel]
    return sqnr(flat([a for a, _ in matched]), flat([b for _, b in matched])) if matched else None


def _zeros(name: str, title: str, values: np.ndarray) -> Fact:
    return Fact(name=name, title=title, value=float((values == 0).mean()) if values.size else None, unit="fraction")


def _layers(context: Context, rows: list[dict[str, Any]]) -> Table:
    other = context.reference.name
    return Table(
        name="layers",
        title="How close each layer's weights stayed",
        columns=(
            Column(name="layer", title="Layer"),
            Column(name="type", title="Stored as"),
            Column(name="values", title="Weights", unit="count"),
            Column(name="sqnr", title="SQNR", unit="dB", better="higher", help=_SQNR_HELP),
            Column(name="largest", title="Largest error", help="Largest absolute difference of one weight."),
            Column(name="range", title="Largest weight", help=f"Largest absolute weight in {other}."),
            Column(name="zeros", title="Zeros", unit="fraction"),
            Column(name="reference_zeros", title=f"Zeros in {other}", unit="fraction"),
            Column(name="unique", title="Distinct values", unit="count", help="Of the kernel that has most of them."),
            Column(name="reference_unique", title=f"Distinct in {other}", unit="count"),
            Column(name="note", title="Not compared because"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="layer", y=("sqnr",)) if any(row.get("sqnr") for row in rows) else None,
    )


def _histograms(context: Context, pairs: tuple[LayerPair, ...]) -> Table:
    """Shares of the weights in bins over the range of both files, largest layers first."""
    import numpy as np

    from optimizers.litert.pairs import flat

    rows: list[dict[str, Any]] = []
    for pair in sorted(pairs, key=lambda p: -sum(w.values.size for w in _kernels(p.reference or p.own))):
        sides = [flat(_kernels(side)) for side in (pair.reference, pair.own)]
        top = max((float(np.abs(side).max()) for side in sides if side.size), default=0.0)
        if top == 0:
            continue
        shares = [
            np.histogram(side, _BINS, (-top, top))[0] / side.size if side.size else np.zeros(_BINS) for side in sides
        ]
        starts = np.linspace(-top, top, _BINS + 1)[:-1]
        rows.extend(
            {"layer": pair.layer, "from": float(start), "reference": float(one) or None, "own": float(other) or None}
            for start, one, other in zip(starts, *shares, strict=True)
        )
    return Table(
        name="histograms",
        title="Weights before and after, by layer",
        columns=(
            Column(name="layer", title="Layer"),
            Column(name="from", title="Weight from"),
            Column(name="reference", title=context.reference.name[:40], unit="fraction"),
            Column(name="own", title="this file", unit="fraction"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="histogram", x="from", y=("own", "reference"), panels="layer", log=True, axis="Weight"),
        note=f"Share of a layer's weights in each of {_BINS} bins, on a logarithmic scale.",
    )


def _sentences(
    context: Context, pairs: tuple[LayerPair, ...], rows: list[dict[str, Any]], why_not: str
) -> list[Sentence]:
    if why_not:
        return [Sentence(text=why_not, advice="Distributions can be compared, single weights cannot.")]
    from optimizers.figures.format import share

    found = []
    compared = [row for row in rows if row.get("sqnr") is not None]
    if compared:
        worst = min(compared, key=lambda row: row["sqnr"])
        error = share(10 ** (-worst["sqnr"] / 20))
        trained = trained_by(context.subject)
        advice = (
            f"Training steps ({', '.join(trained)}) moved weights as well: this is all of the change, "
            "not rounding alone."
            if trained
            else "8 bits usually leave 30 to 45 dB, 4 bits 10 to 25 dB, float16 more than 70 dB."
        )
        found.append(
            Sentence(
                text=f"{worst['layer']} is the layer whose weights moved most: their error is {error} of their own "
                f"size ({worst['sqnr']:.1f} dB).",
                advice=advice,
                tone="warning" if worst["sqnr"] < _COARSE and not trained else "plain",
            )
        )
    elif any(pair.complete for pair in pairs):
        found.append(Sentence(text="Every kernel stands for the same numbers as in the reference.", tone="good"))
    other = [row["layer"] for row in rows if row["note"]]
    if other:
        named = ", ".join(other[:5]) + (f" and {len(other) - 5} more" if len(other) > 5 else "")
        found.append(
            Sentence(
                text=f"Weights of {named} have other shapes than in the reference, so they cannot be compared.",
                advice="A step rebuilt the network, or the converter laid these layers out differently.",
            )
        )
    zeros = [row for row in rows if (row["zeros"] or 0) - (row["reference_zeros"] or 0) > _MANY_ZEROS]
    if zeros:
        most = max(zeros, key=lambda row: row["zeros"])
        found.append(
            Sentence(
                text=f"{len(zeros)} layer{'s have' if len(zeros) > 1 else ' has'} many more zeros than the reference; "
                f"most has {most['layer']} "
                f"with {most['zeros']:.0%}."
            )
        )
    return found or [Sentence(text="Neither file has kernels that can be compared.")]


_MANY_ZEROS = 0.1

ANALYSIS = Analysis(
    name="weights",
    version="3",
    title="Weights",
    summary="What became of the weights of every layer?",
    analyse=analyse,
    uses=frozenset({"reference", "chain"}),
    quick=True,
    rank=40,
)
