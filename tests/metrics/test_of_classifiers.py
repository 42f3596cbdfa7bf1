"""Metrics of classifiers against scikit-learn, and what they say where they have no meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from optimizers import registry
from optimizers.answers import probabilities
from optimizers.declarations import Evidence, Value
from optimizers.engine.evaluation import evaluated
from optimizers.errors import NotApplicable

FILE = Path(__file__)


def answers(classes: int, n: int = 300, seed: int = 0, sharp: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels that have something to do with each other; classes are not equally frequent."""
    rng = np.random.default_rng(seed)
    prior = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    y = rng.choice(classes, n, p=prior)
    logits = rng.standard_normal((n, classes)) + sharp * np.eye(classes)[y]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), y


def measure(name: str, scores: np.ndarray, y: np.ndarray, task: str = "classification") -> Value:
    found = registry.metric(name).measure(Evidence(FILE, task=task, scores=scores, y=y))  # type: ignore[arg-type]
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    return found


def test_figures_of_seven_classes_equal_scikit_learns() -> None:
    p, y = answers(7)
    said = p.argmax(axis=1)
    wanted = {
        "accuracy": sk.accuracy_score(y, said),
        "top5_accuracy": sk.top_k_accuracy_score(y, p, k=5),
        "balanced_accuracy": sk.balanced_accuracy_score(y, said),
        "f1": sk.f1_score(y, said, average="macro"),
        "auc": sk.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "log_loss": sk.log_loss(y, p),
    }
    for name, value in wanted.items():
        assert measure(name, p, y).value == pytest.approx(value), name


def test_figures_of_two_classes_equal_scikit_learns_from_one_column_and_from_two() -> None:
    p, y = answers(2)
    one = p[:, 1]
    wanted = {
        "balanced_accuracy": sk.balanced_accuracy_score(y, one > 0.5),
        "f1": sk.f1_score(y, one > 0.5),
        "auc": sk.roc_auc_score(y, one),
        "log_loss": sk.log_loss(y, one),
    }
    for name, value in wanted.items():
        assert measure(name, one, y, "binary").value == pytest.approx(value), name
        assert measure(name, p, y, "binary") == measure(name, one, y, "binary"), name


def test_classes_without_test_examples_are_left_out() -> None:
    p, y = answers(7, n=400)
    kept = y != 3
    p, y = p[kept], y[kept]
    said, present = p.argmax(axis=1), np.unique(y)
    assert (said == 3).any(), "the absent class is predicted now and then"
    assert measure("balanced_accuracy", p, y).value == pytest.approx(
        np.mean([(said == y)[y == k].mean() for k in present])
    )
    assert measure("f1", p, y).value == pytest.approx(sk.f1_score(y, said, labels=present, average="macro"))
    each = [sk.roc_auc_score(y == k, p[:, k]) for k in present]
    assert measure("auc", p, y).value == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    ("name", "scores", "y", "task", "words"),
    [
        ("top5_accuracy", np.eye(3), np.arange(3), "classification", "more than five classes; there are 3"),
        ("balanced_accuracy", np.eye(3), np.zeros(3, int), "classification", "at least two classes"),
        ("f1", np.array([0.1, 0.9]), np.zeros(2), "binary", "there are none"),
        ("log_loss", np.array([[3.0, -1.0]]), np.zeros(1, int), "classification", "needs probabilities"),
        ("log_loss", np.zeros((2, 3)), np.zeros(2, int), "classification", "probability of 0 for every class"),
        ("calibration_error", np.array([[3.0, -1.0]]), np.zeros(1, int), "classification", "from -1 to 3"),
    ],
)
def test_what_has_no_meaning_is_refused_in_words(name, scores, y, task, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotApplicable, match=words):
        measure(name, scores, y, task)


def test_a_file_that_says_0_of_the_truth_is_charged_a_finite_loss() -> None:
    p = np.array([[1.0, 0.0], [0.5, 0.5]])
    found = measure("log_loss", p, np.array([1, 0]))
    assert found.value == pytest.approx((-np.log(np.finfo(np.float32).eps) + np.log(2)) / 2)


def test_everything_right_is_not_taken_for_certain() -> None:
    y = np.arange(30) % 3
    for name in ("balanced_accuracy", "f1", "auc"):
        found = measure(name, np.eye(3)[y], y)
        assert found.value == found.high == 1.0
        assert found.low is not None
        assert 0.6 < found.low < 0.99, name


def test_calibration_of_the_overconfident_is_their_gap_and_of_the_calibrated_nothing() -> None:
    rng = np.random.default_rng(5)
    n, confidence = 4000, 0.95
    right = rng.random(n) < 0.8
    scores = np.full(n, confidence)
    overconfident = measure("calibration_error", scores, right.astype(int), "binary")
    assert overconfident.value == pytest.approx(confidence - right.mean(), abs=0.002)
    honest = rng.random(n)
    calibrated = measure("calibration_error", honest, (rng.random(n) < honest).astype(int), "binary")
    assert calibrated.low == 0.0
    assert calibrated.value < 0.02
    few = measure("calibration_error", honest[:60], (rng.random(60) < honest[:60]).astype(int), "binary")
    assert few.value < 0.1, "the usual estimate of 60 calibrated examples in 15 bins is about 0.15"


def test_logits_become_probabilities_where_the_model_ends_in_none() -> None:
    logits = np.array([[2.0, -1.0, 40.0], [0.1, 0.2, 0.3]], np.float32)
    softmax = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(axis=1, keepdims=True)
    for activation in ("linear", ""):
        np.testing.assert_allclose(probabilities(logits, "classification", activation), softmax)
    np.testing.assert_array_equal(probabilities(logits, "classification", "relu"), logits)
    np.testing.assert_array_equal(probabilities(softmax, "classification", "softmax"), softmax)
    np.testing.assert_array_equal(probabilities(logits, "regression", "linear"), logits)
    np.testing.assert_allclose(probabilities(np.array([-2.0, 3.0]), "binary", "linear"), [0.11920292, 0.95257413])
    np.testing.assert_allclose(probabilities(logits[:, :2], "binary", "linear").sum(axis=1), 1)


def test_an_evaluation_tells_why_figures_are_absent_and_compares_only_with_a_baseline() -> None:
    p, y = answers(3)
    alone = evaluated(Evidence(FILE, task="classification", scores=p, y=y), "a" * 64, "b" * 64, "c" * 64, "shared")
    assert "more than five classes" in alone.absent["top5_accuracy"]
    assert alone.differences == []
    assert {"size_bytes", "accuracy"} <= {m.metric for m in alone.measurements}
    other = answers(3, seed=1)[0]
    evidence = Evidence(FILE, task="classification", scores=other, y=y, baseline_scores=p)
    found = {d.metric: d for d in evaluated(evidence, "a" * 64, "b" * 64, "c" * 64, "shared").differences}
    assert {"accuracy", "balanced_accuracy", "f1", "auc", "log_loss", "calibration_error"} == set(found)
    assert found["accuracy"].baseline == pytest.approx(sk.accuracy_score(y, p.argmax(axis=1)))
    for name, d in found.items():
        gap = measure(name, other, y).value - measure(name, p, y).value
        assert d.value == pytest.approx(gap, abs=1e-9), name
        assert d.low <= d.floor <= d.value <= d.ceiling <= d.high, name


def test_figures_that_cannot_be_held_against_the_baseline_say_why() -> None:
    p, y = answers(3)
    broken = np.full_like(p, np.nan)
    evidence = Evidence(FILE, task="classification", scores=p, y=y, baseline_scores=broken)
    told = evaluated(evidence, "a" * 64, "b" * 64, "c" * 64, "shared")
    assert not told.differences
    assert told.uncompared["accuracy"].startswith("The baseline's figure is missing: the file predicts values")
    assert "accuracy" in {m.metric for m in told.measurements}
    assert set(told.uncompared).isdisjoint(told.absent)
