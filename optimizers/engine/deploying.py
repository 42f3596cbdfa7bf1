"""Puts together what is known about one deployable file, for exports."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from optimizers.datasets import preparation
from optimizers.deployment import Deployable, Port
from optimizers.engine.driver import Driver, check_fit, targets_of
from optimizers.engine.plan import summary_key
from optimizers.errors import DataRefused, NotApplicable, StoreDamaged
from optimizers.history.frames import measurements_of
from optimizers.litert.file import LiteRtFile
from optimizers.records import DatasetSummary, ModelSummary, Run

if TYPE_CHECKING:
    from optimizers.models.reader.flatbuffer import Tensor

_REMEMBERED = 16


def deployable(driver: Driver, run: Run, *, of_baseline: bool = False) -> Deployable:
    """The file of a finished run, or its baseline, with everything that exports tell about it.

    Raises:
        NotApplicable: The run left no file, or it is no longer in the store.
    """
    if run.state != "done" or not run.artifact_digest:
        raise NotApplicable(f"The run {run.recipe!r} has no file to deploy: it is {run.state}.")
    artifact = driver.store.get(run.baseline_key if of_baseline else run.artifact_key)
    if artifact is None:
        raise NotApplicable("The file is no longer in the store; run the recipe again to get it back.")
    try:
        content = driver.store.path(artifact).read_bytes()
    except (StoreDamaged, OSError):
        raise NotApplicable("The file in the store is damaged; run the recipe again to get it back.") from None
    seen = run.model_copy(update={"artifact_digest": artifact.digest})
    data = _known_data(driver, run)
    return Deployable(
        model=run.model.name,
        recipe="float32" if of_baseline else run.recipe,
        content=content,
        digest=artifact.digest,
        **_fitted(driver, run, data),
        **_read(content),
        data=data,
        preparation=_preparation(run),
        measured=measurements_of(driver.history, seen),
        run=run,
    )


@lru_cache(_REMEMBERED)
def _read(content: bytes) -> dict[str, Any]:
    """What the file itself tells; pages ask again at every turn."""
    file = LiteRtFile(content)
    graph = file.graphs[0]
    return {
        "activation": file.activation,
        "inputs": _ports(file.inputs, [graph.tensors[i] for i in graph.inputs]),
        "outputs": _ports(file.outputs, [graph.tensors[i] for i in graph.outputs]),
        "operators": tuple(dict.fromkeys(operator.kind for g in file.graphs for operator in g.operators)),
    }


def _ports(ordered: tuple[Tensor, ...], in_file: list[Tensor]) -> tuple[Port, ...]:
    """The ports in the model's order, each with its place in the file."""
    return tuple(
        Port(
            place=next(place for place, other in enumerate(in_file) if other is tensor),
            name=tensor.name,
            shape=tuple(-1 if known is None else size for size, known in _dimensions(tensor)),
            dtype=tensor.dtype.lower(),
            scale=tensor.scale,
            zero=tensor.zero_point,
        )
        for tensor in ordered
    )


def _dimensions(tensor: Tensor) -> list[tuple[int, int | None]]:
    """Size and signature of each dimension; the batch is always one example."""
    signature = tensor.signature if len(tensor.signature) == len(tensor.shape) else tensor.shape
    pairs: list[tuple[int, int | None]] = list(zip(tensor.shape, signature, strict=True))
    if pairs and prod(tensor.shape[:1]) == 1:
        pairs[0] = (1, 1)
    return pairs


def _known_data(driver: Driver, run: Run) -> DatasetSummary | None:
    """What the run's data set is, from the store: nothing is read again."""
    kept = driver.store.get(summary_key(run.dataset, "inspect_dataset"))
    return DatasetSummary.model_validate(kept.report) if kept is not None else None


def _fitted(driver: Driver, run: Run, data: DatasetSummary | None) -> dict[str, Any]:
    """What the model does with the data, and each of its outputs if there are several."""
    kept = driver.store.get(summary_key(run.model, "inspect_model"))
    if data is None or kept is None:
        return {"task": None}
    model = ModelSummary.model_validate(kept.report)
    try:
        task = check_fit(model, data, run.dataset.name)
        return {"task": task, "targets": targets_of(model, data, run.dataset.name)}
    except DataRefused:
        return {"task": None}


def _preparation(run: Run) -> dict[str, object]:
    try:
        return dict(preparation.split(run.dataset.uri)[1].given)
    except DataRefused:
        return {}
