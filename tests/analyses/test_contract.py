"""What holds for every analysis, found by its folder."""

from __future__ import annotations

import inspect

import pytest

from optimizers import registry
from optimizers.engine.analysing import Question, analyse
from optimizers.errors import InvalidParameter, NotApplicable
from optimizers.figures.findings import chart
from optimizers.findings import Report
from optimizers.params import fields

QUICK = [name for name, declared in registry.analyses().items() if declared.quick]
UNITS = (
    "bytes",
    "KB",
    "MB",
    "ms",
    "µs",
    "s",
    "%",
    "points",
    "times",
    "bits",
    "dB",
    "per second",
    "J",
    "mJ",
    "µJ",
    "nJ",
)
LONG = [name for name in registry.analyses() if name not in QUICK]


@pytest.mark.parametrize("name", registry.analyses())
def test_declaration_is_complete(name):
    declared = registry.analysis(name)
    assert declared.title
    assert declared.summary.endswith("?")
    assert inspect.getdoc(declared.analyse)
    assert all(field.help.endswith(".") for field in fields(declared.params))


def check(queue, question):
    """The report of a question, or None where the analysis says why there is none."""
    try:
        report, key = analyse(queue.driver, question)
    except NotApplicable as error:
        sentence = error.message
    else:
        return checked(queue, question, report, key)
    assert sentence.endswith(".")
    return None


def checked(queue, question, report, key):
    assert report.sentences or report.facts or report.tables
    assert all(sentence.text.strip().endswith((".", ":")) for sentence in report.sentences)
    assert len({fact.name for fact in report.facts}) == len(report.facts)
    for table in report.tables:
        figure = chart(table)
        assert (figure is None) == (table.chart is None or not table.rows)
        if figure is not None:
            assert_axes_are_named(figure, table.chart.kind)
    for name in report.files:
        assert queue.analyses.file(key, name).stat().st_size > 0
    again, _ = analyse(queue.driver, question)
    assert again == report == Report.model_validate_json(report.model_dump_json())
    return report


def assert_axes_are_named(figure, kind):
    """Numbers have a title that says what they are of, not their unit alone; names need none."""
    across: list[str] = []  # of small panels only the lowest are named
    figure.for_each_xaxis(lambda axis: across.append(axis.title.text or ""))
    below, left = max(across), figure.layout.yaxis.title.text
    told = {"bars": [below], "waterfall": [below]}.get(kind, [below, left])
    assert all(title and title not in UNITS for title in told), (figure.layout.title.text, told)


@pytest.mark.parametrize("name", QUICK)
def test_every_file_gets_a_report_or_a_reason(queue, runs, name):
    found = [check(queue, Question(run, name, {})) for run in runs.values()]
    found.append(check(queue, Question(runs["int8"], name, {}, of_baseline=True)))
    found.append(check(queue, Question(runs["int8"], name, {}, against=runs["pruned"])))
    assert any(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_every_file_gets_a_report_or_a_reason_also_where_it_takes_longer(queue, runs, name):
    assert any(check(queue, Question(run, name, {})) for run in runs.values())


def test_a_wrong_parameter_is_told(queue, runs):
    with pytest.raises(InvalidParameter, match="no parameter 'x'"):
        analyse(queue.driver, Question(runs["int8"], "operators", {"x": 1}))


def test_a_page_gets_its_answer_a_moment_later(queue, runs):
    question = Question(runs["int8"], "operators", {}, against=runs["float32"])
    assert queue.analyses.look(question, start=False) is None or queue.analyses.look(question).report
    sight = queue.analyses.look(question)
    for _ in range(600):
        if not sight.pending:
            break
        queue._closing.wait(0.1)
        sight = queue.analyses.look(question)
    assert sight.report is not None
    assert not sight.problem


def test_files_of_other_models_are_not_compared(queue, runs):
    other = runs["int8"].model_copy(update={"model": runs["int8"].model.model_copy(update={"digest": "0" * 64})})
    sight = queue.analyses.look(Question(runs["int8"], "operators", {}, against=other))
    assert "one model on one data set" in sight.problem
