"""Operators and the integer-only verdict, on real files."""

from __future__ import annotations

from optimizers.engine.analysing import Question, analyse


def test_int8_file_computes_nothing_in_floating_point(queue, runs):
    report, _ = analyse(queue.driver, Question(runs["int8"], "operators", {}))
    assert report.fact("floating").value == 0
    assert report.fact("casts").value == 2
    assert "Integer inside" in report.sentences[0].text


def test_float_file_computes_everything_in_floating_point(queue, runs):
    report, _ = analyse(queue.driver, Question(runs["float32"], "operators", {}))
    assert report.fact("floating").value == report.fact("operators").value > 0
    rows = report.table("operators").rows
    assert all(row["count"] == row["reference"] for row in rows)
