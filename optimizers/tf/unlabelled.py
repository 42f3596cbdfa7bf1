"""What to train towards where data have no labels: the original model's own answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from optimizers.declarations import Dataset, Memory, Part, TrainingData
from optimizers.models.answering import answering
from optimizers.records import ModelSummary, Task, digest_of_path


def labelled_by(original: Path, data: Dataset, summary: ModelSummary, remember: Memory) -> TrainingData:
    """The data with the original model's answers for labels, computed once per model and data set.

    Args:
        original: The model file.
        data: Adapted to the model, of the task ``fidelity``, or with several outputs of which some have it.
        summary: Of the model. Where one choice is made for each example, softmax and a single sigmoid tell classes
            apart; everything else, such as a class for every pixel, is taken as numbers.
        remember: Keeps the answers for other stages.
    """
    parts = {"train": data.train, "validation": data.validation}

    def answers() -> np.ndarray:
        x = np.concatenate([part.x for part in parts.values()])
        return answering(original)(x)

    found = remember({"answers_of": digest_of_path(original), "parts": sorted(parts)}, answers)
    if data.summary.targets:
        return _completed(data, found)
    one_choice = len(summary.outputs) == 1 and len(summary.outputs[0].shape) == 1
    task, y, classes = _meaning(found, summary.activation if one_choice else "")
    cut = len(data.train)
    train, validation = Part(data.train.x, y[:cut]), Part(data.validation.x, y[cut:])
    return TrainingData(train, validation, task, classes)


def _completed(data: Dataset, answers: np.ndarray) -> TrainingData:
    """Labels of several outputs, those of outputs that have none being what the original answers, (n, outputs)."""
    from optimizers.datasets.several import named
    from optimizers.metrics._outputs import columns

    targets, cut = data.summary.targets, len(data.train)
    places = columns(targets)

    def whole(part: Part, found: np.ndarray) -> Part:
        labels = {
            one.name: found[:, own] if one.task == "fidelity" else part.y[one.name]
            for one, own in zip(targets, places, strict=True)
        }
        return Part(part.x, named(labels))

    train, validation = whole(data.train, answers[:cut]), whole(data.validation, answers[cut:])
    return TrainingData(train, validation, "several", (), targets)


def _meaning(answers: np.ndarray, activation: str) -> tuple[Task, np.ndarray, tuple[str, ...]]:
    """Task, targets and classes that answers of shape (n, outputs) stand for."""
    width = answers.shape[1]
    if width > 1 and activation == "softmax":
        return "classification", answers.argmax(axis=1), tuple(map(str, range(width)))
    if width == 1 and activation == "sigmoid":
        return "binary", (answers[:, 0] > 0.5).astype(np.int64), ("0", "1")
    return "regression", answers[:, 0] if width == 1 else answers, ()
