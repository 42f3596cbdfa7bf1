"""What a rule finds: a case with its sentence and the figures that prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from optimizers.diagnosis.facts import Facts
from optimizers.findings import Sentence, Tone, Unit

Concerns = Literal["size", "speed", "quality"]


class Figure(NamedTuple):
    """A number that proves something."""

    title: str
    value: float
    unit: Unit


@dataclass(frozen=True)
class Finding:
    """One thing that is the case.

    Attributes:
        case: What it is, in a few words that never change; tests and benchmarks know it by them.
        concerns: What it keeps from being better.
        text: What is the case, with the most important figures.
        advice: What to do.
        evidence: The figures that prove it.
        tone: ``warning`` where something was meant to help and does not, else ``plain``.
    """

    case: str
    concerns: Concerns
    text: str
    advice: str
    evidence: tuple[Figure, ...]
    tone: Tone = "plain"

    @property
    def sentence(self) -> Sentence:
        return Sentence(text=self.text, advice=self.advice, tone=self.tone)


Rule = Callable[[Facts], Iterable[Finding]]
