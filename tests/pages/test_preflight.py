"""Forecasts on the page Optimize, quick picks that can be edited, and the ledger beside a file."""

from __future__ import annotations

import time

import pandas as pd
import pytest

from optimizers.engine.queue import Foresight
from optimizers.errors import NotApplicable
from optimizers.forecast import Forecast, StepForecast
from optimizers.ledger import Row, Stage
from optimizers.presets import PRESETS
from optimizers.recipe import parse
from pages.components import launch, preflight
from pages.components.forms import Choices, key_of
from pages.components.ledger import table
from tests.pages.conftest import MODEL, healthy, shown


def foreseen(queue, recipe):
    """Asks until the answer is there, as the page does by refreshing itself."""
    deadline = time.monotonic() + 30
    while (sight := queue.foresee(MODEL["model"], MODEL["data"], parse(recipe))).pending:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return sight


def test_a_forecast_appears_beside_the_variants(visit, queue):
    foreseen(queue, "int8")
    app = visit("optimize", **MODEL)
    app.toggle(key="on:int8").set_value(True).run()
    assert any("about 64 bytes, 60 bytes compressed" in e.label for e in healthy(app).expander)
    assert queue.driver.executor.asked["rehearse"] == 1


def test_what_cannot_work_is_said_before_anything_runs(visit, queue):
    queue.driver.executor.fail["rehearse"] = NotApplicable("No layer of this model can be pruned.")
    assert foreseen(queue, "int8").problem == "No layer of this model can be pruned."
    app = visit("optimize", **MODEL)
    app.toggle(key="on:int8").set_value(True).run()
    assert any("No layer of this model can be pruned" in e.label for e in healthy(app).expander)


def test_a_run_keeps_its_forecast_and_fails_early_where_it_cannot_work(queue):
    (run,) = queue.submit(MODEL["model"], MODEL["data"], [parse("int8")])
    queue.wait([run.id], 60)
    assert queue.history.run(run.id).forecast["size_bytes"] == 64
    queue.driver.executor.fail["rehearse"] = NotApplicable("No layer of this model can be pruned.")
    (run,) = queue.submit(MODEL["model"], MODEL["data"], [parse("magnitude_pruning")])
    queue.wait([run.id], 60)
    assert queue.history.run(run.id).failure.message == "No layer of this model can be pruned."
    assert queue.driver.executor.asked["magnitude_pruning"] == 0


def test_what_is_known_to_fail_is_not_started(visit, queue, monkeypatch):
    queue.driver.executor.fail["rehearse"] = NotApplicable("No layer of this model can be pruned.")
    app = visit("optimize", **MODEL)
    app.toggle(key="on:magnitude_pruning").set_value(True).run()
    for _ in range(50):
        if app.button(key="run").disabled:
            break
        time.sleep(0.1)
        app.run()
    assert app.button(key="run").disabled
    assert "Nothing of this can run on this model" in shown(healthy(app))
    del queue.driver.executor.fail["rehearse"]
    monkeypatch.setattr(launch, "impossible", lambda *_: {"magnitude_pruning+float32", "magnitude_pruning"})
    app.toggle(key="on:int8").set_value(True).run()
    healthy(app).button(key="run").click().run()
    assert {run.recipe for run in queue.history.runs()}.isdisjoint({"magnitude_pruning", "magnitude_pruning+float32"})


def test_a_quick_pick_can_be_edited(visit):
    app = visit("optimize", **MODEL)
    preset = next(p for p in PRESETS.values() if "magnitude_pruning(" in p.recipe)
    app.button_group(key="presets").set_value([preset.title]).run()
    assert f"`{preset.recipe}`" in shown(healthy(app))
    next(b for b in app.button if b.label.startswith("Edit")).click().run()
    step = next(s for s in parse(preset.recipe).steps if s.technique.name == "magnitude_pruning")
    assert app.toggle(key="on:magnitude_pruning").value
    slider = app.slider(key=key_of("magnitude_pruning", "target_sparsity"))
    assert slider.value == round(step.params.target_sparsity * 100)
    assert f"`{preset.recipe}`" in shown(healthy(app))


@pytest.mark.parametrize("uri", ["file:/etc/passwd", "/etc/passwd", "upload:" + "0" * 32])
def test_a_typed_recipe_cannot_reach_files_of_the_server(visit, queue, uri):
    app = visit("optimize", **MODEL)
    recipe = f"distillation(student=own, model={uri!r})"
    app.text_input(key="typed_recipe").set_value(recipe)
    next(b for b in app.button if b.label == "Add to the comparison").click().run()
    next(b for b in healthy(app).button if b.label == "Run 1 variant").click().run()
    assert len(healthy(app).error) == 1
    assert queue.history.runs() == []


def test_layers_can_be_chosen(visit):
    app = visit("optimize", **MODEL)
    app.toggle(key="on:magnitude_pruning").set_value(True).run()
    choice = app.multiselect(key=key_of("magnitude_pruning", "layers"))
    assert choice.options == ["dense"]
    choice.set_value(["dense"]).run()
    assert "`magnitude_pruning(layers=dense)`" in shown(healthy(app))


def test_a_forecast_is_told_in_one_line():
    forecast = Forecast(steps=(), size_bytes=55_000, compressed_bytes=35_000, parameters=1, macs=1, seconds=95)
    assert preflight.summary(Foresight(forecast)) == "about 55.0 KB, 35.0 KB compressed, ready in 1 min 35 s"
    assert "looking ahead" in preflight.summary(Foresight())
    grown = forecast.model_copy(update={"original_bytes": 14_000})
    assert "larger than the original, 14.0 KB" in preflight.summary(Foresight(grown))
    assert not forecast.model_copy(update={"original_bytes": 54_000}).grows
    assert "Too deep" in preflight.summary(Foresight(problem="Too deep"))


def test_layers_of_which_the_same_is_said_stand_together():
    step = StepForecast(technique="int8", touched={"a": "int8", "b": "int8", "c": "float32"})
    assert preflight.by_words(step.touched) == {"int8": "`a`, `b`", "float32": "`c`"}


def test_the_ledger_has_a_row_per_layer_and_columns_per_stage():
    row = Row(layer="dense", weight="kernel", values=640, sparsity=0.5, unique=321, dtype="float32")
    stages = (
        Stage("", (row,)),
        Stage("magnitude_pruning", (row,)),
        Stage("int8", (row.model_copy(update={"dtype": "int8", "unique": 97}),)),
    )
    frame = table(stages)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.index) == ["dense"]
    assert frame.loc["dense", ("Full int8 (weights and activations)", "type")] == "int8"
    assert frame.loc["dense", ("Magnitude pruning", "zeros")] == "50%"


def test_choices_are_empty_without_a_model():
    assert Choices() == Choices((), {})
