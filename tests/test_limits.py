"""Limits: what people type, which files keep them, and what the uncertainty leaves open."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from optimizers import registry
from optimizers.certification import Budget, decide
from optimizers.cli import app
from optimizers.engine.queue import JobQueue
from optimizers.errors import InvalidParameter
from optimizers.limits import Limit, example, metric_named, parse, text_of
from optimizers.metrics._paired import share_change
from optimizers.qualifying import judge, judge_row, quantity
from optimizers.recipe import parse as recipe
from optimizers.records import Difference
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor
from tests.figures.conftest import NAN, comparison_row


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("size<=100KB", [("size_bytes", "value", "most", 100_000)]),
        ("File size < 30 KiB", [("size_bytes", "value", "most", 30_720)]),
        ("accuracy>=-1pt", [("accuracy", "difference", "least", -0.01)]),
        ("accuracy>=95%; accuracy >= 0.95", [("accuracy", "value", "least", 0.95)]),
        ("speedup>=2", [("speedup", "value", "least", 2)]),
        ("latency<=0.5x", [("latency_ms", "ratio", "most", 0.5)]),
        ("latency_ms ≤ 250µs", [("latency_ms", "value", "most", 0.25)]),
        ("size<=-75%", [("size_bytes", "ratio", "most", 0.25)]),
        ("size<=-50KB", [("size_bytes", "difference", "most", -50_000)]),
        ("mae<=+5%", [("mae", "ratio", "most", 1.05)]),
        ("macs<=1,500,000", [("macs", "value", "most", 1_500_000)]),
        ("r2>=0.8", [("r2", "value", "least", 0.8)]),
        ("log_loss<=+0.1", [("log_loss", "difference", "most", 0.1)]),
        (
            "at most 100 KB, at most 1 point worse, and at least 2x faster",
            [
                ("size_bytes", "value", "most", 100_000),
                ("accuracy", "difference", "least", -0.01),
                ("speedup", "value", "least", 2),
            ],
        ),
        (
            "at least 4× smaller and at most 1.25x slower",
            [("size_bytes", "ratio", "most", 0.25), ("speedup", "value", "least", 0.8)],
        ),
        ("mean absolute error at most 5% worse", [("mae", "ratio", "most", 1.05)]),
        ("calibration error at most 2 points worse", [("calibration_error", "difference", "most", 0.02)]),
        ("accuracy at least 1 point better", [("accuracy", "difference", "least", 0.01)]),
        ("  ", []),
    ],
)
def test_what_people_type(text: str, limits: list[tuple[str, str, str, float]]) -> None:
    found = parse(text, quality="accuracy")
    assert [(x.metric, x.kind, x.side, x.bound) for x in found] == limits
    assert parse(text_of(found)) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("small", "no limit"),
        ("size<=100", "lacks a unit"),
        ("size<=1,5MB", "comma"),
        ("size<=5ms", "not measured in ms"),
        ("accuracy>=95", "accuracy>=95%"),
        ("accuracy>=1pt", "sign"),
        ("accuracy>=-1%", "accuracy>=-1pt"),
        ("size<=5pt", "not counted in points"),
        ("mae<=5%", "mae<=+5%"),
        ("at most 3", "which metric"),
        ("at most 1 point worse", "which metric"),
        ("weight<=3", "no metric 'weight'"),
        ("latency_p90<=0.5x", "speedup>=2"),
        ("latency<=+1ms", "speedup>=2"),
        ("at least 50% faster", "1.5x faster"),
        ("at most 0x slower", "1.5x faster"),
        ("size<=-150%", "above 0"),
        ("size<=8KB r2>=0.9", "separate them by commas"),
        ("size<=1e999KB", "must be a number"),
        (", ".join(f"size<={n}KB" for n in range(1, 20)), "At most 12"),
    ],
)
def test_what_cannot_be_understood_is_told_with_the_way_out(text: str, told: str) -> None:
    with pytest.raises(InvalidParameter, match="^.*" + told.replace("+", r"\+")):
        parse(text)


def test_an_example_is_understood_for_every_quality() -> None:
    for name, metric in registry.metrics().items():
        if metric.needs == "predictions" and metric.change is not None:
            assert [limit.metric for limit in parse(example(name))] == ["size_bytes", name, "speedup"]
    assert example("digit/accuracy") == "size<=100KB, digit/accuracy>=-1pt, speedup>=2"


def test_every_metric_can_be_limited_by_its_name_its_title_and_its_short_form() -> None:
    for name, metric in registry.metrics().items():
        limit = Limit(name, "value", "most", 0.5)
        assert metric_named(name) == metric_named(metric.title) == name
        assert parse(limit.text) == (limit,)
        assert fits_a_sentence(limit.words)


def fits_a_sentence(words: str) -> bool:
    return "None" not in words and not words.endswith(" ")


def judged(text: str, *rows: dict[str, object], by: str = "") -> object:
    return judge(pd.DataFrame([comparison_row(), *rows]), parse(text, quality="accuracy"), by)


SMALL = comparison_row("int8", "a", "quantization", 0.95, 50_000.0, 0.02)
LARGE = comparison_row("float16", "b", "quantization", 0.96, 120_000.0, 0.05)


def test_a_share_lacks_points_not_percent() -> None:
    short, enough = judged("accuracy>=98%", SMALL).files[1], judged("accuracy>=90%", SMALL).files[1]
    assert [v.sentence for v in (*short.verdicts, *enough.verdicts)] == [
        "Accuracy 95.0%, 3 points too little", "Accuracy 95.0%, 5 points to spare",
    ]  # fmt: skip


def test_the_best_that_qualifies_is_named() -> None:
    found = judged("size<=100KB", SMALL, LARGE)
    assert (found.best, found.nearest, found.qualifying) == (1, None, (1,))
    found = judged("size<=150KB", SMALL, LARGE)
    assert found.best == 2
    assert judged("size<=150KB", SMALL, LARGE, by="size_bytes").best == 1
    assert judged("", SMALL, LARGE).qualifying == (0, 1, 2)


def test_the_baseline_is_a_candidate_like_any_other() -> None:
    assert judged("size<=1MB, speedup>=1, accuracy>=-0pt", SMALL | {"accuracy_change": -0.1}).best == 0


def test_where_none_qualifies_the_nearest_miss_is_named_with_what_is_missing() -> None:
    found = judged("size<=40KB", SMALL, LARGE)
    assert (found.best, found.nearest) == (None, 1)
    (verdict,) = found.files[1].missing
    assert verdict.state == "not met"
    assert verdict.margin == -10_000
    assert verdict.sentence == "File size 50.0 KB, 10.0 KB too much"


def test_a_miss_that_may_be_none_is_nearer_than_a_small_one() -> None:
    found = judged("size<=60KB, accuracy>=94.5%", SMALL, LARGE | {"size_bytes": 61_000.0})
    assert found.nearest == 1
    assert found.files[1].state == "within the uncertainty"
    assert "anything from 94.0% to 96.0% fits" in found.files[1].missing[0].sentence
    assert found.files[2].state == "not met"


def test_the_three_answers_of_an_interval() -> None:
    states = [judged(f"accuracy>={bound}%", SMALL).files[1].state for bound in (93, 94, 95, 96, 97)]
    assert states == ["met", "met", "within the uncertainty", "within the uncertainty", "not met"]


def test_times_are_compared_by_what_was_timed_in_turn() -> None:
    row = comparison_row("int8", "a", latency=0.025) | {"speedup": 1.9, "speedup_low": 1.8, "speedup_high": 2.1}
    assert quantity(Limit("latency_ms", "ratio", "most", 0.5), row).value == pytest.approx(1 / 1.9)
    assert judge_row(row, parse("latency<=0.5x")).state == "within the uncertainty"
    assert judge_row(row, parse("speedup>=2")).state == "within the uncertainty"
    assert judge_row(row, parse("speedup>=1.75")).state == "met"
    without = row | {"speedup": NAN, "speedup_low": NAN, "speedup_high": NAN}
    assert judge_row(without, parse("latency<=0.5x")).state == "not measured"


def test_what_was_not_measured_keeps_no_limit_and_is_never_the_nearest_of_several() -> None:
    found = judged("latency<=1µs", SMALL, comparison_row("int8", "c", latency=NAN))
    assert found.files[2].state == "not measured"
    assert found.nearest == 1
    assert "not measured" in found.files[2].missing[0].sentence
    assert judge_row(SMALL, parse("mae<=1")).state == "not measured"


def test_a_limit_on_the_loss_is_met_exactly_where_that_budget_is_certified() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        n = int(rng.integers(60, 3000))
        lost, gained = (int(k) for k in rng.integers(0, max(2, n // 20), 2))
        change = share_change(lost, gained, n)
        difference = Difference(
            metric="accuracy", version="1", unit="fraction", baseline=0.9, artifact_digest="a", baseline_digest="b",
            dataset_digest="c", **change.__dict__,
        )  # fmt: skip
        row = {"accuracy": 0.9 + change.value, "accuracy_change": change.value}
        row |= {"accuracy_change_floor": change.floor, "accuracy_change_ceiling": change.ceiling}
        state = judge_row(row, parse("accuracy>=-1pt")).state
        seen.add(state)
        expected = {"certified": "met", "failed": "not met", "not proven": "within the uncertainty"}
        assert state == expected[decide(difference, Budget("accuracy", 1.0)).state]
    assert len(seen) == 3


def test_an_error_may_grow_by_a_share_of_the_baselines() -> None:
    row = {"mae": 2.05, "mae_change": 0.05, "mae_change_floor": 0.02, "mae_change_ceiling": 0.08}
    assert judge_row(row, parse("mae<=+5%")).state == "met"
    assert judge_row(row, parse("mae<=+3%")).state == "within the uncertainty"
    assert judge_row(row, parse("mae<=1.005x")).state == "not met"


def test_how_sure_the_baseline_is_counts_where_nothing_was_paired() -> None:
    own = {"peak_memory_bytes": 1e6, "peak_memory_bytes_low": 0.9e6, "peak_memory_bytes_high": 1.1e6,
           "peak_memory_bytes_change": -0.5}  # fmt: skip
    base = {"peak_memory_bytes": 2e6, "peak_memory_bytes_low": 1.6e6, "peak_memory_bytes_high": 2.4e6}
    limit = parse("memory<=0.6x")
    assert judge_row(own, limit).state == "met"
    assert judge_row(own, limit, base).state == "within the uncertainty"
    found = quantity(limit[0], own, base)
    assert (found.low, found.high) == (pytest.approx(0.375), pytest.approx(0.6875))


def test_several_models_are_compared_each_with_its_own_baseline() -> None:
    other = comparison_row(model="other", size=10_000.0) | {"size_bytes_change": 0.0}
    small = comparison_row("int8", "z", "quantization", 0.9, 9_000.0, model="other") | {"size_bytes_change": -0.1}
    found = judge(pd.DataFrame([comparison_row(), other, SMALL, small]), parse("size<=0.5x"))
    assert [found.files[place].state for place in range(4)] == ["not met", "not met", "met", "not met"]


def test_no_files_and_no_bounds() -> None:
    empty = judge(pd.DataFrame(columns=["model", "dataset", "is_baseline"]), parse("size<=1KB"))
    assert (empty.best, empty.nearest, empty.files) == (None, None, {})
    assert math.isinf(judge_row({}, parse("size<=1KB")).distance[1])


def test_the_command_line_names_the_best_or_the_nearest(tmp_path) -> None:
    queue = JobQueue(Settings(home=tmp_path), FakeExecutor(Settings(home=tmp_path)))
    runs = queue.submit("sample:digits_cnn", "sample:optdigits", [recipe("int8"), recipe("float16")])
    queue.wait([run.id for run in runs])
    queue.close()

    def told(*words: str) -> object:
        return CliRunner().invoke(app, ["compare", *(run.id for run in runs), "--home", str(tmp_path), *words])

    done = told("--limits", "size<=1GB", "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 0
    assert answer["limits"] == "size<=1GB"
    assert {file["state"] for file in answer["files"]} == {"met"}
    assert answer["best"] in {file["name"] for file in answer["files"]}
    done = told("--limits", "size<=1B")
    assert done.exit_code == 1
    assert "No file keeps all limits for sure. The nearest is" in done.stderr
    assert "too much" in done.stdout
    assert "size" in told().stdout


@pytest.mark.parametrize("text", ["size<=0KB", "speedup>=0x", "latency<=0ms", "accuracy>=150%", "r2>=1.01"])
def test_limits_that_no_file_or_every_file_keeps_are_refused(text):
    with pytest.raises(InvalidParameter):
        parse(text)
