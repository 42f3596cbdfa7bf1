"""How much one visitor may ask of a server that many share: runs at the same time, and room for what they make.

Uploads have limits of their own, see `optimizers.uploads`. The command line has none.
"""

from __future__ import annotations

from collections.abc import Sequence

from optimizers.engine.store import Store
from optimizers.errors import UserError
from optimizers.history.database import UNFINISHED, History
from optimizers.records import Run
from optimizers.settings import Settings


def check(history: History, store: Store, settings: Settings, scope: str, started: Sequence[str], more: int) -> None:
    """Raises `UserError` when a visitor may not start that many more runs now, or has no room for what they make.

    Args:
        history, store: Where runs and results are.
        settings: Have the limits.
        scope: Of the visitor's own models and data.
        started: Ids of all runs that the visitor started, those of samples too.
        more: How many runs they ask for.
    """
    check_runs(history, settings, scope, started, more)
    check_room(history, store, settings, scope)


def check_room(history: History, store: Store, settings: Settings, scope: str) -> None:
    """Raises `UserError` when the results of a visitor's own models and data, searches included, take up too much."""
    held = results_bytes(history.runs(scopes=[scope], study=None), store)
    if held > settings.session_store_mib * 2**20:
        raise UserError(
            f"The results of your own models and data take up {held / 2**20:.0f} MiB, more than the "
            f"{settings.session_store_mib} MiB that one visitor may use; delete runs that you no longer need."
        )


def check_runs(history: History, settings: Settings, scope: str, started: Sequence[str], more: int) -> None:
    """As `check`, without asking for room: what an upload itself becomes is limited with the uploads."""
    counts = history.counts(scopes=[scope], also=started)
    busy = sum(counts[state] for state in UNFINISHED)
    if busy + more > settings.session_runs:
        raise UserError(
            f"You have {busy} runs that wait or work, and {more} more would exceed {settings.session_runs}, the most "
            "that one visitor may have at the same time; wait until some have finished, or cancel them."
        )


def results_bytes(runs: Sequence[Run], store: Store) -> int:
    """Bytes of the models and files that these runs made, each counted once."""
    keys = {stage.key for run in runs for stage in run.stages} | {run.baseline_key for run in runs if run.baseline_key}
    found = (store.get(key) for key in keys)
    return sum(artifact.size_bytes for artifact in found if artifact is not None)
