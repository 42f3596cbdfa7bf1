"""An executor that does the bookkeeping of real work without TensorFlow: every stage is a small file of its own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optimizers.engine.store import open_store
from optimizers.engine.versions import device
from optimizers.engine.worker import OnEvent, Task
from optimizers.errors import Cancelled, NotApplicable
from optimizers.forecast import Forecast
from optimizers.records import Difference, LayerRow, Measurement, ModelSummary, TensorSpec, examples_digest
from optimizers.settings import Settings

TINY = Path(__file__).with_name("tiny.tflite")
"""A real file: 8 x 8 x 1 numbers averaged, and ten probabilities of the average. What follows it is ignored."""


class FakeExecutor:
    """Counts what it was asked to do; ``pause`` seconds pass in every stage, ``fail`` maps technique to an error."""

    def __init__(self, settings: Settings, pause: float = 0.0) -> None:
        self.settings, self.pause = settings, pause
        self.asked: Counter[str] = Counter()
        self.fail: dict[str, Exception] = {}
        self.closed = threading.Event()
        self._lock = threading.Lock()

    def run(self, task: Task, on_event: OnEvent, cancelled: Callable[[], bool]) -> Any:
        return self.do(task.function.partition(":")[2], on_event, cancelled, task.params)

    def do(self, name: str, on_event: OnEvent, cancelled: Callable[[], bool], params: dict[str, Any]) -> Any:
        """The result of a task of that name; what a model or data are is kept, and found in the store the next time."""
        found = getattr(self, name)(on_event, cancelled, **params)
        return self.keep(params["key"], found) if name.startswith("inspect_") else found

    def devices(self) -> frozenset[str]:
        return frozenset({device()})

    def close(self) -> None:
        self.closed.set()

    def count(self, what: str) -> None:
        with self._lock:
            self.asked[what] += 1

    def keep(self, key: str, told: dict[str, Any]) -> dict[str, Any]:
        """In the store, where it is found the next time."""
        store = open_store(self.settings)
        with store.draft() as out:
            (out / "summary").write_text("told")
            store.commit(out, key, "summary", "summary", told)
        return told

    def inspect_model(self, on_event: OnEvent, cancelled: Callable[[], bool], *, uri: str, key: str) -> Any:
        self.count("inspect_model")
        summary = ModelSummary(
            format="fake",
            keras_version="3",
            inputs=(TensorSpec(name="x", shape=(8, 8, 1), dtype="float32"),),
            outputs=(TensorSpec(name="y", shape=(10,), dtype="float32"),),
            layers=(LayerRow(name="dense", kind="Dense", output_shape=(10,), parameters=650),),
            parameters=650,
            trainable_parameters=650,
        )
        return summary.model_dump(mode="json")

    def inspect_dataset(self, on_event: OnEvent, cancelled: Callable[[], bool], *, uri: str, key: str) -> Any:
        from optimizers.engine import origins

        self.count("inspect_dataset")
        return origins.load_dataset(uri).summary.model_dump(mode="json")

    def rehearse(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        self.count("rehearse")
        if "rehearse" in self.fail:
            raise self.fail["rehearse"]
        return Forecast(steps=(), size_bytes=64, compressed_bytes=60, parameters=650, macs=640).model_dump(mode="json")

    def run_stage(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        technique = params["technique"]
        self.count(technique)
        for step in range(10):
            on_event({"type": "progress", "step": step, "of": 10, "metrics": {"loss": 1.0}})
            if cancelled() or self.closed.is_set():
                raise Cancelled("The run was cancelled.")
            time.sleep(self.pause / 10)
        if technique in self.fail:
            raise self.fail[technique]
        store = open_store(self.settings)
        with store.draft() as out:
            (out / "model").write_bytes(TINY.read_bytes() + params["key"].encode())
            kind = "keras" if technique == "magnitude_pruning" else "tflite"
            return store.commit(out, params["key"], kind, "model", {}).model_dump(mode="json")

    def evaluate(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        self.count("evaluate")
        artifact = open_store(self.settings).get(params["artifact"])
        digest = artifact.digest
        data = examples_digest(self.data_digest(params["dataset"]), params["part"])
        common = {"artifact_digest": digest, "version": "1", "n": 1, "scope": params["scope"]}
        self.keep(params["evaluation"], {"absent": {"auc": "One class only."}})
        measurements = [
            Measurement(metric="size_bytes", unit="B", value=float(artifact.size_bytes), **common),
            Measurement(metric="accuracy", unit="fraction", value=0.9, dataset_digest=data, **common),
        ]
        differences = []
        if digest != params["baseline"]:
            change = {"value": -0.002, "low": -0.009, "high": 0.0044, "floor": -0.0082, "ceiling": 0.0037}
            change |= {"n": 1000, "lost": 5, "gained": 3, "p": 0.727}
            common = {"artifact_digest": digest, "version": "1", "scope": params["scope"]}
            files = {"baseline_digest": params["baseline"], "dataset_digest": data, "baseline": 0.902}
            differences = [Difference(metric="accuracy", unit="fraction", **files, **common, **change)]
        return {
            "measurements": [m.model_dump(mode="json") for m in measurements],
            "differences": [d.model_dump(mode="json") for d in differences],
        }

    def time_latency(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        self.count("time_latency")
        store, found = open_store(self.settings), []
        if "time_latency" in self.fail and len(params["files"]) > 2:  # more than a file and its original
            raise self.fail["time_latency"]
        timed = {"device": device(), "threads": params["threads"], "scope": params["scope"]}
        for file in params["files"]:
            self.count("timed")
            digest = store.get(file["artifact"]).digest
            self.keep(file["timing"], {"absent": {"latency_p99_ms": "Too few runs."}})
            measurement = Measurement(
                artifact_digest=digest, metric="latency_ms", version="3", unit="ms", value=0.5, n=100, **timed
            )
            found.append({"measurements": [measurement.model_dump(mode="json")]})
        return found

    def analyse(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        self.count("analyse")
        raise NotApplicable("No layer of this file can be tried alone.")

    def answer(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        self.count("answer")
        store = open_store(self.settings)
        with store.draft() as out:
            (out / "example.json").write_text("{}")
            return store.commit(out, params["key"], "predictions", "example.json", {}).model_dump(mode="json")

    def race(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        from optimizers.live.race import race

        self.count("race")
        return race(None, **params)

    def told(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        self.count("importance")
        return {name: 1.0 / len(params["settings"][0]) for name in params["settings"][0]}

    def decode(self, on_event: OnEvent, cancelled: Callable[[], bool], **params: Any) -> Any:
        from optimizers.live.race import decode

        self.count("decode")
        return decode(None, **params)

    @staticmethod
    def data_digest(uri: str) -> str:
        from optimizers.engine import origins

        return origins.resolve_dataset(uri).digest
