"""Paired differences, their intervals and certificates: published examples, other implementations, simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.measurement.intervals import (
    Population,
    classifier,
    coverage,
    masks,
    regression,
    several_labels,
    several_numbers,
    wrongly_certified,
)
from optimizers import registry
from optimizers.declarations import Evidence
from optimizers.errors import NotApplicable
from optimizers.metrics._paired import share_change, tango


def test_tangos_interval_is_that_of_published_examples() -> None:
    """Fagerland et al. (2014), "Recommended tests and confidence intervals for paired binomial proportions", and R's
    ``PropCIs::scoreci.mp(25, 28, 618, 0.90)``."""
    assert tango(lost=7, gained=1, n=21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert tango(lost=25, gained=28, n=618, level=0.90) == pytest.approx((-0.0148, 0.0247), abs=5e-5)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    found = share_change(lost=14, gained=5, n=300)
    tail = sum(stats.binom.pmf(k, 19, 0.5) for k in range(6))
    assert found.p == pytest.approx(2 * tail)
    assert (found.lost, found.gained, found.value) == (14, 5, pytest.approx(-9 / 300))
    assert share_change(0, 0, 100).p == 1.0


def test_files_that_agree_on_few_examples_are_not_proven_equal() -> None:
    found = share_change(0, 0, 60)
    assert found.low == pytest.approx(-found.high)
    assert 0.04 < found.high < 0.07
    assert share_change(0, 0, 6000).high < 0.001


def test_all_lost_and_all_gained_keep_inside_the_possible() -> None:
    assert share_change(10, 0, 10).low == -1.0
    assert share_change(0, 10, 10).high == 1.0


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
def test_differences_of_errors_are_differences_of_the_figures(name: str) -> None:
    rng = np.random.default_rng(1)
    y = rng.gamma(4, 2.5, 200)
    base, own = y + rng.normal(0, 2, 200), y + rng.normal(0.3, 2.2, 200)
    metric = registry.metric(name)
    assert metric.change is not None
    found = metric.change(Evidence(Path(), "regression", scores=own, y=y, baseline_scores=base))
    single = [metric.measure(Evidence(Path(), "regression", scores=s, y=y)).value for s in (own, base)]
    assert found.value == pytest.approx(single[0] - single[1])
    assert found.low < found.floor < found.value < found.ceiling < found.high
    if name == "mae":  # at least as wide as Student's paired interval
        each = np.abs(own - y) - np.abs(base - y)
        student = stats.ttest_1samp(each, 0).confidence_interval(0.95)
        assert found.low <= student.low + 1e-9
        assert found.high >= student.high - 1e-9
        assert found.high - found.low < 1.15 * (student.high - student.low)
    same = metric.change(Evidence(Path(), "regression", scores=base, y=y, baseline_scores=base))
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_one_example_has_neither_interval_nor_difference() -> None:
    evidence = Evidence(Path(), "regression", scores=np.ones(1), y=np.zeros(1), baseline_scores=np.zeros(1))
    for name in ("mae", "rmse"):
        metric = registry.metric(name)
        assert (metric.measure(evidence).value, metric.measure(evidence).low) == (1.0, None)
        assert metric.change is not None
        with pytest.raises(NotApplicable, match="at least two test examples"):
            metric.change(evidence)


def test_delongs_difference_is_that_of_covariances() -> None:
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1], 150)
    one = rng.normal(size=300) + y
    other = one + rng.normal(0, 0.5, 300)
    metric = registry.metric("auc")
    assert metric.change is not None
    found = metric.change(Evidence(Path(), "binary", scores=other, y=y, baseline_scores=one))
    placements = []
    for scores in (other, one):
        above = (scores[y == 1][:, None] > scores[y == 0]).astype(float)
        placements.append((above.mean(axis=1), above.mean(axis=0)))
    variance = sum(np.var(a - b, ddof=1) / 150 for a, b in zip(*placements, strict=True))
    half = 1.96 * np.sqrt(variance)
    assert found.value == pytest.approx(placements[0][0].mean() - placements[1][0].mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.06)


@pytest.mark.parametrize(
    "population",
    [
        classifier("three classes", 150, [0.5, 0.3, 0.2], 4.0, 0.8),
        classifier("two classes", 200, [0.8, 0.2], 3.0, 0.8),
        regression("errors", 100, 2.0, 30.0, 0.5),
        pytest.param(several_labels("labels", 100, 4, 4.0, 0.6), marks=pytest.mark.slow),
        pytest.param(masks("masks", 100, 5, 5.0, 0.6), marks=pytest.mark.slow),
        pytest.param(several_numbers("numbers", 100, 3, 1.5, 0.5), marks=pytest.mark.slow),
    ],
    ids=lambda population: population.title,
)
def test_intervals_hold_the_truth_as_often_as_they_say(population: Population) -> None:
    """A short form of ``python -m benchmarks.measurement``: false alarms are rarer than one in ten thousand."""
    repetitions = 250
    fewest = stats.binom.ppf(1e-5, repetitions, 0.95)
    names = [name for name in registry.metrics() if name != "calibration_error"]
    for found in coverage(population, repetitions, names=names):
        hits = found.repetitions - found.below - found.above
        assert hits >= fewest - (repetitions - found.repetitions), found


@pytest.mark.parametrize(("n", "budget", "discordant"), [(60, 0.05, 0.08), (400, 0.02, 0.05), (1797, 0.01, 0.01)])
def test_a_drop_of_just_the_budget_is_certified_at_most_once_in_twenty(
    n: int, budget: float, discordant: float
) -> None:
    repetitions = 20_000
    assert wrongly_certified(n, budget, discordant, repetitions) <= stats.binom.ppf(1 - 1e-5, repetitions, 0.05)
