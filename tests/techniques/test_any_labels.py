"""Several labels, a class at every position and several numbers: every technique that trains does so on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers import registry
from optimizers.answers import worth
from optimizers.declarations import Part, StageContext, TrainingData
from optimizers.errors import NotApplicable
from optimizers.litert.interpreter import predict
from optimizers.records import Task
from optimizers.techniques._training import TrainingParams
from optimizers.tf import feeding, train
from optimizers.tf.build import load_working, save_working
from optimizers.tf.objective import objective
from tests.techniques.conftest import Applied
from tests.techniques.networks import digits

Apply = Callable[..., Applied]
LABELS: tuple[Task, ...] = ("multilabel", "segmentation", "regression")
ENOUGH: dict[Task, int] = {"multilabel": 6, "segmentation": 6, "regression": 80}
LONG: dict[Task, dict[str, float]] = {
    "multilabel": {"epochs": 30},
    "segmentation": {"epochs": 30},
    "regression": {"epochs": 120, "learning_rate": 2e-3},
}
"""Epochs of teachers, and trainings of students."""
SEEING_DATA = sorted(name for name, t in registry.techniques().items() if t.needs and "keras" in t.accepts)


@cache
def data(task: Task) -> TrainingData:
    """Digits with other labels: four truths about each, its ink, or sums over its rows."""
    made = []
    for part in (digits().train, digits().validation):
        x, y = part.x[:300], part.y[:300]
        truths = np.stack([y % 2 == 0, y > 4, y % 3 == 0, y == 0], axis=1).astype(np.uint8)
        ink = (x[..., 0] > 0.4).astype(np.uint8)
        sums = x.sum(axis=(2, 3))[:, 2:7]
        made.append(Part(x, {"multilabel": truths, "segmentation": ink, "regression": sums}[task]))
    classes = {"multilabel": ("even", "large", "of three", "zero"), "segmentation": ("paper", "ink")}
    return TrainingData(made[0], made[1], task, classes.get(task, ()))


@cache
def network(task: Task, logits: bool = False, epochs: int = 6) -> Any:
    """A small network, trained a little; one that estimates begins far from the mean of its numbers."""
    tf_keras.utils.set_random_seed(3)
    layers = tf_keras.layers
    given = layers.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(given)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    if task == "segmentation":
        small = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.MaxPooling2D()(x))
        x = layers.Concatenate()([x, layers.UpSampling2D()(small)])
        out = layers.Conv2D(1, 1, activation=None if logits else "sigmoid")(x)
    else:
        x = layers.Dense(24, activation="relu")(layers.Flatten()(layers.MaxPooling2D()(x)))
        out = layers.Dense(4 if task == "multilabel" else 5, activation="sigmoid" if task == "multilabel" else None)(x)
    model = tf_keras.Model(given, out)
    tuned(model, data(task), epochs=epochs, learning_rate=3e-3)
    return model


def tuned(model: Any, data: TrainingData, source: Path = Path(), **given: Any) -> train.Training:
    context = StageContext(source, Path(), lambda: data, 7, lambda *_, **__: None, lambda _: None)
    return train.tune(model, context, TrainingParams(**{"epochs": 2, "min_steps": 0, **given}))


def quality(answers: np.ndarray, task: Task) -> float:
    return worth(answers, data(task).validation.y, task).mean


@pytest.mark.slow
@pytest.mark.parametrize("task", LABELS)
@pytest.mark.parametrize("name", SEEING_DATA)
def test_every_technique_that_sees_data_works_on_all_kinds_of_labels(
    name: str, task: Task, apply: Apply, tmp_path: Path
) -> None:
    save_working(network(task, epochs=ENOUGH[task]), tmp_path / "model.keras")
    declared = registry.technique(name)
    trains = issubclass(declared.params, TrainingParams)
    short = {"epochs": 3, "min_steps": 60, "learn_from": "both", "patience": 1} if trains else {}
    if name == "distillation":
        short = {"width": 0.5, "student": "scaled"} | LONG[task]
    done = apply(name, tmp_path / "model.keras", data(task), **short)
    if declared.produces == "keras_qat":
        done = apply("int8", done.main, data(task))
    x = data(task).validation.x
    answers = np.asarray(load_working(done.main)(x)) if declared.produces == "keras" else predict(done.main, x)
    before = quality(np.asarray(network(task, epochs=ENOUGH[task])(x)), task)
    assert quality(answers, task) > 0.6 * before


@pytest.mark.slow
@pytest.mark.parametrize("task", LABELS)
def test_the_compact_student_answers_in_the_same_shape(task: Task, apply: Apply, tmp_path: Path) -> None:
    save_working(network(task, epochs=ENOUGH[task]), tmp_path / "model.keras")
    done = apply("distillation", tmp_path / "model.keras", data(task), student="compact", **LONG[task])
    student = load_working(done.main)
    assert student.output_shape == network(task, epochs=ENOUGH[task]).output_shape
    assert quality(np.asarray(student(data(task).validation.x)), task) > 0.3


@pytest.mark.parametrize("task", LABELS)
def test_learning_from_oneself_starts_at_no_loss_and_from_labels_at_their_own(task: Task, tmp_path: Path) -> None:
    model = network(task)
    save_working(model, tmp_path / "source.keras")
    frozen = {"learning_rate": 1e-6, "epochs": 1}
    clone = load_working(tmp_path / "source.keras")
    clone.trainable = False
    alone = tuned(clone, data(task), tmp_path / "source.keras", learn_from="original", **frozen)
    assert alone.history["loss"][0] == pytest.approx(0, abs=1e-5)
    y, given = data(task).validation.y, np.asarray(model(data(task).validation.x)).reshape(300, -1)
    flat = y.reshape(300, -1).astype(float)
    expected = (
        np.square(given - flat).mean()
        if task == "regression"
        else -np.log(np.maximum(np.where(flat, given, 1 - given), 1e-7)).mean()
    )
    assert alone.history["val_loss"][0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("learn_from", ["labels", "original", "both"])
def test_positions_that_are_not_judged_weigh_nothing_in_any_loss(learn_from: str, classes: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, max(2, classes), (40, 8, 8)).astype(np.int16)
    left = random.random(y.shape) < 0.4
    left[:3] = True
    y[left] = -1
    part = Part(digits().train.x[:40], y)
    told = TrainingData(part, part, "segmentation", ("a", "b", "c")[: max(2, classes)])
    given = tf_keras.Input((8, 8, 1))
    out = tf_keras.layers.Conv2D(classes, 3, padding="same", activation="softmax" if classes > 1 else "sigmoid")(given)
    model = tf_keras.Model(given, out)
    save_working(model, tmp_path / "source.keras")
    context = StageContext(tmp_path / "source.keras", Path(), lambda: told, 0, lambda *_, **__: None, print)
    goal = objective(model, context, TrainingParams(learn_from=learn_from, temperature=2.0))
    answers = tf.Variable(random.dirichlet(np.ones(3), y.shape) if classes > 1 else random.random((*y.shape, 1)))
    with tf.GradientTape() as tape:
        loss = goal.loss(goal.train_targets, tf.cast(answers, tf.float32))
    moved = np.abs(tape.gradient(loss, answers).numpy()).max(axis=-1)
    assert (moved[left] == 0).all()
    assert (moved[~left] > 0).mean() > 0.99
    p = answers.numpy() if classes > 1 else np.concatenate([1 - answers.numpy(), answers.numpy()], axis=-1)
    own = -np.log(np.take_along_axis(p, np.maximum(y, 0)[..., None], axis=-1)[..., 0][~left]).mean()
    assert float(goal.loss(goal.validation_targets, tf.cast(answers, tf.float32))) == pytest.approx(own, rel=1e-4)
    goal.metrics[0].update_state(tf.constant(goal.validation_targets), tf.cast(answers, tf.float32))
    assert float(goal.metrics[0].result()) == pytest.approx((p.argmax(axis=-1) == y)[~left].mean())
    training = tuned(model, told, tmp_path / "source.keras", learn_from=learn_from, augmentation="shift_flip")
    assert np.isfinite(training.history["val_loss"]).all()


def test_logits_are_trained_as_probabilities_are() -> None:
    losses = []
    for logits in (False, True):
        model = network("segmentation", logits)
        context = StageContext(Path(), Path(), lambda: data("segmentation"), 0, lambda *_, **__: None, print)
        goal = objective(model, context, TrainingParams())
        assert goal.loss.get_config()["from_logits"] == logits
        losses.append(tuned(model, data("segmentation")).history["val_accuracy"][-1])
    assert losses == pytest.approx([losses[0]] * 2, abs=0.05)


def test_masks_move_with_their_images_also_where_a_teacher_looks_on(tmp_path: Path) -> None:
    part = data("segmentation").train
    params = TrainingParams(augmentation="shift_flip", batch_size=100)
    context = StageContext(Path(), Path(), lambda: data("segmentation"), 0, lambda *_, **__: None, print)
    goal = objective(network("segmentation"), context, params)
    x, y = feeding.feed(data("segmentation"), params, goal, 0).x[0]
    np.testing.assert_array_equal(x[..., 0] > 0.4, y.reshape(-1, 8, 8))
    assert (x != part.x[:100]).any()
    save_working(network("segmentation"), tmp_path / "source.keras")
    told = tuned(load_working(tmp_path / "source.keras"), data("segmentation"), tmp_path / "source.keras",
                 augmentation="shift_flip", learn_from="both", patience=1, monitor="val_metric")  # fmt: skip
    assert told.history["val_accuracy"][-1] > 0.8


def test_what_labels_of_this_kind_do_not_allow_is_refused_in_words() -> None:
    with pytest.raises(NotApplicable, match="one class per example"):
        tuned(network("multilabel"), data("multilabel"), class_weights="balanced")
    wide = TrainingData(data("segmentation").train, data("segmentation").validation, "multilabel", ())
    with pytest.raises(NotApplicable, match="4 labels for an example; the model gives 64 numbers"):
        tuned(network("segmentation"), TrainingData(data("multilabel").train, wide.validation, "multilabel", ()))
    ink = data("segmentation")
    half = TrainingData(Part(ink.train.x, ink.train.y[:, ::2]), ink.validation, "segmentation", ink.classes)
    with pytest.raises(NotApplicable, match="cannot be shifted alike"):
        feeding.feed(half, TrainingParams(augmentation="shift"), None, 0)  # type: ignore[arg-type]
