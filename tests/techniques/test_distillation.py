"""Students derived from teachers, and what they learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from optimizers.declarations import Part, StageContext, TrainingData
from optimizers.errors import NotApplicable
from optimizers.techniques.distillation import DistillationParams, apply
from optimizers.tf import cost, students
from optimizers.tf.build import load_working, save_working
from sample_models import architectures
from tests.techniques.networks import built, digits, held_out

Sources = Callable[[str], Path]
SHORT = {"epochs": 2, "min_steps": 0}


def distilled(source: Path, out: Path, data: TrainingData | None = None, **given: Any) -> tuple[Any, Any]:
    models = given.pop("models", {})
    out.mkdir()
    context = StageContext(source, out, lambda: data or digits(), 3, lambda *_, **__: None, print, models=models)
    report = apply(context, DistillationParams(**{**SHORT, **given}))
    return load_working(out / report.main), report


@pytest.mark.parametrize("name", ["digits_cnn", "digits_resnet", "digits_transformer", "fashion_mobilenet"])
def test_a_scaled_student_is_smaller_and_answers_in_the_same_form(name: str) -> None:
    teacher = getattr(architectures, name)(tf_keras)
    narrow, _ = students.scaled(teacher, 0.3, 1.0)
    shallow, _ = students.scaled(teacher, 1.0, 0.0)
    for student in (narrow, shallow):
        assert student.output_shape == teacher.output_shape
        assert student.input_shape == teacher.input_shape
        assert cost.macs(student) < 0.8 * cost.macs(teacher)
    assert len(narrow.layers) == len(teacher.layers)
    assert len(shallow.layers) < len(teacher.layers)


def test_depth_counts_the_blocks_that_repeat_a_shape() -> None:
    teacher = architectures.digits_transformer(tf_keras)  # four blocks: twice attention and twice a hidden layer
    lengths = [len(students.shallower(teacher, share)[0].layers) for share in (1.0, 0.75, 0.5, 0.25, 0.0)]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == 5
    assert students.shallower(teacher, 0.5)[1] == 4


def test_a_model_without_such_a_block_keeps_its_depth_and_says_so() -> None:
    _, notes = students.scaled(built("lstm"), 0.5, 0.5)
    assert notes == ("No block of this model repeats the shape of its input, so its depth stays.",)


def test_a_student_starts_afresh_but_keeps_what_was_adapted_to_data() -> None:
    norm = tf_keras.layers.Normalization(name="norm")
    norm.adapt(np.random.default_rng(0).normal(5, 3, (100, 6)).astype(np.float32))
    inputs = tf_keras.Input((6,))
    teacher = tf_keras.Model(inputs, tf_keras.layers.Dense(3, name="out")(norm(inputs)))
    student = students.untrained(teacher)
    np.testing.assert_allclose(student.get_layer("norm").mean, norm.mean)
    assert not np.allclose(student.get_layer("out").get_weights()[0], teacher.get_layer("out").get_weights()[0])


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (3, 3, 2), (16, 5), (49, 10), (9,)])
@pytest.mark.parametrize(
    ("units", "output"), [(10, "probabilities"), (1, "probabilities"), (1, "values"), (4, "logits")]
)
def test_the_compact_student_takes_what_the_teacher_takes(shape: tuple[int, ...], units: int, output: Any) -> None:
    inputs = tf_keras.Input(shape)
    teacher = tf_keras.Model(inputs, tf_keras.layers.Dense(units)(tf_keras.layers.Flatten()(inputs)))
    answers = np.asarray(students.compact(teacher, output)(np.ones((2, *shape), np.float32)))
    assert answers.shape == (2, units)
    if output == "probabilities":
        assert ((answers >= 0) & (answers <= 1)).all()


def test_teacher_outputs_are_computed_once(sources: Sources, tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    kept: dict[str, np.ndarray] = {}

    def remember(identity: dict[str, Any], compute: Callable[[], np.ndarray]) -> np.ndarray:
        asked.append(identity)
        key = str(identity)
        if key not in kept:
            kept[key] = compute()
        return kept[key]

    for number in range(2):
        out = tmp_path / str(number)
        out.mkdir()
        source = sources("conv")
        context = StageContext(source, out, digits, 3, lambda *_, **__: None, print, original=source, remember=remember)
        apply(context, DistillationParams(width=0.25 + 0.25 * number, **SHORT))
    assert len(asked) == 2
    assert len(kept) == 1
    want = np.asarray(built("conv")(digits().train.x, training=False))
    np.testing.assert_allclose(next(iter(kept.values())), want, atol=1e-5)


def test_answers_alone_teach_without_any_label(sources: Sources, tmp_path: Path) -> None:
    data = digits()
    wrong = Part(data.train.x, (data.train.y + 1) % 10)
    nonsense = TrainingData(wrong, data.validation, data.task, data.classes)
    student, report = distilled(
        sources("conv"), tmp_path / "a", nonsense, learn_from="original", width=0.75, epochs=25, learning_rate=3e-3
    )
    part = held_out()
    assert (np.asarray(student(part.x)).argmax(axis=1) == part.y).mean() > 0.6
    assert report.figures["learned_from"] == "original"


def test_labels_can_be_held_back(sources: Sources, tmp_path: Path) -> None:
    _, report = distilled(sources("conv"), tmp_path / "a", labelled=0.1)
    assert report.figures["labelled"] == pytest.approx(90, abs=5)


def test_own_students_and_teachers_are_taken(sources: Sources, tmp_path: Path) -> None:
    models = {"sample:student": sources("depthwise"), "sample:teacher": sources("dense")}
    student, report = distilled(
        sources("conv"), tmp_path / "a", student="own", model="sample:student", teacher="sample:teacher", models=models
    )
    assert [layer.name for layer in student.layers] == [layer.name for layer in built("depthwise").layers]
    assert report.figures["teacher"] == "dense"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"student": "own"}, "No student was chosen"),
        ({"width": 1.0}, "the original itself"),
        ({"student": "own", "model": "sample:gone"}, "is not here"),
    ],
)
def test_impossible_students_are_refused(given: dict[str, Any], words: str, sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match=words):
        distilled(sources("conv"), tmp_path / "a", **given)


def test_a_student_of_another_shape_is_refused(sources: Sources, tmp_path: Path) -> None:
    inputs = tf_keras.Input((4,))
    other = tmp_path / "other.keras"
    save_working(tf_keras.Model(inputs, tf_keras.layers.Dense(10)(inputs)), other)
    with pytest.raises(NotApplicable, match=r"shape \(4,\), the original of shape \(8, 8, 1\)"):
        distilled(sources("conv"), tmp_path / "a", student="own", model="s", models={"s": other})
