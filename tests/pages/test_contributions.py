"""What each step bought beside a comparison, and single examples of data only for whoever may see them."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from optimizers import sessions
from pages.components import session
from tests.pages.conftest import healthy, shown
from tests.pages.test_pages import TOKEN, ran


def test_variants_that_are_missing_can_be_run_from_the_page(visit, queue):
    ids = ran(queue, "magnitude_pruning+int8")
    app = healthy(visit("compare", token=TOKEN, runs=ids[0]))
    assert "What each step bought" in [subheader.value for subheader in app.subheader]
    before = len(queue.history.runs())
    app.button(key=f"missing:{ids[0]}").click().run()
    started = [run.recipe for run in queue.history.runs()][: len(queue.history.runs()) - before]
    assert {"int8", "magnitude_pruning"} <= set(started)
    assert set(sessions.remembered(TOKEN, queue.settings)) >= {run.id for run in queue.history.runs()}


def test_a_single_step_has_no_contributions(visit, queue):
    ids = ran(queue, "int8")
    assert "What each step bought" not in shown(healthy(visit("compare", token=TOKEN, runs=ids[0])))


def test_runs_on_what_others_brought_are_not_started(visit, queue):
    (run_id,) = ran(queue, "magnitude_pruning+int8")
    run = queue.history.run(run_id)
    queue.history.update(run_id, model=run.model.model_copy(update={"uri": "upload:unknown"}))
    app = healthy(visit("compare", token=TOKEN, runs=run_id))
    assert f"missing:{run_id}" not in [button.key for button in app.button]


def report_page(examples):
    from optimizers.findings import Column, Report, Table
    from pages.components.look import show

    table = Table(
        name="t", title="Turned wrong", columns=(Column(name="x", title="X"),), rows=({"x": "secret"},), examples=True
    )
    show(Report(tables=(table,)), "flips", examples=examples)


def test_single_examples_are_for_whoever_may_see_the_data():
    app = AppTest.from_function(report_page, args=(True,)).run()
    assert app.dataframe[0].value.iloc[0, 0] == "secret"
    app = AppTest.from_function(report_page, args=(False,)).run()
    assert not app.dataframe
    assert "only to whoever brought the data" in app.caption[0].value


def test_public_data_are_for_all_and_uploads_for_their_owner(queue, monkeypatch):
    run = queue.history.run(ran(queue, "int8")[0])
    private = run.model_copy(update={"dataset": run.dataset.model_copy(update={"scope": sessions.scope_of(TOKEN)})})
    monkeypatch.setattr(session, "token", lambda: TOKEN)
    assert session.sees_examples(run)
    assert session.sees_examples(private)
    monkeypatch.setattr(session, "token", lambda: sessions.new_token())
    assert session.sees_examples(run)
    assert not session.sees_examples(private)
