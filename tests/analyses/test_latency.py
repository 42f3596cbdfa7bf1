"""Times with chosen threads and batches, on real files."""

from __future__ import annotations

import pytest

from optimizers import registry
from optimizers.analyses.latency import check_batches
from optimizers.engine.analysing import Question, analyse
from optimizers.errors import NotApplicable


@pytest.fixture(scope="module")
def report(queue, runs):
    return analyse(queue.driver, Question(runs["int8"], "latency", {"seconds": 1.0, "batch": 8, "threads": 2}))[0]


def test_both_files_are_timed_and_the_ratio_is_the_one_of_the_processes(report):
    own, reference = report.table("times").rows
    ratio = report.fact("ratio")
    processes = [row["ratio"] for row in report.table("processes").rows if row["counts"] == "yes"]
    assert own["runs"] == reference["runs"] > 0
    assert own["median_low"] <= own["median"] <= own["median_high"]
    assert own["median"] <= own["p90"]
    assert len(processes) == ratio.n
    assert min(processes) <= ratio.value <= max(processes)
    assert report.fact("each").value == pytest.approx(own["median"] / 8)


def test_the_sentence_says_what_the_interval_says(report):
    ratio, said = report.fact("ratio"), report.sentences[0].text
    assert ("indistinguishable" in said) == (ratio.low <= 1 <= ratio.high)
    assert ("slower" in said) == (ratio.high < 1)
    assert any("2 threads" in sentence.text for sentence in report.sentences)


def test_quantiles_rise(report):
    for file in ("this file", "baseline"):
        times = [row["ms"] for row in report.table("distribution").rows if row["file"] == file]
        assert times == sorted(times)


def test_files_with_a_state_are_not_timed_in_batches(tmp_path):
    from optimizers.tf.convert import convert
    from tests.techniques.networks import built, digits

    (tmp_path / "lstm.tflite").write_bytes(convert(built("lstm"), "float32").file)
    x = digits().validation.x[:8]
    check_batches([tmp_path / "lstm.tflite"], x, 1)
    with pytest.raises(NotApplicable, match="one example at once"):
        check_batches([tmp_path / "lstm.tflite"], x, 4)


def test_it_holds_for_this_machine_only():
    assert registry.analysis("latency").alone
    assert registry.analysis("throughput").alone
