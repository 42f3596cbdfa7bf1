"""Budgets: what is certified, what is not, how many examples would do, and the first verdict stands."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.certification import Budget, Decision, choices, decide, decided, holm, sentence
from optimizers.cli.certifying import check_budget
from optimizers.errors import InvalidParameter
from optimizers.history.database import History
from optimizers.metrics._paired import share_change
from optimizers.records import Difference, Verdict

DIGESTS = {"artifact_digest": "a" * 64, "baseline_digest": "b" * 64, "dataset_digest": "c" * 64}


def accuracy(lost: int, gained: int, n: int) -> Difference:
    change = share_change(lost, gained, n).__dict__
    return Difference(metric="accuracy", version="1", unit="fraction", baseline=0.9, **DIGESTS, **change)


def mae(value: float, half: float, baseline: float = 2.0) -> Difference:
    bounds = {"low": value - 1.2 * half, "high": value + 1.2 * half, "floor": value - half, "ceiling": value + half}
    return Difference(
        metric="mae", version="1", unit="target units", value=value, n=100, baseline=baseline, **bounds, **DIGESTS
    )


def test_the_three_verdicts() -> None:
    budget = Budget("accuracy", 1.0)
    assert decide(accuracy(3, 2, 5000), budget).state == "certified"
    assert decide(accuracy(200, 20, 2000), budget).state == "failed"
    assert decide(accuracy(1, 1, 67), budget).state == "not proven"


def test_verdict_and_p_value_say_the_same() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(60, 3000))
        lost, gained = (int(k) for k in rng.integers(0, max(2, n // 30), 2))
        decision = decide(accuracy(lost, gained, n), Budget("accuracy", 1.0))
        assert (decision.p < 0.05) == (decision.state == "certified")


@pytest.mark.parametrize(
    ("lost", "gained", "n", "points"), [(20, 17, 1000, 1.0), (40, 36, 1000, 1.0), (3, 0, 150, 4.0)]
)
def test_the_number_of_examples_needed_is_enough_four_times_in_five(
    lost: int, gained: int, n: int, points: float
) -> None:
    budget, rng = Budget("accuracy", points), np.random.default_rng(1)
    needed = decide(accuracy(lost, gained, n), budget).needed
    assert needed is not None
    shares = [(lost + 0.5) / n, (gained + 0.5) / n]
    drawn = rng.multinomial(needed, [*shares, 1 - sum(shares)], 400)
    certified = sum(decide(accuracy(int(a), int(b), needed), budget).state == "certified" for a, b, _ in drawn)
    assert 0.74 < certified / 400 < 0.9


def test_two_files_that_never_differ_need_few_examples_more() -> None:
    needed = decide(accuracy(0, 0, 67), Budget("accuracy", 1.0)).needed
    assert needed is not None
    assert 300 < needed < 1500


def test_a_file_that_is_better_is_not_said_to_drop_by_less_than_nothing() -> None:
    better = accuracy(2, 40, 2000)
    words = sentence(decide(better, Budget("accuracy", 1.0)), Budget("accuracy", 1.0))
    assert "not worse at all" in words
    assert "-" not in words
    assert "increase" in sentence(decide(mae(0.3, 0.1), Budget("mae", 5.0)), Budget("mae", 5.0))


@pytest.mark.parametrize(
    ("bound", "up", "down"), [(0.000043, "0.01", "0.00"), (0.000126, "0.02", "0.01"), (0.0096, "0.96", "0.96")]
)
def test_bounds_are_rounded_to_the_side_on_which_they_are_true(bound: float, up: str, down: str) -> None:
    decision = Decision("certified", 0.0, -0.01, bound, 0.01, 1000, 0.01, None)
    assert f"a true drop of {up} points or more is ruled out" in sentence(decision, Budget("accuracy", 1.0))
    failed = Decision("failed", 0.03, bound, 0.05, 0.01, 1000, 0.9, None)
    assert f"at least {down} points" in sentence(failed, Budget("accuracy", 1.0))
    in_units = Decision("certified", 0.0, -0.01, 0.123456, 0.2, 100, 0.01, None)
    assert "increase of 0.124 " in sentence(in_units, Budget("mae", 5.0))


def test_no_number_of_examples_is_promised_where_the_drop_is_no_smaller_than_the_budget() -> None:
    decision = decide(accuracy(3, 1, 100), Budget("accuracy", 1.0))
    assert (decision.state, decision.needed) == ("not proven", None)
    assert "no number of examples" in sentence(decision, Budget("accuracy", 1.0))


def test_a_relative_budget_is_a_share_of_the_baselines_error_and_lower_is_better() -> None:
    budget = Budget("mae", 5.0)
    assert budget.of(2.0) == pytest.approx(0.1)
    assert decide(mae(0.02, 0.05), budget).state == "certified"
    assert decide(mae(0.3, 0.1), budget).state == "failed"
    assert decide(mae(-0.3, 0.1), budget).state == "certified"
    open_one = decide(mae(0.02, 0.2), budget)
    assert open_one.state == "not proven"
    assert open_one.needed == pytest.approx(100 * (1.645 + 0.842) ** 2 * (0.2 / 1.645 / 0.08) ** 2, rel=0.01)
    assert "5% of the baseline's mean absolute error" in sentence(open_one, budget)


def test_holm_asks_more_of_each_the_more_there_are() -> None:
    def with_p(p: float) -> Decision:
        return Decision("certified", 0, 0, 0, 0.01, 100, p, None)

    assert holm([with_p(0.03)]) == [True]
    assert holm([with_p(0.03), with_p(0.04)]) == [False, False]
    assert holm([with_p(0.04), with_p(0.001), with_p(0.03)]) == [False, True, False]
    assert holm([with_p(0.04), with_p(0.001), with_p(0.02)]) == [True, True, True]


@pytest.mark.parametrize("amount", [0.0, -1.0, float("nan"), float("inf"), 101.0])
def test_what_is_no_budget_is_refused(amount: float) -> None:
    with pytest.raises(InvalidParameter, match="budget must be above 0"):
        Budget("accuracy", amount)


def test_a_wrong_budget_is_told_before_anything_runs() -> None:
    check_budget(2.0, "mae")
    check_budget(None, "")
    for amount, metric, words in ((0.0, "", "above 0"), (1.0, "log_loss", "'log_loss'; it can be for: accuracy, "),
                                  (None, "size_bytes", "'size_bytes'")):  # fmt: skip
        with pytest.raises(InvalidParameter, match=words):
            check_budget(amount, metric)


def test_the_usual_metric_is_taken_unless_another_is_named() -> None:
    both = {"accuracy": accuracy(1, 1, 100), "mae": mae(0, 0.1)}
    assert decided(both, None)[0] == Budget("accuracy", 1.0)
    assert decided(both, None, "mae")[0] == Budget("mae", 5.0)
    assert choices(["r2", "rmse", "mae", "size_bytes"]) == ["mae", "r2", "rmse"]
    with pytest.raises(InvalidParameter, match="there are: accuracy, mae"):
        decided(both, 1.0, "auc")
    with pytest.raises(InvalidParameter, match="at least two test examples with labels"):
        decided({}, 1.0)


def test_the_first_verdict_stands(tmp_path) -> None:  # type: ignore[no-untyped-def]
    history = History(f"sqlite:///{tmp_path / 'history.db'}")
    common = {**DIGESTS, "metric": "accuracy", "n": 100, "drop": 0.0, "upper": 0.01}
    first = Verdict(budget=1.0, state="not proven", **common)
    assert history.decide(first) == first
    assert history.decide(Verdict(budget=1.0, state="certified", **common)).state == "not proven"
    assert history.decide(Verdict(budget=2.0, state="certified", **common)).state == "certified"
    assert [v.budget for v in history.verdicts("c" * 64)] == [1.0, 2.0]
    assert history.verdicts("d" * 64) == []
    history.close()
