"""Grids, ablations and repeats: which runs they make, what is shared, and how long they are said to take."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers import registry
from optimizers.engine.plan import plan
from optimizers.errors import InvalidParameter, InvalidRecipe, UnknownName
from optimizers.forecast import Forecast
from optimizers.grid import MOST_RUNS, ablations, apart, expected, parse_grid, recipes_of, trials
from optimizers.recipe import parse
from optimizers.records import DatasetRef, ModelRef
from optimizers.short_form import Span

MODEL = ModelRef(uri="sample:m", name="m", digest="0" * 64)
DATA = DatasetRef(uri="sample:d", name="d", digest="1" * 64)


def texts(recipes):
    return [recipe.text for recipe in recipes]


def test_every_combination_of_values_is_one_recipe():
    grid = parse_grid("magnitude_pruning(target_sparsity=[0.5, 0.7], schedule=[constant, polynomial])+int8")
    assert grid.count == 4
    assert [(v.technique, v.setting, len(v.values)) for v in grid.varied] == [
        ("magnitude_pruning", "target_sparsity", 2),
        ("magnitude_pruning", "schedule", 2),
    ]
    assert texts(grid.recipes()) == [
        f"magnitude_pruning(target_sparsity={share}, schedule={schedule})+int8"
        for share in (0.5, 0.7)
        for schedule in ("constant", "polynomial")
    ]
    assert parse_grid(grid.text) == grid


def test_settings_of_several_steps_and_steps_that_occur_twice():
    grid = parse_grid("magnitude_pruning(epochs=[1, 2])+weight_clustering(clusters=[8, 16])+int8")
    assert len(grid.recipes()) == 4
    twice = parse_grid("magnitude_pruning(target_sparsity=[0.3, 0.4])+magnitude_pruning(target_sparsity=0.6)")
    assert texts(twice.recipes())[1] == "magnitude_pruning(target_sparsity=0.4)+magnitude_pruning(target_sparsity=0.6)"


def test_spans_hold_both_ends():
    (share,) = parse_grid("magnitude_pruning(target_sparsity=linear(0.5, 0.9, 5))").varied
    assert share.values == (0.5, 0.6, 0.7, 0.8, 0.9)
    (rate,) = parse_grid("magnitude_pruning(learning_rate=log(1e-4, 1e-2, 3))").varied
    assert rate.values == (1e-4, 1e-3, 1e-2)
    (clusters,) = parse_grid("weight_clustering(clusters=linear(8, 32, 4))").varied
    assert clusters.values == (8, 16, 24, 32)
    (uneven,) = parse_grid("weight_clustering(clusters=linear(8, 15, 4))").varied
    assert uneven.values == (8, 10, 13, 15)
    text = "magnitude_pruning(learning_rate=log(0.0001, 0.01, 3))"
    assert parse_grid(text).text == text


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 30), st.sampled_from(["linear", "log"]))
def test_values_of_a_span_lie_between_its_ends(low, high, count, kind):
    values = Span(kind, low, high, count).values
    assert len(values) == count
    assert values[0] == low
    assert values[-1] == high
    smallest, largest = min(low, high), max(low, high)
    assert all(smallest * (1 - 1e-5) <= value <= largest * (1 + 1e-5) for value in values)


def test_what_is_the_same_is_run_once():
    default = registry.technique("magnitude_pruning").params().model_dump()["target_sparsity"]
    assert texts(recipes_of(f"magnitude_pruning(target_sparsity=[{default}, 0.7, 0.7])")) == [
        f"magnitude_pruning(target_sparsity={default})",
        "magnitude_pruning(target_sparsity=0.7)",
    ]
    assert len(recipes_of("float32")) == len(recipes_of("smallest")) == 1


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("magnitude_pruning(target_sparsity=[])", InvalidParameter, "empty list"),
        ("magnitude_pruning(target_sparsity=[0.5, 1.2])", InvalidParameter, r"in \[0, 0.95\], got 1.2"),
        ("magnitude_pruning(target_sparsity=linear(0, 1))", InvalidParameter, "from 2 to 1000, like linear"),
        ("magnitude_pruning(target_sparsity=linear(0, 1, 1))", InvalidParameter, "from 2 to"),
        ("magnitude_pruning(target_sparsity=linear(0, 1, 1e9))", InvalidParameter, "span"),
        ("magnitude_pruning(target_sparsity=log(0, 1, 3))", InvalidParameter, "above 0, got 0 and 1"),
        ("magnitude_pruning(target_sparsity=open(0, 1, 3))", InvalidParameter, "a list or a span"),
        ("magnitude_pruning(sparsity=[1, 2])", InvalidParameter, "no parameter 'sparsity'"),
        ("nothing(a=[1, 2])", UnknownName, "no technique 'nothing'"),
        ("int8(io=[int8, float])+float16", InvalidRecipe, "Keep only one"),
        ("magnitude_pruning(epochs=linear(1, 200, 200))", InvalidRecipe, f"200 recipes; at most {MOST_RUNS}"),
        ("weight_clustering(clusters=[8.5, 9])", InvalidParameter, "whole number"),
    ],
)
def test_nonsense_is_explained(text, error, words):
    with pytest.raises(error, match=words) as caught:
        recipes_of(text)
    assert "\n" not in caught.value.message


def test_a_grid_is_no_single_recipe():
    with pytest.raises(InvalidParameter, match="must be a number"):
        parse("magnitude_pruning(target_sparsity=[0.5, 0.7])")


def test_ablations_leave_out_each_step_and_try_each_alone():
    chain = parse("magnitude_pruning+weight_clustering+int8")
    assert texts(ablations(chain, "left-out")) == [
        "magnitude_pruning+weight_clustering+int8",
        "weight_clustering+int8",
        "magnitude_pruning+int8",
        "magnitude_pruning+weight_clustering",
    ]
    assert texts(ablations(chain, "alone"))[1:] == ["magnitude_pruning", "weight_clustering", "int8"]
    assert len(ablations(chain, "both")) == 7
    assert ablations(parse("int8"), "both") == (parse("int8"),)


def test_what_cannot_stand_alone_is_left_out():
    chain = parse("quantization_aware_training+int8")
    assert texts(ablations(chain, "left-out")) == [
        "quantization_aware_training+int8",
        "int8",
    ]  # fmt: skip  (training alone ends in the same int8)


def test_only_what_depends_on_chance_is_repeated():
    planned = trials([parse("dynamic_range"), parse("magnitude_pruning")], [3, 4, 3, 5])
    assert [(t.recipe.text, t.seed) for t in planned] == [
        ("dynamic_range", 3), ("magnitude_pruning", 3), ("magnitude_pruning", 4), ("magnitude_pruning", 5),
    ]  # fmt: skip


@pytest.mark.parametrize("name", registry.techniques())
def test_seeds_share_the_stages_that_see_no_examples(name):
    declared = registry.technique(name)
    recipe = parse(name)
    keys = {plan(MODEL, DATA, recipe, seed).stages[0].key for seed in range(3)}
    assert len(keys) == (3 if declared.needs else 1)
    assert recipe.seeded == bool(declared.needs)


def test_time_counts_what_is_shared_once():
    step = {"size_bytes": 1, "compressed_bytes": 1, "parameters": 1, "macs": 1}
    recipes = [parse("magnitude_pruning+int8"), parse("magnitude_pruning+float16"), parse("float16")]
    known = {
        recipes[0].text: Forecast(steps=(), seconds=62, step_seconds=(60, 2), **step),
        recipes[1].text: Forecast(steps=(), seconds=61, step_seconds=(60, 1), **step),
        recipes[2].text: Forecast(steps=(), seconds=1, step_seconds=(1,), **step),
    }
    once = expected(trials(recipes, [0]), known, workers=1, timing=10)
    assert once.seconds == pytest.approx(60 + 2 + 1 + 1 + 30)
    assert once.one_by_one == pytest.approx(62 + 61 + 1 + 30)
    twice = expected(trials(recipes, [0, 1]), known, workers=1, timing=10)
    assert twice.seconds == pytest.approx(2 * 63 + 1 + 50)
    assert expected(trials(recipes, [0, 1]), known, workers=2, timing=0).seconds == pytest.approx((2 * 63 + 1) / 2)
    assert expected(trials(recipes[:1], [0]), known, workers=8, timing=0).seconds == pytest.approx(62)
    assert expected(trials(recipes, [0]), {}, workers=1, timing=10) == (0, 0, 3)


def test_runs_that_share_a_step_do_not_follow_each_other():
    """Two that work at the same time would compute it once, and one of them would do nothing meanwhile."""
    grid = recipes_of("magnitude_pruning(target_sparsity=[0.5, 0.7, 0.9])+weight_clustering(clusters=[8, 16])+int8")
    planned = trials([*grid, parse("int8")], [0])
    order = [planned[place].recipe for place in apart(planned)]
    assert sorted(recipe.text for recipe in order) == sorted(recipe.text for recipe, _ in planned)
    assert all(one.steps[0] != other.steps[0] for one, other in pairwise(order))
    two = trials(recipes_of("magnitude_pruning+weight_clustering(clusters=[8, 16])+int8"), [0, 1])
    assert [two[place].seed for place in apart(two)] == [0, 1, 0, 1]
    assert apart([]) == []
