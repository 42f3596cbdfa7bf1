"""The strip that tells whether variants stay within a budget."""

from __future__ import annotations

from tests.pages.conftest import healthy, shown
from tests.pages.test_pages import TOKEN, ran


def test_a_budget_is_judged_for_every_variant_and_kept(visit, queue):
    """The fake's variants lose 5 and gain 3 of 1,000 examples, so that a drop of 0.82 points is ruled out."""
    ids = ran(queue, "int8", "float16")
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ids)))
    assert app.number_input(key="budget_points").value == 1.0
    line = next(m.value for m in app.markdown if "Certified" in m.value)
    assert "`int8`" in line
    assert "`float16`" in line
    assert "1,000 test examples" in shown(app)
    app.number_input(key="budget_points").set_value(0.5).run()
    line = next(m.value for m in healthy(app).markdown if "Not proven" in m.value)
    assert "test examples would be needed" in line
    assert "Certified" not in shown(app)
    digest = queue.history.run(ids[0]).dataset.digest
    kept = {(v.budget, v.state) for v in queue.history.verdicts(digest)}
    assert kept == {(1.0, "certified"), (0.5, "not proven")}


def test_differences_stand_with_their_intervals_beside_the_figures(visit, queue):
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ran(queue, "int8"))))
    assert "−0.2 points :gray[:small[−0.9\u00a0to\u00a0+0.4]]" in shown(app)


def test_what_is_absent_is_told_with_its_reason(visit, queue):
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ran(queue, "int8"))))
    assert "Not measured. *ROC AUC*: One class only. *Latency (99th percentile)*: Too few runs." in shown(app)


def test_there_is_no_strip_where_nothing_is_known_to_be_right(visit, queue, monkeypatch):
    monkeypatch.setattr("pages.components.budget.differences_by_run", lambda _, runs: {run.id: {} for run in runs})
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ran(queue, "int8"))))
    assert not [n for n in app.number_input if "budget" in (n.key or "")]
