"""Rankings over seeds, on made figures whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from optimizers.repeats import LEVEL, Repeats, compare, ranking

SEEDS = 5


def variants(values):
    """``values`` has shape (variants, seeds)."""
    return [Repeats(f"v{i}", dict(enumerate(map(float, row)))) for i, row in enumerate(values)]


def test_mean_spread_and_interval_are_students():
    values = [0.91, 0.93, 0.90, 0.95]
    own = Repeats("a", dict(enumerate(values)))
    assert own.mean == pytest.approx(np.mean(values))
    assert own.deviation == pytest.approx(np.std(values, ddof=1))
    assert own.interval == pytest.approx(stats.t.interval(0.95, 3, np.mean(values), stats.sem(values)))
    single = Repeats("b", {7: 0.9})
    assert (single.deviation, single.interval) == (None, None)
    assert Repeats("c", {0: 0.34, 1: 0.34}).interval is None, "two that agree tell no spread"
    low, high = Repeats("d", {0: 0.45, 1: 0.52}, bounds=(0.0, 1.0)).interval
    assert (low, high) == (pytest.approx(0.0403, abs=1e-3), pytest.approx(0.93, abs=1e-3))
    assert Repeats("e", {0: 0.3, 1: 0.9}, bounds=(0.0, 1.0)).interval == (0.0, 1.0)


def test_tests_are_the_usual_ones():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.9, 0.01, (2, 6))
    one, other = variants([a, b])
    told = compare(one, other)
    assert told.how == "paired"
    assert told.seeds == 6
    assert told.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert (told.low, told.high) == pytest.approx(tuple(stats.ttest_rel(a, b).confidence_interval(0.95)))
    elsewhere = Repeats("b", {100 + i: float(v) for i, v in enumerate(b[:4])})
    told = compare(one, elsewhere)
    assert told.how == "unpaired"
    assert told.seeds == 4
    assert told.p == pytest.approx(stats.ttest_ind(a, b[:4], equal_var=False).pvalue)
    steady = Repeats("c", {0: 0.9}, chance=False)
    assert compare(one, steady).p == pytest.approx(stats.ttest_1samp(a, 0.9).pvalue)
    assert compare(steady, one).difference == pytest.approx(0.9 - a.mean())


def test_many_pairs_are_adjusted_as_holm_says():
    wanted = (0.01, 0.04, 0.03)
    steady = Repeats("s", {0: 0.0}, chance=False)
    made = []
    for i, p in enumerate(wanted):  # each against a steady one; differences among them are tested as well
        t = stats.t.isf(p / 2, SEEDS - 1)
        shape = np.array([-2.0, -1, 0, 1, 2])
        made.append(Repeats(f"v{i}", dict(enumerate(shape + t * shape.std(ddof=1) / np.sqrt(SEEDS)))))
    alone = [compare(one, steady).p for one in made]
    assert alone == pytest.approx(wanted)
    pairs = [pair for pair in ranking([*made, steady], lower_is_better=True).pairs if pair.p is not None]
    ordered, highest = sorted(pairs, key=lambda pair: pair.p), 0.0
    for rank, pair in enumerate(ordered):
        highest = max(highest, min(1.0, pair.p * (len(ordered) - rank)))
        assert pair.adjusted == pytest.approx(highest)


@pytest.mark.parametrize("examples", [0, 360])
@pytest.mark.parametrize("shared", [0.0, 0.01])
def test_what_is_alike_is_separated_in_at_most_one_ranking_of_twenty(examples, shared):
    """Six variants with the same truth; figures as they are, or rounded to whole test examples."""
    rng, wrong, rounds = np.random.default_rng(1), 0, 300
    for _ in range(rounds):
        values = 0.97 + rng.normal(0, shared, (1, SEEDS)) + rng.normal(0, 0.002, (6, SEEDS))
        if examples:
            values = np.round(values * examples) / examples
        found = ranking(variants(values), lower_is_better=False, grain=1 / examples if examples else 0.0)
        wrong += any(pair.separated for pair in found.pairs)
    assert wrong <= stats.binom.ppf(0.999, rounds, LEVEL)


def test_figures_that_agree_because_they_are_coarse_separate_nothing():
    """Two seeds on 100 examples, one example apart both times: that happens by chance."""
    one, other = variants([[0.95, 0.96], [0.94, 0.95]])
    assert compare(one, other, grain=0.01).p > LEVEL
    assert not any(p.separated for p in ranking([one, other], lower_is_better=False, grain=0.01).pairs)
    assert not any(p.separated for p in ranking([one, other], lower_is_better=False).pairs)


def test_what_truly_differs_is_found():
    rng = np.random.default_rng(2)
    seeds = rng.normal(0, 0.02, SEEDS)  # a bad seed is bad for all: only pairs see the difference
    values = np.array([[0.95], [0.949], [0.93]]) + seeds + rng.normal(0, 0.002, (3, SEEDS))
    found = ranking(variants(values), lower_is_better=False)
    assert [(p.repeats.name, p.first, p.last) for p in found.places][2] == ("v2", 3, 3)
    assert {(p.first, p.last) for p in found.places[:2]} == {(1, 2)}
    assert "Not separated by 5 seeds: " in found.sentence
    assert "v2" not in found.sentence
    apart = [Repeats(v.name, {s + 100 * i: x for s, x in v.by_seed.items()}) for i, v in enumerate(variants(values))]
    assert not any(pair.separated for pair in ranking(apart, lower_is_better=False).pairs)


def test_places_hold_the_truth_for_all_variants_at_once():
    rng, wrong, rounds = np.random.default_rng(3), 0, 200
    truth = np.array([0.95, 0.95, 0.94, 0.90])
    for _ in range(rounds):
        found = ranking(variants(truth[:, None] + rng.normal(0, 0.004, (4, SEEDS))), lower_is_better=False)
        places = {p.repeats.name: p for p in found.places}
        before = [(truth > t).sum() + 1 for t in truth]
        behind = [(truth >= t).sum() for t in truth]
        wrong += any(places[f"v{i}"].first > behind[i] or places[f"v{i}"].last < before[i] for i in range(len(truth)))
    assert wrong <= stats.binom.ppf(0.999, rounds, LEVEL)


def test_the_best_is_named_only_when_it_stands_alone():
    found = ranking(variants([[10.0, 11, 10.5], [30.0, 31, 30.4]]), lower_is_better=True)
    assert found.sentence == "v0 is best: separated from every other one by 3 seeds."
    assert [(p.first, p.last) for p in found.places] == [(1, 1), (2, 2)]
    assert ranking([], lower_is_better=True).sentence == ""
    assert ranking([Repeats("a", {0: 1.0})], lower_is_better=True).sentence == ""


def test_counted_figures_that_never_vary_are_exact():
    same = [Repeats("a", {0: 100.0, 1: 100.0}), Repeats("b", {0: 90.0, 1: 90.0}), Repeats("c", {0: 90.0}, chance=False)]
    found = ranking(same, lower_is_better=True, exact=True)
    assert {(p.one, p.other): p.separated for p in found.pairs} == {
        ("a", "b"): True, ("a", "c"): True, ("b", "c"): False,
    }  # fmt: skip
    assert [p.how for p in found.pairs] == ["exact"] * 3


def test_seeds_say_nothing_about_what_has_none():
    fixed = [Repeats("a", {0: 0.9}, chance=False), Repeats("b", {0: 0.8}, chance=False), Repeats("c", {0: 0.7})]
    found = ranking(fixed, lower_is_better=False)
    assert [pair.how for pair in found.pairs] == ["fixed", "single", "single"]
    assert all((place.first, place.last) == (1, 3) for place in found.places)


def test_what_no_seed_changes_is_not_called_the_best_behind_another_one():
    fixed = [Repeats("a", {0: 0.94}, chance=False), Repeats("b", {0: 0.84}, chance=False)]
    found = ranking([*fixed, Repeats("c", {0: 0.93, 1: 0.95})], lower_is_better=False)
    assert found.sentence.startswith("Not separated by 2 seeds: a and c; each of them may be the best.")
    assert "1 more that no seed changes" in found.sentence
