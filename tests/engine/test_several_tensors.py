"""Models with several inputs and outputs: converted, trained, measured and compared as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizers.datasets import drawn
from optimizers.declarations import Dataset
from optimizers.engine.analysing import Question, analyse
from optimizers.engine.lattice import lattice
from optimizers.engine.queue import JobQueue
from optimizers.engine.racing import Racer, race
from optimizers.engine.tasks import adapted
from optimizers.history.frames import comparison, differences_of, headline, measurements_of
from optimizers.litert.interpreter import predict
from optimizers.live.given import Numbered
from optimizers.recipe import parse
from optimizers.records import Run
from optimizers.report.pack import write
from optimizers.report.verification import verify

FIDELITY = {"agreement", "output_change"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``both.keras`` takes an image and words and gives two outputs, ``outputs.keras`` takes one input."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(4)
    folder = tmp_path_factory.mktemp("models")
    image, words = keras.Input((8, 8, 1), name="image"), keras.Input((5,), dtype="int32", name="words")
    seen = layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(image))
    read = layers.Flatten()(layers.Embedding(50, 8)(words))
    both = layers.Dense(32, activation="relu")(layers.Concatenate()([seen, read]))
    heads = [layers.Dense(4, activation="softmax", name="kind")(both), layers.Dense(2, name="place")(both)]
    keras.Model([image, words], heads).save(folder / "both.keras")
    x = keras.Input((12,))
    both = layers.Dense(48, activation="relu")(x)
    keras.Model(x, [layers.Dense(3)(both), layers.Dense(1)(both)]).save(folder / "outputs.keras")
    return folder


def finished(queue: JobQueue, model: str, data: str, *recipes: str) -> list[Run]:
    runs = queue.submit(model, data, [parse(recipe) for recipe in recipes])
    queue.wait([run.id for run in runs])
    return [queue.history.run(run.id) for run in runs]


@pytest.mark.slow  # several outputs on examples of one's own go the same way
def test_several_inputs_and_outputs_without_data(queue: JobQueue, folder: Path) -> None:
    model = str(folder / "both.keras")
    data = drawn.for_model(queue.driver.inspect_model(model)[1])
    assert data == "drawn:8x8x1/0..1,5/int32/0..49"
    float16, int8, few, pruned = finished(
        queue, model, data, "float16", "int8", "low_bit(bits=int8)", "magnitude_pruning+int8"
    )
    found = [measurements_of(queue.history, run) for run in (float16, int8, few)]
    assert all({"size_bytes", "latency_ms"} | FIDELITY <= set(measured) for measured in found)
    change = [measured["output_change"].value for measured in found]
    assert 0 < change[0] < change[1] < 0.1
    assert 0 < change[2] < 0.1
    assert found[0]["agreement"].value > 0.98
    assert pruned.failure is not None
    assert "from random inputs nothing can be learned" in pruned.failure.message


@pytest.mark.slow  # each step by itself is tried with the techniques
def test_several_inputs_and_outputs_are_trained_on_examples_of_ones_own(queue: JobQueue, folder: Path) -> None:
    random, file = np.random.default_rng(0), folder / "both.npz"
    np.savez(file, x_words=random.integers(0, 50, (200, 5)), x_image=random.random((200, 8, 8, 1), np.float32))
    recipe = "magnitude_pruning(epochs=1, min_steps=0)+quantization_aware_training(epochs=1, min_steps=0)"
    (run,) = finished(queue, str(folder / "both.keras"), str(file), recipe)
    assert run.failure is None, run.failure
    assert 0 < measurements_of(queue.history, run)["output_change"].value < 3


@pytest.mark.slow
def test_the_file_of_such_a_model_is_one_too(queue: JobQueue, folder: Path) -> None:
    model = str(folder / "both.keras")
    data = drawn.for_model(queue.driver.inspect_model(model)[1])
    (mixed,) = finished(queue, model, data, "mixed_precision(target=0.6)")
    assert 0 < measurements_of(queue.history, mixed)["output_change"].value < 0.2
    artifact = queue.store.get(mixed.baseline_key)
    assert artifact is not None
    brought = folder / "both.tflite"
    brought.write_bytes(queue.store.path(artifact).read_bytes())
    _, summary = queue.driver.inspect_model(str(brought))
    assert drawn.for_model(summary) == data, "the file tells the same ranges as the model that it was made from"
    as_it_is, few = finished(queue, str(brought), data, "float32", "low_bit(bits=int8)")
    assert as_it_is.artifact_digest == mixed.baseline_digest
    measured = measurements_of(queue.history, few)
    assert set(measured) >= FIDELITY
    assert 0 < measured["output_change"].value < 0.1
    assert measured["size_bytes"].value < measurements_of(queue.history, as_it_is)["size_bytes"].value / 2


def test_several_outputs_on_examples_of_ones_own(queue: JobQueue, folder: Path) -> None:
    file = folder / "examples.npz"
    np.savez(file, x=np.random.default_rng(0).normal(3, 2, (300, 12)).astype(np.float32))
    (int8,) = finished(queue, str(folder / "outputs.keras"), str(file), "int8")
    measured = measurements_of(queue.history, int8)
    assert "agreement" not in measured, "one of the outputs is a single number, which decides nothing"
    assert "accuracy" not in measured
    assert 0 < measured["output_change"].value < 0.1


def test_labels_are_read_by_the_names_of_the_outputs_and_may_be_missing(queue: JobQueue, folder: Path) -> None:
    model, random = str(folder / "outputs.keras"), np.random.default_rng(0)
    kind, number = (spec.name for spec in queue.driver.inspect_model(model)[1].outputs)  # as Keras called them
    x = random.normal(3, 2, (300, 12)).astype(np.float32)
    file = folder / "labelled.npz"
    np.savez(file, x=x, **{f"y_{kind}": x[:, :3].argmax(axis=1)})
    (int8,) = finished(queue, model, str(file), "int8")
    assert int8.failure is None
    measured, changes = measurements_of(queue.history, int8), differences_of(queue.history, int8)
    assert {"mean_quality", f"{kind}/accuracy", f"{number}/output_change"} <= set(measured)
    assert not {f"{number}/r2", "accuracy", "agreement", f"{number}/accuracy"} & set(measured)
    assert 0 < measured[f"{number}/output_change"].value < 0.2
    assert f"{kind}/accuracy" in changes
    frame = comparison(queue.history, [int8.id])
    assert headline(frame) == "mean_quality"
    base = frame[frame["is_baseline"]].iloc[0]
    assert base[f"{number}/output_change"] == 0
    answers = predict(queue.store.path(queue.store.get(int8.baseline_key)), data_of(queue, int8).test.x)  # type: ignore[arg-type]
    right = (answers[:, :3].argmax(axis=1) == data_of(queue, int8).test.y[kind]).mean()
    assert base[f"{kind}/accuracy"] == pytest.approx(right)


def data_of(queue: JobQueue, run: Run) -> Dataset:
    """The data as the model takes them."""
    return adapted(run.dataset.uri, queue.driver.inspect_model(run.model.uri)[1])


@pytest.mark.slow
def test_labels_of_all_outputs_are_learned_looked_into_and_verified(
    queue: JobQueue, heads: Path, tmp_path: Path
) -> None:
    recipes = [
        "magnitude_pruning(epochs=2, min_steps=0)+int8", "structured_pruning(amount=0.2, epochs=2, min_steps=0)+int8",
        "weight_clustering(epochs=1, min_steps=0)+int8", "low_rank(epochs=1, min_steps=0)+int8",
        "quantization_aware_training(epochs=1, min_steps=0)+int8", "mixed_precision(target=0.7)", "low_bit",
        "distillation(epochs=25, min_steps=0, width=0.6)+float16",
    ]  # fmt: skip
    runs = finished(queue, str(heads), str(heads.with_suffix(".npz")), *recipes)
    assert [run.failure for run in runs] == [None] * len(runs)
    for run in runs:
        measured = measurements_of(queue.history, run)
        found = [measured[name].value for name in ("digit/accuracy", "even/accuracy", "ink/r2")]
        assert min(found) > 0.6, (run.recipe, found)
    for what in ("flips", "confusion", "sensitivity", "corruptions"):
        report, _ = analyse(queue.driver, Question(runs[0], what, {}))
        assert report.sentences
    about, _ = analyse(queue.driver, Question(runs[0], "flips", {"output": "ink"}))
    assert about.sentences[0].text.startswith("This is about the output ink.")
    assert lattice(queue.driver, runs[0]).variants
    for with_data in (True, False):
        pack = tmp_path / f"pack-{with_data}.zip"
        write(queue.driver, [run.id for run in runs[:2]], pack, with_data=with_data)
        _, checks = verify(queue.driver, pack, data="" if with_data else str(heads.with_suffix(".npz")))
        assert {check.verdict for check in checks} == {"agrees"}
    outcome = race(queue.driver, [Racer(runs[0], is_baseline=True), Racer(runs[0])], Numbered(number=3))
    assert [one.output for one in outcome.answers[0].said] == ["digit", "even", "ink"]
    assert set(outcome.truths) == {"digit", "even", "ink"}


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that tells the digit, whether it is even and how much ink there is, its data beside it."""
    import keras
    from keras import layers
    from sklearn.datasets import load_digits

    keras.utils.set_random_seed(4)
    folder = tmp_path_factory.mktemp("heads")
    x, y = load_digits(return_X_y=True)
    x = (x / 16).reshape(-1, 8, 8, 1).astype(np.float32)
    image = keras.Input((8, 8, 1), name="image")
    seen = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(image)
    seen = layers.Dense(48, activation="relu")(layers.Flatten()(seen))
    model = keras.Model(image, [
        layers.Dense(10, name="digit")(seen), layers.Dense(1, activation="sigmoid", name="even")(seen),
        layers.Dense(1, name="ink")(seen),
    ])  # fmt: skip
    labels = {"digit": y, "even": (y % 2 == 0).astype(int), "ink": 100 * x.mean(axis=(1, 2, 3))}
    losses = [keras.losses.SparseCategoricalCrossentropy(from_logits=True), "binary_crossentropy", "mse"]
    model.compile(keras.optimizers.Adam(3e-3), losses, loss_weights=[1, 1, 0.05])
    model.fit(x[:1200], [part[:1200] for part in labels.values()], epochs=15, verbose=0)
    model.save(folder / "heads.keras")
    np.savez(folder / "heads.npz", x=x, **{f"y_{name}": part for name, part in labels.items()})
    return folder / "heads.keras"


@pytest.mark.slow
def test_several_inputs_with_examples_are_measured_by_their_labels(queue: JobQueue, folder: Path) -> None:
    import keras
    from keras import layers

    random = np.random.default_rng(0)
    x_left, x_right = random.normal(0, 1, (2, 300, 4)).astype(np.float32)
    inputs = [keras.Input((4,), name="right"), keras.Input((4,), name="left")]
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Concatenate()(inputs)))
    weights = np.repeat([[-5.0, 5.0], [5.0, -5.0]], 4, axis=0)
    model.set_weights([weights, np.zeros(2)])
    model.save(folder / "larger.keras")
    np.savez(folder / "pairs.npz", x_left=x_left, x_right=x_right, y=(x_right.sum(1) > x_left.sum(1)).astype(int))
    (int8,) = finished(queue, str(folder / "larger.keras"), str(folder / "pairs.npz"), "int8")
    assert measurements_of(queue.history, int8)["accuracy"].value > 0.9
