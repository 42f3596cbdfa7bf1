"""Finds out how a data set is prepared for a model: what shapes tell, then the scaling by trying it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from optimizers.datasets import preparation, shape_proposals
from optimizers.datasets.proposals import Proposal
from optimizers.engine.plan import proposal_key
from optimizers.engine.worker import Pool, Task
from optimizers.errors import DataRefused
from optimizers.records import DatasetRef, DatasetSummary, ModelSummary

if TYPE_CHECKING:
    from optimizers.engine.driver import Driver


def propose(driver: Driver, model: str, dataset: str, cancelled: Callable[[], bool] = lambda: False) -> Proposal:
    """What is proposed for a model and data; found once, then remembered.

    Args:
        driver: Reads and runs.
        model: URI.
        dataset: URI. What it says about the column to predict, the task and the labels is kept, the rest found anew.

    Raises:
        UserError: The model or the data cannot be read, or no preparation makes them fit one another.
    """
    reference, summary = driver.inspect_model(model, cancelled)
    bare, wanted = preparation.split(dataset)
    fixed = preparation.of(wanted.reading)
    given, ref, _ = _shaped(driver, bare, fixed.given, summary, cancelled)
    key = proposal_key(reference, ref)
    known = driver.store.get(key)
    if known is None:
        log = str(driver.settings.logs / f"{key[:16]}.log")
        params = {
            "key": key,
            "model": reference.uri,
            "dataset": preparation.split(ref.uri)[0],  # whoever computes it may be in another folder
            "given": given,
            "summary": summary.model_dump(mode="json"),
        }
        pool: Pool = "light" if summary.kind == "tflite" else "tensorflow"
        task = Task("optimizers.engine.tasks:propose", params, pool, "interactive", log)
        return Proposal.model_validate(driver.executor.run(task, lambda event: None, cancelled))
    return Proposal.model_validate(known.report)


def _shaped(
    driver: Driver, bare: str, given: dict[str, Any], model: ModelSummary, cancelled: Callable[[], bool]
) -> tuple[dict[str, Any], DatasetRef, DatasetSummary]:
    """The data read so that their shape and labels fit the model, as far as this can be had."""

    def read(options: dict[str, Any]) -> tuple[dict[str, Any], DatasetRef, DatasetSummary]:
        return options, *driver.inspect_dataset(preparation.join(bare, preparation.of(options)), cancelled)

    try:
        found = read(given)
    except DataRefused as error:
        size = shape_proposals.size_wanted(model) if error.code == "sizes-differ" else {}
        otherwise = size or shape_proposals.reading_wanted(model, error.code)
        if not otherwise or otherwise.keys() <= given.keys():
            raise
        found = read(given | otherwise)
    for more in (
        shape_proposals.targets_wanted,
        shape_proposals.ignored,
        shape_proposals.task_wanted,
        shape_proposals.labels_wanted,
        shape_proposals.fitting,
    ):
        extra = more(model, found[2])
        if extra:
            found = read(found[0] | extra)
    return found
