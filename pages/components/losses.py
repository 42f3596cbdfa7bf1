"""How training went, for a line in a table's cell."""

from __future__ import annotations

from functools import lru_cache

from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.engine.store import Store
from optimizers.figures.curves import history_data
from optimizers.records import Run

_MOST_RUNS = 60
"""Runs of which curves are read; each takes a file or two."""


def last_losses(queue: JobQueue, runs: list[Run]) -> dict[str, list[float]]:
    """Loss by epoch of the last step that trained, by run; those without one, or all of very many, are left out."""
    if len(runs) > _MOST_RUNS:
        return {}
    found = {}
    for run in runs:
        trained = [s.key for s in run.stages if s.technique and "train" in registry.technique(s.technique).needs]
        curves = [curve for curve in (_losses(queue.store, key) for key in trained) if len(curve) > 1]
        if curves:
            found[run.id] = list(curves[-1])
    return found


@lru_cache(maxsize=2048)
def _losses(store: Store, key: str) -> tuple[float, ...]:
    """What a stage's training noted; a stage never changes."""
    artifact = store.get(key)
    history = (artifact.report.get("figures") or {}).get("history") if artifact else None
    if not isinstance(history, dict):
        return ()
    data = history_data({name: history.get(name) for name in ("val_loss", "loss")})
    return tuple(data.loc[data["series"] == data["series"].iloc[0], "value"]) if len(data) else ()
