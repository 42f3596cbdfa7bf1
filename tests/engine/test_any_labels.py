"""Several labels, a class for every pixel, and several numbers per example: from the file to the figures."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from optimizers.engine.analysing import Question, analyse
from optimizers.engine.queue import JobQueue
from optimizers.history.frames import comparison, differences_of, headline, measurements_of
from optimizers.recipe import parse
from optimizers.records import Run

PRUNED = "magnitude_pruning(epochs=3, min_steps=0, learn_from=both)+int8"
KINDS = {
    "pairs": ("f1_micro", {"hamming_accuracy", "exact_match", "f1", "auc", "log_loss"}),
    "masks": ("mean_iou", {"position_accuracy", "log_loss"}),
    "forecast": ("r2", {"mae", "rmse"}),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The model of that name, trained a little, its data beside it."""
    folder = tmp_path_factory.mktemp("labels")

    @cache
    def make(name: str) -> Path:
        import keras
        from keras import layers

        keras.utils.set_random_seed(4)
        x, y = examples(name)
        given = keras.Input(x.shape[1:])
        if name == "forecast":
            out = layers.Reshape((4, 2))(layers.Dense(8)(layers.Dense(32, activation="relu")(layers.Flatten()(given))))
        elif name == "masks":
            small = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(given))
            out = layers.Conv2D(1, 3, padding="same")(layers.Concatenate()([given, layers.UpSampling2D()(small)]))
            out = layers.Activation("sigmoid")(out)
        else:
            seen = layers.Conv2D(16, 3, activation="relu")(given)
            out = layers.Dense(10, activation="sigmoid")(layers.Flatten()(seen))
        model = keras.Model(given, out)
        model.compile(keras.optimizers.Adam(5e-3), "mse" if name == "forecast" else "binary_crossentropy")
        model.fit(x, (y > 128).reshape(-1, *out.shape[1:]) if name == "masks" else y, epochs=12, verbose=0)
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", x=x, y=y)
        return folder / f"{name}.keras"

    return make


def examples(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of digits and which they are, digits and where their ink is, or the next steps of two series.

    Ink is 255, paper 0, and 128 stands where nobody judges.
    """
    from sklearn.datasets import load_digits

    random = np.random.default_rng(0)
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 8, 8, 1).astype(np.float32)
    if name == "masks":
        ink = ((images[:500] > 0.4) * 255).astype(np.uint8)
        ink[:, 3:5, 3:5], ink[7] = 128, 128
        return images[:500], ink
    if name == "pairs":
        left, right = random.integers(0, len(images), (2, 500))
        truths = np.zeros((500, 10), int)
        truths[np.arange(500), digits[left]] = truths[np.arange(500), digits[right]] = 1
        return np.concatenate([images[left], images[right]], axis=2), truths
    series = np.sin(np.arange(700) / 5)[:, None] * [1, 2] + 0.1 * random.standard_normal((700, 2))
    windows = np.stack([series[i : i + 14] for i in range(0, 680, 2)]).astype(np.float32)
    return windows[:, :10], windows[:, 10:]


def finished(queue: JobQueue, model: Path, *recipes: str) -> list[Run]:
    data = f"{model.with_suffix('.npz')}{'?ignore=128' if model.stem == 'masks' else ''}"
    runs = queue.submit(str(model), data, [parse(text) for text in recipes])
    queue.wait([run.id for run in runs])
    found = [queue.history.run(run.id) for run in runs]
    assert [run.failure for run in found] == [None] * len(found)
    return found


@pytest.mark.parametrize("name", ["masks", *(pytest.param(n, marks=pytest.mark.slow) for n in ("pairs", "forecast"))])
def test_quality_is_measured_and_compared(queue: JobQueue, made: Callable[[str], Path], name: str) -> None:
    leading, others = KINDS[name]
    (int8,) = finished(queue, made(name), "int8")
    measured = measurements_of(queue.history, int8)
    assert {leading, *others} <= set(measured)
    assert not {"accuracy", "agreement"} & set(measured)
    assert headline(comparison(queue.history, [int8.id])) == leading
    assert measured[leading].value > 0.5
    assert measured[leading].n == {"pairs": 100, "masks": 100, "forecast": 68}[name], "examples, not their labels"
    change = differences_of(queue.history, int8)[leading]
    assert change.low <= change.value <= change.high
    assert abs(change.value) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_training_and_looking_inside_work_as_well(queue: JobQueue, made: Callable[[str], Path], name: str) -> None:
    leading = KINDS[name][0]
    pruned, *rest = finished(
        queue, made(name), PRUNED, "structured_pruning(amount=0.3, epochs=2, min_steps=0)+int8",
        "quantization_aware_training(epochs=1, min_steps=0)+int8", "mixed_precision(target=0.9)", "low_bit",
        "dynamic_range",
        "distillation(epochs=5, min_steps=0, student=compact)+float16",
    )  # fmt: skip
    assert all(leading in measurements_of(queue.history, run) for run in (pruned, *rest))
    for what in ("flips", "sensitivity", "corruptions", *(("confusion",) if name == "masks" else ())):
        report, _ = analyse(queue.driver, Question(pruned, what, {}))
        assert report.sentences
        assert report.tables
