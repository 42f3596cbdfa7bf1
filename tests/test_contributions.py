"""What each step bought: Shapley values against all orders one by one, intervals, and real variants of a real run."""

from __future__ import annotations

from itertools import pairwise, permutations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.contributions import Level, Quantity, marginal, prefixes, report, shapley, subsets

COUNT = st.integers(2, 4)


@st.composite
def games(draw):
    """How many steps, and a figure for each variant."""
    count = draw(COUNT)
    return count, {key: draw(st.integers(-100, 100)) for key in subsets(count)}


def contribution(weights, values):
    return sum(weight * values[key] for key, weight in weights.items())


def over_orders(count, values, possible):
    """The mean of what each step adds, order by order, as the definition has it."""
    added = np.zeros(count)
    orders = 0
    for order in permutations(range(count)):
        stops = [frozenset(order[:size]) for size in range(count + 1)]
        if all(stop in possible for stop in stops):
            orders += 1
            for step, (before, after) in zip(order, pairwise(stops), strict=True):
                added[step] += values[after] - values[before]
    return added / orders if orders else None


@settings(deadline=None, max_examples=60)
@given(games())
def test_shapley_values_are_means_over_all_orders_and_add_up(game):
    count, values = game
    found = [contribution(weights, values) for weights in shapley(count, subsets(count))]
    assert found == pytest.approx(over_orders(count, values, set(subsets(count))))
    assert sum(found) == pytest.approx(values[frozenset(range(count))] - values[frozenset()])


@settings(deadline=None, max_examples=60)
@given(games(), st.data())
def test_where_variants_are_impossible_the_other_orders_count(game, data):
    count, values = game
    between = [key for key in subsets(count) if 0 < len(key) < count]
    gone = set(data.draw(st.lists(st.sampled_from(between), max_size=4)))
    possible = [key for key in subsets(count) if key not in gone]
    expected = over_orders(count, values, set(possible))
    found = shapley(count, possible)
    if expected is None:
        assert found is None
    else:
        assert [contribution(weights, values) for weights in found] == pytest.approx(expected)
        assert not gone & {key for weights in found for key in weights}


def test_steps_that_do_the_same_share_alike_and_idle_ones_get_nothing():
    """Either of the first two steps alone does all that both can; the third does nothing."""
    values = {key: 10.0 if key & {0, 1} else 0.0 for key in subsets(3)}
    assert [contribution(w, values) for w in shapley(3, subsets(3))] == pytest.approx([5, 5, 0])
    assert [contribution(marginal(i), values) for i in range(3)] == [10, 0, 0]


def quantity(values, **more):
    levels = {key: Level(*value) for key, value in values.items()}
    return Quantity("latency_ms", "Latency", "ms", "lower", levels, **more)


def test_errors_of_variants_add_up_in_squares_and_exact_figures_have_none():
    one, other = frozenset({0}), frozenset()
    found = quantity({other: (10.0, 9.0, 12.0), one: (4.0, 3.5, 4.25)}).sum(marginal(0))
    assert found.value == -6
    assert found.low == pytest.approx(-6 - sqrt(0.5**2 + 2**2))
    assert found.high == pytest.approx(-6 + sqrt(0.25**2 + 1**2))
    exact = quantity({other: (10.0, 10.0, 10.0), one: (4.0, 4.0, 4.0)}).sum(marginal(0))
    assert (exact.low, exact.high) == (-6, -6)
    assert quantity({other: (10.0, 9.0, 12.0)}).sum(marginal(0)) is None


def test_differences_on_common_examples_are_taken_example_by_example():
    random = np.random.default_rng(0)
    before = (random.random(500) < 0.9).astype(float)
    after = before.copy()
    after[np.flatnonzero(before)[:10]] = 0.0
    levels = {frozenset(): (before.mean(),) * 3, frozenset({0}): (after.mean(),) * 3}
    found = quantity(levels, examples={frozenset(): before, frozenset({0}): after}, counted=True).sum(marginal(0))
    assert found.value == pytest.approx(-0.02)
    assert -0.04 < found.low < -0.02 < found.high < 0
    unpaired = 1.96 * sqrt(2 * 0.9 * 0.1 / 500)
    assert found.high - found.low < unpaired, "what both get wrong does not count"


def test_intervals_of_means_over_orders_hold_a_known_truth():
    """Two steps; each turns its own share of right answers wrong, so that the truth is known."""
    random, held, trials = np.random.default_rng(3), 0, 300
    weights = shapley(2, subsets(2))[0]
    for _ in range(trials):
        right = random.random(400) < 0.95
        first, second = random.random(400) < 0.04, random.random(400) < 0.02
        examples = {
            key: (right & ~(first if 0 in key else False) & ~(second if 1 in key else False)).astype(float)
            for key in subsets(2)
        }
        levels = {key: (values.mean(),) * 3 for key, values in examples.items()}
        found = quantity(levels, examples=examples, counted=True).sum(weights)
        truth = -0.95 * (0.04 - 0.04 * 0.02 / 2)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / trials <= 0.99


def test_a_report_says_what_is_missing_and_what_cannot_be():
    levels = {key: (100.0 - 30 * len(key),) * 3 for key in prefixes(2)}
    told = report(["a", "b"], [quantity(levels)], {}, [frozenset({1})], whole_lattice=True)
    rows = {row["variant"]: row for row in told.table("variants").rows}
    assert rows["b"]["why"] == "not run yet"
    assert any("not been run" in sentence.text for sentence in told.sentences)
    assert all("shapley" not in row for row in told.table("latency_ms").rows)
    told = report(["a", "b"], [quantity(levels)], {frozenset({1}): "It needs a."}, [], whole_lattice=True)
    assert [row["shapley"] for row in told.table("latency_ms").rows[1:]] == [-30, -30]
    assert {row["variant"]: row for row in told.table("variants").rows}["b"]["why"] == "It needs a."


def test_a_step_that_buys_nothing_is_named():
    levels = {key: (100.0 - 50 * (0 in key),) * 3 for key in subsets(2)}
    told = report(["a", "b"], [quantity(levels)], {}, [], whole_lattice=True)
    text = " ".join(sentence.text for sentence in told.sentences)
    assert "Without b" in text
    assert "Without a" not in text
    assert "a bought 100%" in text
