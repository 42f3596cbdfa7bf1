"""Which layers of a model are sensitive, measured once for a search on validation examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from optimizers.errors import Cancelled, ParetoscopeError
from optimizers.search.records import LayerDamage, Trial

if TYPE_CHECKING:
    from optimizers.engine.driver import Driver

_EXAMPLES = 300
_ATTEMPTS = 3


def ranked_layers(driver: Driver, trials: Iterable[Trial], cancelled: Callable[[], bool]) -> tuple[LayerDamage, ...]:
    """Layers by how far the outputs move when only their weights are those of a damaged file, the worst first.

    The damage is that of the smallest file that was made without training and whose layers can be told apart: what
    rounding to few bits does to a layer says how exact its weights have to be. Empty where no such file was made.
    """
    from optimizers.engine.analysing import Question, analyse

    runs = driver.history.runs([trial.run_id for trial in trials if trial.effort == "none"])
    files = [(artifact.size_bytes, run) for run in runs if (artifact := driver.store.get(run.artifact_key)) is not None]
    for _, run in sorted(files, key=lambda pair: pair[0])[:_ATTEMPTS]:
        try:
            given = {"examples": _EXAMPLES, "without": False}
            report, _ = analyse(driver, Question(run, "sensitivity", given), cancelled)
        except Cancelled:
            raise
        except ParetoscopeError:
            continue
        rows = next(table.rows for table in report.tables if table.name == "sensitivity")
        found = [LayerDamage.model_validate({"layer": row["layer"], "moved": row["moved"]}) for row in rows]
        return tuple(sorted(found, key=lambda damage: -damage.moved))
    return ()
