"""What it costs to run a file over 10,000 examples, 8-bit files against float files, as evaluating them does."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.tables import Result, run_all
from optimizers.engine.queue import JobQueue
from optimizers.engine.tasks import adapted
from optimizers.engine.versions import cores
from optimizers.litert import interpreter
from optimizers.models.sample import manifest
from optimizers.settings import Settings

TITLE = "Evaluating a file"
EXAMPLES = 10_000
_REPETITIONS = 3
_RECIPES = ("float32", "int8")


def lines() -> list[str]:
    """One line per sample model."""
    found = [
        f"Computing time for {EXAMPLES:,} examples (test parts repeated), all {cores()} threads together, the least of "
        f"{_REPETITIONS}; time that other programs take does not count. *Invocation* is the time of one example alone.",
        "",
        "| model | in batches | float32 | int8 | int8 / float32 | invocation, int8 / float32 |",
        "|---|---|--:|--:|--:|--:|",
    ]
    queue = JobQueue(Settings())
    try:
        for name, sample in manifest().items():
            if sample.is_variant_of is None:
                results = {recipe: told[0] for recipe, told in run_all(queue, name, _RECIPES).items()}
                found.append(_line(queue, name, results))
    finally:
        queue.close()
    return found


def _line(queue: JobQueue, name: str, results: dict[str, Result]) -> str:
    refusals = [f"`{recipe}`: {result.refusal}" for recipe, result in results.items() if result.refusal]
    if refusals:
        return f"| {name} | {' '.join(refusals)} | | | | |"
    run = results["float32"].run
    test = adapted(run.dataset.uri, queue.driver.inspect_model(run.model.uri)[1]).test.x
    x = np.take(test, np.arange(EXAMPLES) % len(test), axis=0)
    files = [_file(queue, results[recipe]) for recipe in _RECIPES]
    together = " / ".join("yes" if interpreter.takes_batches(file, x[:32]) else "no" for file in files)
    taken = np.array([[_seconds(file, x) for file in files] for _ in range(_REPETITIONS)]).min(axis=0)
    alone = np.array([[_invocations(file) for file in files] for _ in range(_REPETITIONS)]).min(axis=0)
    return (
        f"| {name} | {together} | {taken[0]:.3f} s | {taken[1]:.3f} s | {taken[1] / taken[0]:.2f} "
        f"| {alone[1] / alone[0]:.2f} |"
    )


def _file(queue: JobQueue, result: Result) -> Path:
    artifact = queue.store.get(result.run.artifact_key)
    assert artifact is not None, "a finished run has its file in the store"
    return queue.store.path(artifact)


def _seconds(file: Path, x: np.ndarray) -> float:
    started = time.process_time()
    interpreter.predict(file, x, threads=cores())
    return time.process_time() - started


def _invocations(file: Path) -> float:
    loaded = interpreter.load(file)
    started = time.process_time()
    for _ in range(1000):
        loaded.invoke()
    return time.process_time() - started
