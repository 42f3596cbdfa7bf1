"""Training settings do what they say: optimizers, augmentation, class weights, early stopping, recovery."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from optimizers.datasets.several import joined
from optimizers.declarations import Part, StageContext, TrainingData
from optimizers.engine.driver import check_classes, check_examples
from optimizers.errors import NotApplicable
from optimizers.recipe import parse
from optimizers.records import DatasetSummary, ModelSummary, TensorSpec
from optimizers.techniques._training import TrainingParams
from optimizers.tf import feeding, masks, train
from optimizers.tf.build import save_working
from tests.techniques.networks import built, digits


def fresh(name: str = "dense") -> Any:
    model = tf_keras.models.clone_model(built(name))
    model.set_weights(built(name).get_weights())
    return model


def tuned(model: Any, data: TrainingData, source: Path = Path(), **given: Any) -> train.Training:
    context = StageContext(source, Path(), lambda: data, 7, lambda *_, **__: None, lambda _: None)
    return train.tune(model, context, TrainingParams(**{"epochs": 3, "min_steps": 0, **given}))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_learns(optimizer: str) -> None:
    history = tuned(fresh(), digits(), optimizer=optimizer, learning_rate=3e-3).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize(
    "settings", [{"augmentation": "shift_flip"}, {"learn_from": "both"}, {"class_weights": "balanced"}]
)
def test_the_same_seed_gives_the_same_weights(settings: dict[str, Any], tmp_path: Path) -> None:
    save_working(built("conv"), tmp_path / "source.keras")
    results = []
    for _ in range(2):
        model = fresh("conv")
        tuned(model, digits(), tmp_path / "source.keras", **settings)
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "sgd"}, {"augmentation": "noise"}, {"learn_from": "both"}, {"class_weights": "balanced"}],
)
def test_the_training_step_is_traced_once(settings: dict[str, Any], tmp_path: Path) -> None:
    save_working(built("conv"), tmp_path / "source.keras")
    model = fresh("conv")
    tuned(model, digits(), tmp_path / "source.keras", **settings)
    assert len(digits().train) % TrainingParams().batch_size, "the last batch is smaller"
    assert model.train_tf_function.experimental_get_tracing_count() == 1


def test_early_stopping_goes_back_to_the_best_epoch_even_at_the_end() -> None:
    data = digits()
    model = fresh("conv")
    training = tuned(model, data, epochs=6, patience=5, learning_rate=2e-2)
    told = training.figures["early_stopping"]
    losses = training.history["val_loss"]
    assert told["stopped_epoch"] is None or told["stopped_epoch"] == len(losses)
    assert told["best_epoch"] == int(np.argmin(losses)) + 1
    loss = tf_keras.losses.SparseCategoricalCrossentropy()
    now = float(loss(data.validation.y, model(data.validation.x, training=False)))
    assert now == pytest.approx(told["best_value"], rel=1e-3)


def test_early_stopping_stops_and_says_when() -> None:
    data = digits()
    random = np.random.default_rng(0)
    hopeless = Part(data.validation.x, random.integers(0, 10, len(data.validation)))
    training = tuned(
        fresh("conv"), TrainingData(data.train, hopeless, data.task, data.classes), epochs=30, patience=2,
        monitor="val_metric", learning_rate=3e-3,
    )  # fmt: skip
    stopped = training.figures["early_stopping"]["stopped_epoch"]
    assert stopped < 30
    assert training.figures["epochs"] == stopped
    assert any(f"Stopped early after epoch {stopped} of 30" in note for note in training.notes)


def test_small_improvements_do_not_count() -> None:
    training = tuned(fresh(), digits(), epochs=20, patience=1, min_delta=1.0)
    assert training.figures["early_stopping"]["best_epoch"] == 1
    assert training.figures["epochs"] == 2


def test_without_validation_nothing_is_stopped_and_a_note_says_so() -> None:
    data = digits()
    alone = TrainingData(data.train, Part(data.validation.x[:0], data.validation.y[:0]), data.task, data.classes)
    training = tuned(fresh(), alone, patience=1)
    assert training.figures["epochs"] == 3
    assert "There are no validation examples, so nothing was stopped early." in training.notes


def test_balanced_weights_let_every_class_count_alike() -> None:
    data = digits()
    rare = np.flatnonzero((data.train.y != 3) | (np.arange(len(data.train)) < 60))
    uneven = TrainingData(Part(data.train.x[rare], data.train.y[rare]), data.validation, data.task, data.classes)
    weights = feeding.example_weights(uneven, TrainingParams(class_weights="balanced"))
    assert weights is not None
    sums = np.bincount(uneven.train.y, weights)
    np.testing.assert_allclose(sums, sums[0], rtol=1e-4)
    assert weights.mean() == pytest.approx(1, rel=1e-4)
    often = np.bincount(uneven.train.y)
    told = f"class {data.classes[often.argmin()]} counted {often.max() / often.min():.3g} times as much as one of class"
    for augmentation in ("none", "shift"):
        training = tuned(fresh("conv"), uneven, class_weights="balanced", augmentation=augmentation, epochs=1)
        assert sum(told in note for note in training.notes) == 1


def test_augmentation_varies_images_and_keeps_their_shape() -> None:
    images = digits().train.x[:40]
    random = np.random.default_rng(0)
    for kind in ("shift", "shift_flip", "noise"):
        varied = feeding.augmentation(kind, digits())(images, random)
        assert (varied.shape, varied.dtype) == (images.shape, images.dtype)
        assert (np.abs(varied - images).reshape(40, -1).max(axis=1) > 0).mean() > 0.7, kind


def test_a_shift_moves_the_picture_and_repeats_its_edge() -> None:
    picture = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
    shifted = feeding.augmentation("shift", digits())(np.repeat(picture, 200, axis=0), np.random.default_rng(0))
    found = {tuple(image[3, 3].tolist() + image[4, 4].tolist()) for image in shifted}
    assert len(found) == 9, "up to one pixel in each direction"


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"augmentation": "shift"}, "Only images"), ({"class_weights": "balanced"}, "need one class per example")],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    data = TrainingData(Part(x, x[:, 0]), Part(x, x[:, 0]), "regression", ())
    inputs = tf_keras.Input((4,))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1)(inputs))
    with pytest.raises(NotApplicable, match=words):
        tuned(model, data, **settings)


@pytest.mark.parametrize(
    ("augmentation", "inputs", "words"),
    [
        ("noise", [("int32", 1)], "Noise can only be added to decimal numbers"),
        ("noise", [("int32", 1), ("float32", 1)], ""),
        ("shift", [("float32", 1)], "Only images can be shifted"),
        ("shift_flip", [("float32", 3)], ""),
        ("none", [("int32", 1)], ""),
    ],
)
def test_what_cannot_be_varied_is_refused_before_anything_runs(
    augmentation: str, inputs: list[tuple[str, int]], words: str
) -> None:
    specs = tuple(TensorSpec(name="x", shape=(4,) * rank, dtype=dtype) for dtype, rank in inputs)
    model = ModelSummary(
        format="", keras_version="", inputs=specs, outputs=(), parameters=0, trainable_parameters=0, layers=()
    )
    data = DatasetSummary(task="binary", input_shape=(4,), input_dtype="", n_train=9, n_validation=9, n_test=9)
    recipe = parse(f"magnitude_pruning(augmentation={augmentation})")
    x = joined([np.zeros((9, *spec.shape), spec.dtype) for spec in specs])
    part = Part(x, np.arange(9) % 2)
    for refusing in (
        lambda: check_examples(recipe, model, data),
        lambda: augmentation == "none" or feeding.augmentation(augmentation, TrainingData(part, part, "binary", ())),
    ):
        with pytest.raises(NotApplicable, match=words) if words else nullcontext():
            refusing()


@pytest.mark.parametrize("task", ["regression", "multilabel", "fidelity", "segmentation"])
def test_class_weights_without_classes_are_refused_before_anything_runs(task: Any) -> None:
    recipe = parse("magnitude_pruning+weight_clustering(class_weights=balanced)")
    check_classes(recipe, "binary")
    with pytest.raises(NotApplicable, match="one class per example"):
        check_classes(recipe, task)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_learning_from_an_equal_teacher_starts_at_no_loss(activation: str | None, tmp_path: Path) -> None:
    inputs = tf_keras.Input((8, 8, 1))
    x = tf_keras.layers.Flatten()(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(10, activation=activation)(x))
    save_working(model, tmp_path / "same.keras")
    history = tuned(
        model, digits(), tmp_path / "same.keras", learn_from="original", epochs=1, learning_rate=1e-6
    ).history
    assert abs(history["loss"][0]) < 1e-4


def test_recovery_keeps_zeros_where_they_are_held() -> None:
    model = fresh("conv")
    kernel = model.get_layer("conv2").kernel
    kernel.assign(kernel * (np.abs(kernel) > 0.05))
    before = (kernel.numpy() == 0).mean()
    assert before > 0.2
    context = StageContext(Path(), Path(), digits, 7, lambda *_, **__: None, lambda _: None)
    train.tune(model, context, TrainingParams(epochs=1), callbacks=[masks.KeepZeros(model)])
    assert (kernel.numpy() == 0).mean() == pytest.approx(before)
