"""What counts as the best, with how much luck is reckoned, and what is said where nothing keeps the limits."""

from __future__ import annotations

import pytest

from optimizers.engine.progress import Progress
from optimizers.errors import UnknownName
from optimizers.limits import parse
from optimizers.metrics._paired import tango
from optimizers.qualifying import judge_row
from optimizers.search import goals
from optimizers.search.foresight import hopeless
from optimizers.search.goals import Outcome, best, budgets, excess, front, limits_of
from optimizers.search.importance import importance
from optimizers.search.records import Study, Trial

BASE = {"artifact_digest": "base", "is_baseline": True, "size_bytes": 1000.0, "accuracy": 0.95, "accuracy_n": 600}


@pytest.fixture
def study(model_ref, data_ref):
    return Study(id="s", scope="shared", model=model_ref, dataset=data_ref, seconds=60,
                 objectives=("size_bytes", "accuracy"), limits="accuracy>=-1pt")  # fmt: skip


def outcome(study, number, size, lost=0, gained=0, n=600, files=20):
    change = (gained - lost) / n
    from optimizers.metrics._paired import share_change

    told = share_change(lost, gained, n)
    row = {
        "artifact_digest": f"{number:064d}", "is_baseline": False, "size_bytes": size,
        "size_bytes_change": size / 1000 - 1,
        "accuracy": 0.95 + change, "accuracy_n": n, "accuracy_change": change, "accuracy_change_floor": told.floor,
        "accuracy_change_ceiling": told.ceiling, "accuracy_lost": lost, "accuracy_gained": gained,
    }  # fmt: skip
    limits = limits_of(study)
    over = max((excess(x, row, files) for x in limits if x.kind != "value"), default=0.0)
    trial = Trial(study="s", number=number, params={}, recipe="int8", effort="none", state="done", run_id=str(number))
    return Outcome(trial, row, judge_row(row, limits, BASE), (size, 0.95 + change), over)


def test_the_smallest_file_that_keeps_its_limits_by_the_bound_is_the_best(study):
    safe = outcome(study, 0, 500.0, lost=0, n=2000)
    lucky = outcome(study, 1, 100.0, lost=18, gained=0, n=2000)  # 0.9 points lost: within the budget by luck perhaps
    assert not lucky.safe
    assert best(study, [safe, lucky]).outcome is safe
    assert best(study, [safe, lucky]).standing == "keeps all limits"


def test_the_more_files_are_tried_the_more_proof_is_wanted(study):
    limit = parse("accuracy>=-1pt")[0]
    row = outcome(study, 0, 500.0, lost=6, n=2000).row
    assert excess(limit, row, 1) < 0 < excess(limit, row, 10_000)


def test_the_bound_is_that_of_the_intervals_that_are_shown():
    for lost, gained, n in ((0, 0, 67), (6, 1, 300), (12, 20, 1800)):
        shown = -tango(lost, gained, n, level=0.90, correction=0.5)[0]
        assert goals._tango_upper(lost, gained, n, 1.6448536269514722) == pytest.approx(shown, abs=1e-6)


def test_with_few_examples_a_file_that_loses_nothing_is_let_through_and_said_to_be_unproven(study):
    same, worse = outcome(study, 0, 500.0, n=67), outcome(study, 1, 300.0, lost=1, n=67)
    chosen = best(study, [same, worse])
    assert chosen.outcome is same
    assert chosen.standing == "keeps all limits as far as the examples can tell"
    assert chosen.missing


def test_where_nothing_is_sure_the_least_doubtful_comes_before_a_miss(study):
    miss, doubtful = outcome(study, 0, 100.0, lost=60), outcome(study, 1, 400.0, lost=5, gained=1)
    chosen = best(study, [miss, doubtful])
    assert chosen.outcome is doubtful
    assert chosen.standing == "keeps all limits as far as the examples can tell"
    assert best(study, [miss]).standing == "nearest miss"
    assert any("Accuracy" in words for words in best(study, [miss]).missing)
    assert best(study, []) is None


def test_a_front_holds_each_file_once_and_none_that_is_beaten(study):
    found = [outcome(study, 0, 500.0), outcome(study, 1, 300.0, lost=6), outcome(study, 2, 400.0, lost=12)]
    found.append(Outcome(found[0].trial, found[0].row, found[0].judged, found[0].values, 0.0))
    untimed = Outcome(found[0].trial, found[0].row, found[0].judged, (None, 0.9), 0.0)
    assert [o.trial.number for o in front(study, [*found, untimed])] == [1, 0]
    assert front(study, []) == []


def test_latency_is_the_baselines_over_the_ratio_measured_in_turn():
    base = {**BASE, "latency_ms": 2.0}
    row = {"artifact_digest": "other", "latency_ms": 9.0, "speedup": 4.0}
    assert goals.value_of("latency_ms", row, base) == 0.5
    assert goals.value_of("latency_ms", {**row, "speedup": None}, base) is None
    assert goals.value_of("speedup", base, base) == 1.0


def test_limits_that_can_be_certified_become_budgets(study):
    def of(text, metric="accuracy"):
        changed = study.model_copy(update={"limits": text, "objectives": ("size_bytes", metric)})
        return [(b.metric, b.amount) for b in budgets(changed)]

    assert of("accuracy>=-1pt, size<=100KB") == [("accuracy", 1.0)]
    assert of("mae<=1.05x", "mae") == [("mae", 5.0)]
    assert of("accuracy>=+1pt") == of("accuracy>=95%") == of("") == []


def test_a_board_is_a_limit_of_flash_and_one_of_memory(study):
    fitting = study.model_copy(update={"board": "Arduino Zero", "limits": ""})
    assert [limit.metric for limit in limits_of(fitting)] == ["size_bytes", "arena_bytes"]
    assert goals.board_named("zero").name == "Arduino Zero"
    with pytest.raises(UnknownName, match="Pico"):
        goals.board_named("toaster")


def test_importance_finds_the_setting_that_decides():
    settings = [{"ending": "int8" if i % 2 else "float16", "x.amount": (i * 7) % 10, "y.z": i % 3} for i in range(60)]
    values = [(10.0 if one["ending"] == "int8" else 40.0) + one["x.amount"] / 10 for one in settings]
    shares = importance(settings, values)
    assert next(iter(shares)) == "ending"
    assert shares["ending"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert importance(settings[:5], values[:5]) == {}
    assert importance(settings, [1.0] * 60) == {}


def under_way(done, *validated, stage=2, figure="val_accuracy"):
    return Progress(stage=stage, stages=4, title="Pruning", step=done, of=100, figure=figure,
                    validated=tuple(enumerate(validated)))  # fmt: skip


@pytest.mark.parametrize(
    ("progress", "stopped"),
    [
        (under_way(75, 0.2, 0.5, 0.4), True),
        (under_way(60, 0.2, 0.5, 0.4), False),  # it may still rise
        (under_way(75, 0.2, 0.9, 0.4), False),  # it was near before
        (under_way(75, 0.2, 0.5, stage=1), False),  # of another step
        (under_way(75, 2.0, figure="val_loss"), False),
        (None, False),
    ],
)
def test_a_training_that_ends_far_from_its_limit_is_not_finished(study, progress, stopped):
    known = [outcome(study, 0, 500.0, lost=6, n=2000)]
    trial = Trial(study="s", number=1, params={}, recipe="magnitude_pruning+int8", effort="short")
    assert bool(hopeless(study, trial, progress, known)) is stopped
    assert not hopeless(study, trial, progress, [])  # nothing is known of the baseline
    chained = trial.model_copy(update={"recipe": "magnitude_pruning+weight_clustering+int8"})
    assert not hopeless(study, chained, progress, known)  # a later training may win it back


def test_a_limit_of_what_may_be_gained_is_no_budget_of_what_may_be_lost(model_ref, data_ref):
    for text in ("accuracy<=+1pt", "calibration_error>=-1pt"):
        study = Study(
            id="s",
            scope="shared",
            model=model_ref,
            dataset=data_ref,
            objectives=("size_bytes",),
            limits=text,
            seconds=9,
        )
        assert goals.budgets(study) == []
