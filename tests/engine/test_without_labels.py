"""Models without data, and data without labels: what can be measured is, and nothing else is claimed."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizers.datasets import drawn
from optimizers.engine.queue import JobQueue
from optimizers.history.frames import comparison, headline, measurements_of
from optimizers.recipe import parse
from optimizers.records import Run

MODEL = "sample:digits_cnn"


def finished(queue: JobQueue, model: str, data: str, *recipes: str) -> list[Run]:
    runs = queue.submit(model, data, [parse(recipe) for recipe in recipes])
    queue.wait([run.id for run in runs])
    return [queue.history.run(run.id) for run in runs]


def test_a_model_alone_is_converted_timed_and_compared_with_itself(queue: JobQueue) -> None:
    data = drawn.for_model(queue.driver.inspect_model(MODEL)[1])
    float16, int8, pruned = finished(queue, MODEL, data, "float16", "int8", "magnitude_pruning+int8")
    measured = {name: measurements_of(queue.history, run) for name, run in (("float16", float16), ("int8", int8))}
    for found in measured.values():
        assert {"size_bytes", "latency_ms", "agreement", "output_change"} <= set(found)
        assert not {"accuracy", "r2", "reconstruction_error"} & set(found)
        assert found["agreement"].value > 0.9
    assert 0 < measured["float16"]["output_change"].value < measured["int8"]["output_change"].value < 0.2
    report = queue.store.get(int8.artifact_key).report  # type: ignore[union-attr]
    assert any("random inputs" in note for note in report["notes"])
    assert pruned.failure is not None
    assert pruned.failure.code == "not-applicable"
    assert "bring data" in pruned.failure.message
    frame = comparison(queue.history, [float16.id, int8.id])
    assert headline(frame) == "agreement"
    baseline = frame[frame["is_baseline"]].iloc[0]
    assert (baseline["agreement"], baseline["output_change"]) == (1.0, 0.0)


def test_examples_without_labels_teach_what_the_original_answers(queue: JobQueue, tmp_path: Path) -> None:
    import numpy as np

    from optimizers.datasets import sample

    x = sample.load("optdigits").train.x[:600]
    np.savez(tmp_path / "unlabelled.npz", x=x)
    recipe = "magnitude_pruning(target_sparsity=0.8, epochs=12, min_steps=0)"
    untrained, trained = finished(
        queue, MODEL, str(tmp_path / "unlabelled.npz"),
        "magnitude_pruning(target_sparsity=0.8, epochs=1, min_steps=0, learning_rate=1e-6)", recipe,
    )  # fmt: skip
    agreement = [measurements_of(queue.history, run)["agreement"].value for run in (untrained, trained)]
    assert agreement[1] > agreement[0]
    assert agreement[1] > 0.9


def test_a_class_for_every_pixel_is_learned_from_the_original(queue: JobQueue, tmp_path: Path) -> None:
    import keras
    import numpy as np

    x = np.random.default_rng(5).standard_normal((120, 8, 8, 1)).astype("float32")
    given = keras.Input((8, 8, 1))
    inside = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(given)
    model = keras.Model(given, keras.layers.Conv2D(3, 1, activation="softmax")(inside))
    model.save(tmp_path / "pixels.keras")
    np.savez(tmp_path / "pictures.npz", x=x)
    (run,) = finished(
        queue, str(tmp_path / "pixels.keras"), str(tmp_path / "pictures.npz"),
        "structured_pruning(amount=0.25, epochs=1, min_steps=0)+float32",
    )  # fmt: skip
    assert run.failure is None, run.failure
    assert 0 < measurements_of(queue.history, run)["output_change"].value < 0.5


def test_an_autoencoder_is_trained_and_measured_on_what_it_gives_back(queue: JobQueue, tmp_path: Path) -> None:
    import keras
    import numpy as np

    random = np.random.default_rng(3)
    x = (random.standard_normal((400, 3)) @ random.standard_normal((3, 12))).astype("float32")
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3), keras.layers.Dense(12)])
    model.compile("adam", "mse")
    model.fit(x, x, epochs=30, verbose=0)
    model.save(tmp_path / "autoencoder.keras")
    np.savez(tmp_path / "signals.npz", x=x)
    plain, pruned, int8 = finished(
        queue, str(tmp_path / "autoencoder.keras"), str(tmp_path / "signals.npz"),
        "float32", "magnitude_pruning(target_sparsity=0.3, learning_rate=3e-3)", "int8",
    )  # fmt: skip
    errors = [measurements_of(queue.history, r)["reconstruction_error"].value for r in (plain, pruned, int8)]
    assert all(0 < error < float(np.var(x)) for error in errors)
    data = np.load(tmp_path / "signals.npz")["x"]
    assert errors[0] == pytest.approx(float(np.mean((model.predict(data, verbose=0) - data) ** 2)), rel=0.3)
