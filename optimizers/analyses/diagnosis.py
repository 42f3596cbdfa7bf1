"""Why the file is not smaller or faster, in plain words, with the figures that prove it and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from optimizers.figures import format as fmt
from optimizers.findings import Analysis, Column, Context, Fact, Report, Sentence, Table

if TYPE_CHECKING:
    from optimizers.diagnosis.facts import Facts
    from optimizers.diagnosis.finding import Finding


_SAME = 0.02
"""Ratios so close to 1 are told as equal."""


def analyse(context: Context, params: Any) -> Report:
    """What is the case with the file, warnings first. Raises `NotApplicable` where it cannot be taken apart."""
    from optimizers.diagnosis.facts import gather
    from optimizers.diagnosis.rules import diagnose

    facts = gather(context)
    found = diagnose(facts)
    return Report(
        sentences=(_verdict(facts, found), *(finding.sentence for finding in found)),
        facts=tuple(_facts(facts)),
        tables=(_evidence(found),) if found else (),
    )


def _verdict(facts: Facts, found: Iterable[Finding]) -> Sentence:
    if facts.same:
        return Sentence(text="This is the file that variants are compared with; it has not been optimized.")
    ratio = facts.smaller
    text = "It is about as large as" if abs(ratio - 1) < _SAME else f"It is {_times(ratio, 'smaller', 'larger')} than"
    text += f" {facts.called} ({fmt.size(facts.own.size)} against {fmt.size(facts.reference.size)})"
    if facts.speedup is not None:
        value = facts.speedup.value
        than = "" if facts.name == "baseline" else " than the baseline"
        if not (facts.faster or facts.slower):
            text += f" and not measurably faster{than}"
        elif abs(value - 1) < _SAME:
            text += f" and about as fast{' as the baseline' if than else ''}"
        else:
            text += f" and {_times(value, 'faster', 'slower')}{than}"
    if any(finding.tone == "warning" for finding in found):
        return Sentence(text=f"{text}.")
    if ratio > 1.05 or facts.faster:
        return Sentence(text=f"{text}. Nothing was found that these steps should have done and did not.", tone="good")
    return Sentence(text=f"{text}.")


def _times(ratio: float, better: str, worse: str) -> str:
    value, word = (ratio, better) if ratio >= 1 else (1 / ratio, worse)
    return f"{value:.1f}x {word}" if value >= 1.05 else f"{value:.2f}x {word}"


def _facts(facts: Facts) -> Iterable[Fact]:
    yield Fact(name="size", title="File size", value=float(facts.own.size), unit="B")
    if not facts.same:
        yield Fact(name="smaller", title=f"Smaller than {facts.called}", value=facts.smaller, unit="x")
    if facts.compressed is not None:
        yield Fact(name="compressed", title="Compressed", value=facts.compressed.value, unit="B")
    told = facts.speedup
    if told is not None:
        yield Fact(name="speedup", title="Speed-up", value=told.value, unit="x", low=told.low, high=told.high, n=told.n)


def _evidence(found: Iterable[Finding]) -> Table:
    return Table(
        name="evidence",
        title="What proves it",
        columns=(
            Column(name="case", title="Case"),
            Column(name="concerns", title="Concerns"),
            Column(name="figure", title="Figure"),
            Column(name="value", title="Value"),
        ),
        rows=tuple(
            {"case": f.case, "concerns": f.concerns, "figure": e.title, "value": fmt.cell(e.value, e.unit)}
            for f in found
            for e in f.evidence
        ),
    )


ANALYSIS = Analysis(
    name="diagnosis",
    version="3",
    title="Why not smaller or faster?",
    summary="What keeps the file from being smaller or faster, and what would help?",
    analyse=analyse,
    uses=frozenset({"reference", "chain", "measurements", "profile"}),
    quick=True,
    rank=10,
)
