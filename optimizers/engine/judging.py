"""Keeps verdicts on budgets in the history: the first one on a file, its data and a budget stands."""

from __future__ import annotations

from optimizers.certification import Budget, Decision
from optimizers.history.database import History
from optimizers.records import Run, Verdict


def keep(history: History, run: Run, budget: Budget, decision: Decision) -> Verdict:
    """The verdict as it was first decided; stored now if this is the first time."""
    from optimizers.engine.plan import scope_of

    return history.decide(
        Verdict(
            artifact_digest=run.artifact_digest,
            baseline_digest=run.baseline_digest,
            dataset_digest=run.dataset.digest,
            metric=budget.metric,
            budget=budget.amount,
            state=decision.state,
            n=decision.n,
            drop=decision.drop,
            upper=decision.upper,
            scope=scope_of(run.model, run.dataset),
        )
    )
