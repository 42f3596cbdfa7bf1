"""Time by operator, on real files."""

from __future__ import annotations

import pytest

from optimizers.engine.analysing import Question, analyse
from optimizers.litert.slices import Cutter


@pytest.fixture(scope="module")
def report(queue, runs):
    return analyse(queue.driver, Question(runs["int8"], "profile", {"seconds": 1.0}))[0]


def test_every_operator_has_a_row_with_its_layer(queue, runs, report):
    kinds = Cutter(queue.store.path(queue.store.get(runs["int8"].artifact_key)).read_bytes()).kinds
    rows = report.table("operators").rows
    assert [row["operator"].split()[1] for row in rows] == list(kinds)
    assert all(row["low"] <= row["ms"] <= row["high"] for row in rows)
    for layer in ("conv1", "conv2", "conv3", "hidden", "classes"):
        assert sum(f"({layer}" in row["operator"] for row in rows) == 1


def test_parts_add_up_and_the_rest_is_told(report):
    operators = sum(row["ms"] for row in report.table("operators").rows)
    assert operators == pytest.approx(report.fact("sum").value)
    for name in ("layers", "kinds"):
        assert sum(row["ms"] or 0 for row in report.table(name).rows) == pytest.approx(operators)
    explained = (operators + report.fact("call").value) / report.fact("whole").value
    assert report.fact("rest").value == pytest.approx(1 - explained)
    assert any("one by one" in sentence.text for sentence in report.sentences)


def test_what_runs_outside_the_delegate_is_named(report):
    outside = [row["operator"] for row in report.table("operators").rows if row["runs"] == "own kernel"]
    assert report.fact("outside").value == len(outside)
    assert all(any(operator.split()[1] in s.text for s in report.sentences) for operator in outside)


def test_conversions_tell_what_they_lie_between(report):
    first, last = report.table("conversions").rows
    assert (first["after"], first["before"]) == ("input", "conv1")
    assert last["before"] == "output"


def test_layers_stand_beside_those_of_the_reference(report):
    rows = {row["group"]: row for row in report.table("layers").rows}
    assert rows["conv2"]["reference"] > 0
    assert rows["quantize"]["reference"] is None
