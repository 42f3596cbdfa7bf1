"""Rules about steps: what they left out, and what later ones undid."""

from __future__ import annotations

from collections.abc import Iterable

from optimizers import registry
from optimizers.declarations import Property
from optimizers.diagnosis.facts import Facts, shares, skipped
from optimizers.diagnosis.finding import Figure, Finding, Rule
from optimizers.figures.format import count, listed, percent
from optimizers.params import fields

_QAT = "quantization_aware_training"
_LEFT = 0.1
_LOST: dict[Property, str] = {"sparsity": "zeros", "clusters": "clusters"}
"""What is lost, by property."""
_SETTINGS: dict[str, tuple[frozenset[Property], str]] = {
    "keep_earlier": (
        frozenset({"sparsity", "clusters"}), "let it keep them (setting “keep what earlier steps achieved: auto”)",
    ),
    "granularity": (frozenset({"clusters"}), "give it one scale per kernel (setting “granularity: per_tensor”)"),
}  # fmt: skip
"""What the later step may have that helps, by the name of its setting: against which losses, and how."""


def lost(facts: Facts) -> Iterable[Finding]:
    """A later step destroyed what an earlier one had achieved."""
    for what, noun in _LOST.items():
        losses = [loss for loss in facts.lost if loss.property == what]
        if not losses:
            continue
        first, n = losses[0], len(losses)
        text = f"{_title(first.later)} undid what {_title(first.earlier)} had made of {count(n)} "
        text += f"layer{'s' if n > 1 else ''}, "
        text += f"for example {first.sentence}"
        shown = (Figure("Layers", n, "count"),)
        yield Finding(f"{noun} were lost", "size", text, _advice(facts, first.later, what), shown, "warning")


def _advice(facts: Facts, later: str, what: Property) -> str:
    """What helps against a step that undoes what an earlier one achieved, of what was not tried already."""
    technique = registry.technique(later)
    chosen = next((dict(step.params) for step in reversed(facts.chain) if step.technique == later), {})
    named = [field.name for field in fields(technique.params)]
    if "granularity" in named and what == "clusters" and chosen.get("granularity") == "auto":
        named.remove("granularity")  # it made the file with one scale per kernel, too, and kept the smaller one
    known = (_SETTINGS.get(name) for name in named)
    helps = [words for against, words in filter(None, known) if what in against]
    first = ["put that step first"] if technique.produces != "tflite" else []
    told = ", or ".join([*first, *helps] or ["leave one of the two out"])
    return f"{told[0].upper()}{told[1:]}."


def qat_skipped(facts: Facts) -> Iterable[Finding]:
    """Training with rounding left layers out that have weights."""
    for step in facts.chain:
        left = skipped(step)
        if step.technique != _QAT or not left:
            continue
        share = shares(step, left)
        floating = {facts.own.layer(w) for w in facts.own.kernels if w.dtype.startswith("float")}
        now = "are still floating point" if floating.issuperset(left) else "were quantized from examples afterwards"
        text = f"Quantization-aware training left out {listed(left)} with {percent(share)} of the kernels' weights "
        text += f"({next(iter(left.values()))}); they {now}, without having learned to live with rounding."
        advice = "If accuracy suffers, look there first: layers of kinds that the 8-bit scheme has, or floating point "
        advice += "for these (mixed precision), are what helps."
        shown = (Figure("Layers left out", len(left), "count"), Figure("Of the weights", share, "fraction"))
        yield Finding("training left layers out", "quality", text, advice, shown)


def left_alone(facts: Facts) -> Iterable[Finding]:
    """Pruning, clustering or another step on the Keras model did not touch a good part of the weights."""
    for step in facts.chain:
        if step.technique == _QAT or step.kind == "tflite":
            continue
        left = skipped(step)
        share = shares(step, left)
        if share < _LEFT:
            continue
        text = f"{_title(step.technique)} left {listed(left)} alone, {percent(share)} of the kernels' weights: "
        text += f"{next(iter(left.values()))}."
        shown = (Figure("Layers left alone", len(left), "count"), Figure("Of the weights", share, "fraction"))
        yield Finding("layers were left alone", "size", text, "", shown)


def _title(technique: str) -> str:
    return registry.technique(technique).title


RULES: tuple[Rule, ...] = (lost, qat_skipped, left_alone)
