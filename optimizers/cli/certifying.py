"""Verdicts on a budget, for the results of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from optimizers import registry
from optimizers.certification import Budget, Decision, choices, decided, holm, sentence
from optimizers.cli.common import say
from optimizers.engine.judging import keep
from optimizers.errors import InvalidParameter
from optimizers.history.database import History
from optimizers.history.frames import differences_of
from optimizers.records import Run


def check_budget(amount: float | None, metric: str, metrics: Iterable[str] = ()) -> None:
    """Tells a wrong amount or metric before anything runs. Raises `InvalidParameter`.

    ``metrics`` are those of the task, where it is known.
    """
    possible = choices(metrics or registry.metrics())
    if metric and metric not in possible:
        known = ", ".join(possible)
        raise InvalidParameter(f"A budget cannot be judged for {metric!r}; it can be for: {known}.")
    if amount is not None:
        Budget(metric or "accuracy", amount)


def certify(
    history: History, runs: Sequence[Run], results: Sequence[dict[str, Any]], amount: float | None, metric: str
) -> None:
    """Adds ``budget`` to each result: the verdict, or None where no budget was named or there is none to give."""
    found: dict[int, Decision] = {}
    for place, (run, result) in enumerate(zip(runs, results, strict=True)):
        result["budget"] = None
        if amount is None and not metric:
            continue
        if run.state != "done" or run.artifact_digest == run.baseline_digest:
            continue
        try:
            budget, decision = decided(differences_of(history, run), amount, metric)
        except InvalidParameter as error:
            say(f"{run.recipe}: {error.message}")
            continue
        verdict = keep(history, run, budget, decision)
        found[place] = decision
        result["budget"] = {
            "metric": budget.metric, "amount": budget.amount, "allowed": decision.allowed, "state": verdict.state,
            "drop": decision.drop, "upper": decision.upper, "lower": decision.lower, "n": decision.n, "p": decision.p,
            "needed": decision.needed, "sentence": sentence(decision, budget),
            "decided_at": verdict.decided_at.isoformat(),
        }  # fmt: skip
    for place, proven in zip(found, holm(list(found.values())), strict=True):
        results[place]["budget"]["certified_together"] = proven


def in_words(budget: dict[str, Any]) -> str:
    """The verdict that `certify` added, in a sentence or two."""
    told = f"{budget['state'].capitalize()}: {budget['sentence']}"
    if budget["state"] == "certified" and not budget["certified_together"]:
        told += " Together with the other variants (Holm) it is not."
    return told
