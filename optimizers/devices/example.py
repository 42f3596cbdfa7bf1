"""One example as a file takes it, and what LiteRT answers here: what answers on another device are held against."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from optimizers.devices.names import scope_of_run
from optimizers.engine.store import open_store
from optimizers.engine.versions import measuring_versions
from optimizers.engine.worker import Task
from optimizers.records import SHARED, Artifact, ModelSummary, Run, digest_of
from optimizers.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from optimizers.engine.driver import Driver

_FORMAT = 1


def example(driver: Driver, run: Run, artifact: Artifact, *, real: bool) -> Path:
    """A JSON file with raw inputs and outputs of a run's file for one example. Computed once, then remembered.

    Args:
        artifact: The run's file or its baseline.
        real: An example of the validation part; otherwise random values, which whoever has a link may see as well.

    Raises:
        ParetoscopeError: The data are gone, or the file cannot be run.
    """
    dataset = run.dataset
    key = digest_of(
        {
            "format": _FORMAT, "example": artifact.digest, "data": dataset.digest if real else "",
            "scope": SHARED if run.scope == SHARED else scope_of_run(run.id), "versions": measuring_versions(),
        }
    )  # fmt: skip
    known = driver.store.get(key)
    if known is None:
        summary = driver.inspect_model(run.model.uri)[1].model_dump(mode="json") if real else None
        params = {"artifact": artifact.key, "key": key, "dataset": dataset.uri if real else "", "summary": summary}
        log = str(driver.settings.logs / f"{key[:16]}.log")
        task = Task(f"{__name__}:answer", params, "light", "interactive", log)
        known = Artifact.model_validate(driver.executor.run(task, lambda event: None, lambda: False))
    return driver.store.path(known)


def answer(report: Any, *, artifact: str, key: str, dataset: str, summary: dict[str, Any] | None) -> dict[str, Any]:
    """The task behind `example`; runs in a measuring process."""
    from optimizers.litert import interpreter

    store = open_store(Settings())
    record = store.get(artifact)
    assert record is not None, "the file to run is stored"
    loaded = interpreter.load(store.path(record))
    loaded.reset_all_variables()
    names, details = _names(loaded), interpreter.inputs(loaded)
    for detail, value in zip(details, _values(details, dataset, summary), strict=True):
        loaded.set_tensor(detail["index"], value)
    given = [_tensor(loaded, detail, names["inputs"]) for detail in details]
    loaded.invoke()
    told = [_tensor(loaded, detail, names["outputs"]) for detail in interpreter.outputs(loaded)]
    with store.draft() as out:
        (out / "example.json").write_text(json.dumps({"inputs": given, "outputs": told}), encoding="utf-8")
        return store.commit(out, key, "predictions", "example.json", {}).model_dump(mode="json")


def _values(details: list[dict[str, Any]], dataset: str, summary: dict[str, Any] | None) -> list[np.ndarray]:
    import numpy as np

    from optimizers.datasets import fit
    from optimizers.datasets.several import arrays_of
    from optimizers.engine import origins
    from optimizers.litert.interpreter import quantized
    from optimizers.litert.rounds import in_range

    if summary is None:
        rng = np.random.default_rng(0)
        return [in_range(rng, detail) for detail in details]
    model, name = ModelSummary.model_validate(summary), origins.resolve_dataset(dataset).name
    data = fit.adapt_dataset(origins.load_dataset(dataset), model.inputs, model.outputs, name, model.activation)
    return [quantized(x, detail) for x, detail in zip(arrays_of(data.validation.x[:1]), details, strict=True)]


def _names(loaded: Any) -> dict[str, dict[int, list[str]]]:
    """Names of inputs and outputs in the file's signatures, by the tensor's index."""
    found: dict[str, dict[int, list[str]]] = {"inputs": {}, "outputs": {}}
    for key in loaded.get_signature_list():
        runner = loaded.get_signature_runner(key)
        for side, known in (("inputs", runner.get_input_details()), ("outputs", runner.get_output_details())):
            for name, detail in known.items():
                found[side].setdefault(int(detail["index"]), []).append(name)
    return found


def _tensor(loaded: Any, detail: dict[str, Any], signatures: dict[int, list[str]]) -> dict[str, Any]:
    """A tensor as JSON, with the names under which a runtime may know it: its own, and those in signatures."""
    scale, zero = detail["quantization"]
    value = loaded.get_tensor(detail["index"])
    return {
        "names": [detail["name"], *signatures.get(int(detail["index"]), [])], "dtype": str(value.dtype),
        "shape": [int(d) for d in value.shape], "scale": float(scale), "zero": int(zero),
        "data": base64.b64encode(value.tobytes()).decode(),
    }  # fmt: skip
