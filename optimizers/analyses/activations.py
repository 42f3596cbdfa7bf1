"""Where a file starts to compute something else than the reference: results of every layer side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizers.analyses._examples import spread
from optimizers.errors import NotApplicable
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.params import ParamSet, param

if TYPE_CHECKING:
    from optimizers.litert.intermediate import Deviation

_NOTHING = 1e-5
"""Relative error below which results count as the same: float32 summed in another order."""


class ActivationParams(ParamSet):
    examples: int = param(
        64, low=1, high=2000, label="Examples", help="Validation examples that go through both files."
    )


def analyse(context: Context, params: ActivationParams) -> Report:
    """Results of operators in both files on the same validation examples."""
    from optimizers.analyses.weights import another_network, trained_by
    from optimizers.litert.intermediate import deviations

    if context.same:
        raise NotApplicable("This is the reference itself, so every layer computes the same; choose another file.")
    if why_not := another_network(context.subject) or another_network(context.reference):
        raise NotApplicable(why_not)
    x = spread(context.data().validation, params.examples).x
    if not len(x):
        raise NotApplicable("The data set has no validation part to look at layers with.")

    def told(done: int, of: int) -> None:
        context.progress(done, of)

    found, missing = deviations(context.subject.file.read_bytes(), context.reference.file.read_bytes(), x, told)
    if not found:
        raise NotApplicable(
            "No result of this file has the name and shape of one in the reference: the network was rebuilt or another "
            "one trained in its place."
        )
    rows = [_row(number, deviation) for number, deviation in enumerate(found, start=1)]
    before = 0.0
    for row in rows:
        row["added"] = None if row["relative"] is None else row["relative"] - before
        before = before if row["relative"] is None else row["relative"]
    ends = [row for row, deviation in zip(rows, found, strict=True) if deviation.output is not None] or rows[-1:]
    table = Table(
        name="activations",
        title=f"Error of each layer's results against {context.reference.name}",
        columns=(
            Column(name="place", title="Step", unit="count"),
            Column(name="layer", title="Layer"),
            Column(name="kind", title="Operator"),
            Column(name="relative", title="Relative error", unit="fraction", better="lower", help=_RELATIVE),
            Column(name="added", title="Added here", unit="fraction", help="More than at the step before."),
            Column(name="sqnr", title="SQNR", unit="dB", better="higher", help=_SQNR),
            Column(name="cosine", title="Cosine", better="higher", help="1 where both results point the same way."),
            Column(name="largest", title="Largest error", help="Largest absolute difference of one value."),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="layer", y=("relative",)),
        note=f"{len(x)} validation examples; steps in the order of computation."
        + (f" {missing} results of the reference have no counterpart in this file." if missing else ""),
    )
    facts = (
        Fact(name="compared", title="Results compared", value=float(len(found)), unit="count"),
        Fact(name="missing", title="Without counterpart", value=float(missing), unit="count"),
        *(
            Fact(
                name=row["layer"].replace(" ", "_"),
                title=f"Relative error of the {row['layer']}",
                value=row["relative"],
                unit="fraction",
            )
            for row in ends
        ),
    )
    sentences = _sentences(rows, ends, missing, trained_by(context.subject))
    return Report(sentences=tuple(sentences), facts=facts, tables=(table,))


_RELATIVE = (
    "Root mean square of the difference over that of the reference's results; it holds what earlier layers did wrong."
)
_SQNR = "Signal to quantization noise ratio: 40 dB are a relative error of 1%, 20 dB of 10%."


def _row(number: int, deviation: Deviation) -> dict[str, Any]:
    return {
        "place": number,
        "layer": deviation.layer,
        "kind": deviation.kind.lower(),
        "relative": deviation.relative,
        "sqnr": deviation.sqnr,
        "cosine": deviation.cosine,
        "largest": deviation.largest,
    }


def _sentences(
    rows: list[dict[str, Any]], outputs: list[dict[str, Any]], missing: int, trained: list[str]
) -> list[Sentence]:
    from optimizers.figures.format import share

    inside = [row for row in rows if row["added"] is not None]
    ends = [f"{row['layer']} is off by {share(row['relative'])}" for row in outputs if row["relative"] is not None]
    if not inside or max(row["relative"] for row in inside) < _NOTHING:
        return [Sentence(text="Every layer computes what it computes in the reference, but for rounding.", tone="good")]
    first = next(row for row in inside if row["relative"] >= _NOTHING)
    worst = max(inside, key=lambda row: row["added"])
    start = f"Results start to differ at {first['layer']} ({share(first['relative'])})"
    most = (
        "which is also where the error grows most"
        if worst is first
        else f"and the error grows most at {worst['layer']}, by {worst['added'] * 100:.1f} points to "
        f"{share(worst['relative'])}"
    )
    end = f"; the {' and '.join(ends)}." if ends else "."
    advice = (
        f"{' and '.join(trained)} trained all layers together: inner results may differ and the output still be right."
        if trained
        else "Sensitivity tells what each layer costs in quality."
    )
    found = [Sentence(text=f"{start}, {most}{end}", advice=advice)]
    if missing:
        found.append(
            Sentence(text=f"{missing} results of the reference are computed differently here and cannot be compared.")
        )
    return found


ANALYSIS = Analysis(
    name="activations",
    version="3",
    title="Activations",
    summary="At which layer does the file start to compute something else?",
    analyse=analyse,
    params=ActivationParams,
    uses=frozenset({"reference", "data", "chain"}),
    quick=True,
    rank=42,
)
