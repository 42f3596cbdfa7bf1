"""The original is measured as soon as a model is looked at with its data, once for all who may see it."""

from __future__ import annotations

from optimizers.errors import NotApplicable
from tests.pages.conftest import MODEL, healthy, shown
from tests.pages.test_pages import OTHER, TOKEN, ran


def measured(queue):
    return [run for run in queue.history.runs() if run.recipe == "float32"]


def test_the_original_is_measured_at_once_and_only_once(queue, visit):
    app = healthy(visit("model", token=TOKEN, **MODEL))
    (run,) = measured(queue)
    queue.wait([run.id], 60)
    healthy(app.run())
    told = {metric.label: metric.value for metric in app.metric}
    assert told["Accuracy"].endswith("%")
    assert "File size" in told
    assert "Latency (median)" in told
    assert {m.label for m in healthy(visit("model", token=OTHER, **MODEL)).metric} == set(told)
    assert measured(queue) == queue.history.runs([run.id])


def test_nobody_asked_for_it_so_it_is_not_what_is_compared(queue, visit):
    ids = ran(queue, "int8")
    healthy(visit("model", token=TOKEN, **MODEL))
    queue.wait([run.id for run in measured(queue)], 60)
    app = healthy(visit("compare", token=TOKEN))
    assert app.query_params["runs"] in (ids[0], [ids[0]])
    assert "`float32`" not in shown(healthy(visit("runs", token=TOKEN)))


def test_what_cannot_be_measured_is_told(queue, visit):
    queue.driver.executor.fail["float32"] = NotApplicable("The converter knows no layer like that.")
    app = healthy(visit("model", token=TOKEN, **MODEL))
    queue.wait([run.id for run in measured(queue)], 60)
    assert "The converter knows no layer like that" in shown(healthy(app.run()))
