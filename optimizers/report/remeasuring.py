"""What worker processes do for packs: keep the test part, and measure a file that somebody brought again."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from optimizers.answers import probabilities, truth
from optimizers.declarations import Evidence
from optimizers.engine.evaluation import evaluated
from optimizers.engine.store import open_store
from optimizers.engine.tasks import Reporter, adapted
from optimizers.errors import UserError
from optimizers.models.reader.limits import LIMITS
from optimizers.records import ModelSummary, Target, Task
from optimizers.settings import Settings


def keep_test(report: Reporter, *, key: str, dataset: str, summary: dict[str, Any]) -> dict[str, Any]:
    """Stores the test part, in the form in which the model takes it, as arrays ``x`` and ``y``."""
    import numpy as np

    store = open_store(Settings())
    test = adapted(dataset, ModelSummary.model_validate(summary)).test
    with store.draft() as out:
        np.savez_compressed(out / "test.npz", x=test.x, y=test.y)
        return store.commit(out, key, "examples", "test.npz", {}).model_dump(mode="json")


def remeasure(
    report: Reporter,
    *,
    file: str,
    baseline: str,
    test: str,
    task: Task,
    activation: str,
    several: bool,
    targets: list[dict[str, Any]],
) -> dict[str, float]:
    """Every metric of size and quality of a file, measured on the examples given; sizes only where there are none.

    Args:
        file, baseline: Paths of ``.tflite`` files.
        test: Path of an ``.npz`` file with ``x`` and ``y``, or empty.
        task, activation: Of the original model.
        several: Whether it has several outputs.
        targets: What each of them is to say, where there are labels.

    Raises:
        UserError: The file cannot be run, or the examples do not fit it.
    """
    from optimizers.litert import interpreter
    from optimizers.litert.file import describe

    path = Path(file)
    describe(path, path.name)  # refuses what is damaged or would run code, and tries it in a process of its own
    evidence = Evidence(path)
    if test:
        x, y = _examples(Path(test))
        try:
            each = tuple(Target.model_validate(one) for one in targets)

            def ask(asked: Path) -> Any:
                return probabilities(interpreter.predict(asked, x), task, activation, each)

            scores = ask(path)
            if task == "fidelity" or any(one.task == "fidelity" for one in each):
                y = truth(y, task, each, scores if file == baseline else ask(Path(baseline)))
        except (ValueError, TypeError, IndexError) as error:
            raise UserError(f"The examples of the pack do not fit {path.name}.") from error
        evidence = Evidence(path, task, scores, y, interpreter.output_shapes(path) if several else (), each)
    told = evaluated(evidence, "", "", "", "")
    return {m.metric: m.value for m in told.measurements}


def _examples(path: Path) -> tuple[Any, Any]:
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LIMITS.weight_bytes:
            raise UserError(f"The examples of the pack take {size >> 20} MiB, more than is accepted.")
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["x"], arrays["y"]
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
        raise UserError("The examples of the pack cannot be read; ask for the pack again.") from error
