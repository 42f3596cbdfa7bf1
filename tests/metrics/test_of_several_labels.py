"""Metrics of several labels, classes of positions and several numbers against scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from optimizers import registry
from optimizers.answers import probabilities
from optimizers.declarations import Evidence, Value
from optimizers.errors import NotApplicable

RNG = np.random.default_rng(8)
N = 120


def measure(name: str, task: Any, scores: np.ndarray, y: np.ndarray, n: int = N) -> Value:
    found = registry.metric(name).measure(Evidence(Path(__file__), task, scores, y))
    assert found.n == n, "examples are what counts, not their labels or positions"
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    return found


def labels() -> tuple[np.ndarray, np.ndarray]:
    y = (RNG.random((N, 6)) < np.array([0.5, 0.3, 0.3, 0.2, 0.1, 0.0])).astype(np.uint8)
    return np.clip(0.6 * y + 0.4 * RNG.random((N, 6)) + 0.1 * RNG.standard_normal((N, 6)), 0, 1), y


def test_figures_of_several_labels_equal_scikit_learns() -> None:
    p, y = labels()
    said, occurs = p > 0.5, y.any(axis=0)
    clipped = np.clip(np.where(y, p, 1 - p), float(np.finfo(np.float32).eps), 1)
    wanted = {
        "f1_micro": sk.f1_score(y, said, average="micro"),
        "f1": sk.f1_score(y[:, occurs], said[:, occurs], average="macro"),
        "hamming_accuracy": 1 - sk.hamming_loss(y, said),
        "exact_match": sk.accuracy_score(y, said),
        "auc": sk.roc_auc_score(y[:, occurs], p[:, occurs], average="macro"),
        "log_loss": -np.log(clipped).mean(),
    }
    for name, value in wanted.items():
        assert measure(name, "multilabel", p, y).value == pytest.approx(value), name
    fitting = {n for n, m in registry.metrics().items() if m.needs == "predictions" and "multilabel" in m.tasks}
    assert fitting == set(wanted)


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("classes", [1, 2, 4])
def test_figures_of_positions_equal_scikit_learns_over_those_that_count(classes: int, ignored: bool) -> None:
    y = RNG.integers(0, max(2, classes), (N, 5, 4)).astype(np.uint8)
    if classes == 1:
        scores = np.clip(0.5 * y + 0.5 * RNG.random(y.shape), 0, 1)[..., None]
        said = scores[..., 0] > 0.5
    else:
        logits = RNG.standard_normal((*y.shape, classes)) + 1.5 * np.eye(classes)[y]
        scores = probabilities(logits, "segmentation", "linear")
        assert scores.sum(axis=-1) == pytest.approx(1)
        said = scores.argmax(axis=-1)
    judged = ~((RNG.random(y.shape) < 0.3) if ignored else np.zeros(y.shape, bool))
    judged[: 7 * ignored] = False
    y = np.where(judged, y.astype(np.int16), -1)
    flat, told, each = y[judged], said[judged], scores[judged]
    wanted = {
        "mean_iou": sk.jaccard_score(flat, told, average="macro", labels=np.unique(flat)),
        "position_accuracy": sk.accuracy_score(flat, told),
        "log_loss": sk.log_loss(flat, each[:, -classes:]),
    }
    otherwise = np.where(judged[..., None], scores, RNG.permutation(scores, axis=-1) if classes > 1 else 1 - scores)
    worse = np.clip(otherwise * 0.8, 0, 1)
    for name, value in wanted.items():
        assert measure(name, "segmentation", scores, y, N - 7 * ignored).value == pytest.approx(value), name
        assert measure(name, "segmentation", otherwise, y, N - 7 * ignored).value == pytest.approx(value), name
        compare = registry.metric(name).change
        assert compare is not None
        change = compare(Evidence(Path(), "segmentation", worse, y, baseline_scores=scores))
        less = registry.metric(name).measure(Evidence(Path(), "segmentation", worse, y)).value
        assert (change.n, change.value) == (N - 7 * ignored, pytest.approx(less - value))
        assert change.low <= change.value <= change.high


def test_where_no_position_counts_there_is_no_figure() -> None:
    y = np.full((N, 4), -1, np.int16)
    for name in ("mean_iou", "position_accuracy", "log_loss"):
        with pytest.raises(NotApplicable, match="In none of these examples a position counts"):
            measure(name, "segmentation", np.full((N, 4, 3), 1 / 3), y)


def test_figures_of_several_numbers_equal_scikit_learns_and_constant_ones_are_left_out() -> None:
    y = RNG.normal(5, [1, 3, 10, 2], (N, 4)).astype(np.float32)
    own = y + RNG.normal(0, 1, y.shape)
    assert measure("r2", "regression", own, y).value == pytest.approx(sk.r2_score(y, own))
    assert measure("mae", "regression", own, y).value == pytest.approx(sk.mean_absolute_error(y, own))
    shaped = own.reshape(N, 2, 2)
    assert measure("r2", "regression", shaped, y) == measure("r2", "regression", own, y)
    assert measure("rmse", "regression", shaped, y).value == pytest.approx(sk.mean_squared_error(y, own) ** 0.5)
    y[:, 1] = 7
    assert measure("r2", "regression", own, y).value == pytest.approx(sk.r2_score(y[:, [0, 2, 3]], own[:, [0, 2, 3]]))
    with pytest.raises(NotApplicable, match="An example has 4 numbers to estimate, the file gives 3"):
        measure("r2", "regression", own[:, :3], y)


def test_positions_of_an_example_are_not_counted_as_if_they_were_examples() -> None:
    """Where a whole example is right or wrong, a thousand positions tell no more than one."""
    right = RNG.random(N) < 0.8
    y = np.zeros((N, 1000), np.uint8)
    y[:, 500:] = 1
    said = np.where(right[:, None], y, 1 - y).astype(float)
    found = measure("position_accuracy", "segmentation", said[..., None], y)
    alone = registry.metric("accuracy").measure(Evidence(Path(), "binary", right.astype(float), np.ones(N)))
    assert found.value == alone.value
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.03)  # type: ignore[operator]
