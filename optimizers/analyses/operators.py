"""Which operators a file has, in which types they compute, and whether it needs floating point anywhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from optimizers.figures.format import count
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.litert.operators import float_operators, hybrid_operators, integer_only, operators, tensor_types


def analyse(context: Context, params: Any) -> Report:
    """Operators of the file beside those of the reference, and the integer-only verdict."""
    file, reference = context.subject.file, context.reference.file
    own, other, floating, hybrid = operators(file), operators(reference), float_operators(file), hybrid_operators(file)
    rows = [
        {
            "operator": name, "count": own[name], "floating": floating[name] - hybrid[name], "hybrid": hybrid[name],
            "reference": other[name],
        }
        for name in sorted({*own, *other}, key=lambda n: (-own[n], n))
    ]  # fmt: skip
    table = Table(
        name="operators",
        title="Operators",
        columns=(
            Column(name="operator", title="Operator"),
            Column(name="count", title="This file", unit="count"),
            Column(name="floating", title="Of these in floating point", unit="count", better="lower"),
            Column(name="hybrid", title="Of these with whole-number kernels between floats", unit="count"),
            Column(name="reference", title=context.reference.name, unit="count"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="operator", y=("count", "reference"), axis="Operators"),
    )
    casts = own["QUANTIZE"] + own["DEQUANTIZE"]
    facts = (
        Fact(name="operators", title="Operators", value=float(sum(own.values())), unit="count"),
        Fact(name="floating", title="In floating point", value=float((floating - hybrid).total()), unit="count"),
        Fact(name="hybrid", title="Whole-number kernels between floats", value=float(hybrid.total()), unit="count"),
        Fact(name="casts", title="Conversions between types", value=float(casts), unit="count"),
    )
    return Report(sentences=(_verdict(file, floating - hybrid, hybrid),), facts=facts, tables=(table,))


def _verdict(file: Path, floating: Counter[str], hybrid: Counter[str]) -> Sentence:
    if integer_only(file):
        return Sentence(
            text="Integer only: no tensor of this file holds floating point numbers, inputs and outputs included.",
            advice="It runs on hardware without a floating point unit.",
            tone="good",
        )
    kinds = ", ".join(f"{name.lower()} {n:,}" for name, n in tensor_types(file).most_common())
    parts = (
        ("Operators in floating point", floating),
        ("With whole-number kernels, activations rounded for each answer and floats as results", hybrid),
    )
    told = [f"{what}: {count(some.total())} ({_most(some)})." for what, some in parts if some]
    if told:
        return Sentence(
            text=f"Not integer only. {' '.join(told)}",
            advice=f"Full int8 quantization removes them where every operator has an integer form. Tensors: {kinds}.",
            tone="plain",
        )
    return Sentence(
        text="Integer inside, but inputs or outputs are floating point and are converted at the borders.",
        advice="The setting “inputs and outputs” of int8 quantization makes them integers as well.",
        tone="plain",
    )


def _most(some: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in some.most_common(5))


ANALYSIS = Analysis(
    name="operators",
    version="4",
    title="Operators",
    summary="Which operators does the file have, and does any of them need floating point?",
    analyse=analyse,
    uses=frozenset({"reference"}),
    quick=True,
    rank=20,
)
