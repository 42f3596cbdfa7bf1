"""What answers are worth: the mean is the headline metric, and paired differences are honest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizers import registry
from optimizers.answers import interval, paired, worth
from optimizers.declarations import Evidence
from optimizers.errors import NotApplicable

RNG = np.random.default_rng(11)
N = 200
CASES = {
    "classification": ("accuracy", RNG.random((N, 4)), RNG.integers(0, 4, N)),
    "binary": ("accuracy", RNG.random(N), RNG.integers(0, 2, N)),
    "multilabel": ("f1_micro", RNG.random((N, 4)), RNG.integers(0, 2, (N, 4))),
    "segmentation": ("mean_iou", RNG.random((N, 5, 4, 3)), RNG.integers(0, 3, (N, 5, 4))),
    "regression": ("r2", RNG.normal(size=(N, 3)), RNG.normal(size=(N, 3))),
    "reconstruction": ("reconstruction_error", RNG.random((N, 3, 2)), RNG.random((N, 3, 2))),
    "fidelity": ("agreement", RNG.random((N, 3)), RNG.random((N, 3))),
}


@pytest.mark.parametrize("task", CASES)
def test_the_mean_is_the_headline_metric(task) -> None:
    name, scores, y = CASES[task]
    expected = registry.metric(name).measure(Evidence(Path(__file__), task, scores, y))
    assert worth(scores, y, task).mean == pytest.approx(expected.value)
    headline = next(m for m in registry.metrics().values() if m.needs == "predictions" and task in m.tasks)
    assert headline.name == name
    assert headline.direction == worth(scores, y, task).better


def test_outputs_that_are_no_classes_are_held_against_their_spread() -> None:
    scores, y = RNG.random((N, 1)), RNG.random((N, 1))
    expected = registry.metric("output_change").measure(Evidence(Path(__file__), "fidelity", scores, y)).value
    assert worth(scores, y, "fidelity").mean == pytest.approx(expected)
    with pytest.raises(NotApplicable, match="the same to every example"):
        worth(scores, np.ones((N, 1)), "fidelity")
    with pytest.raises(NotApplicable, match="shape"):
        worth(scores, np.ones((N, 2)), "fidelity")


def test_paired_intervals_cover_a_known_difference() -> None:
    rng, covered, trials = np.random.default_rng(5), 0, 600
    for _ in range(trials):
        reference = rng.random(300) < 0.9
        own = np.where(rng.random(300) < 0.05, ~reference, reference)  # changes one answer in twenty
        found = paired(own, reference)
        covered += found.low <= -0.04 <= found.high
    assert 0.92 <= covered / trials <= 0.99


def test_no_change_is_not_proven_to_be_none() -> None:
    found = paired(np.ones(50), np.ones(50))
    assert found.value == 0
    assert found.low < 0 < found.high
    assert not found.proven
    wider = paired(np.ones(50), np.ones(50), 0.999)
    assert wider.low < found.low


def test_intervals_of_single_figures_are_those_of_the_metrics() -> None:
    for task in ("classification", "reconstruction"):
        name, scores, y = CASES[task]
        expected = registry.metric(name).measure(Evidence(Path(__file__), task, scores, y))
        low, high = interval(worth(scores, y, task).values)
        assert low <= expected.low + 1e-12
        assert high >= expected.high - 1e-12
        assert high - low == pytest.approx(expected.high - expected.low, rel=0.1)


def test_numbers_that_are_all_the_same_differ_by_nothing_for_sure():
    same = paired(np.array([0.2, 3.0, 7.5]), np.array([0.2, 3.0, 7.5]))
    assert (same.value, same.low, same.high) == (0, 0, 0)
    counted = paired(np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0]))
    assert counted.low < 0 < counted.high  # another example might be answered otherwise
