"""The parts of the pages that need no page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optimizers import registry, sessions
from optimizers.engine.progress import Progress
from optimizers.errors import InvalidParameter
from optimizers.params import fields
from optimizers.presets import PRESETS
from optimizers.records import DatasetRef, LayerRow, ModelRef, Run, StageRecord, now
from optimizers.registry import technique
from optimizers.settings import Settings
from pages.components.details import file_name, off
from pages.components.forms import Choices, spread
from pages.components.run_cards import details, ending, fraction, told
from pages.components.text import code, escaped
from pages.components.values import offered, read, shown, suggested
from pages.components.variants import from_text, presets, proposals, recipes_of, sensible_order


def texts(variants):
    return [variant.text for variant in variants]


def run(**changes):
    fields = {
        "id": "a", "scope": "shared", "recipe": "int8", "steps": (), "seed": 0, "state": "done",
        "model": ModelRef(uri="sample:m", name="m", digest="0" * 64),
        "dataset": DatasetRef(uri="sample:d", name="d", digest="1" * 64),
    }  # fmt: skip
    return Run(**(fields | changes))


def test_what_converts_comes_last():
    names = sensible_order(technique(name) for name in ("int8", "magnitude_pruning"))
    assert names == ["magnitude_pruning", "int8"]


def test_each_on_its_own_all_combined_or_both():
    steps = [("magnitude_pruning", {}), ("int8", {})]
    assert texts(proposals(steps, each=True, combined=True)) == ["magnitude_pruning", "int8", "magnitude_pruning+int8"]
    assert texts(proposals(steps, each=False, combined=True)) == ["magnitude_pruning+int8"]
    assert texts(proposals(steps, each=True, combined=False)) == ["magnitude_pruning", "int8"]
    assert proposals(steps, each=False, combined=False) == []
    assert texts(proposals(steps[:1], each=False, combined=True)) == ["magnitude_pruning"]
    assert proposals([], each=True, combined=True) == []


def test_several_conversions_make_several_combinations():
    steps = [("magnitude_pruning", {}), ("float16", {}), ("int8", {})]
    combined = texts(proposals(steps, each=False, combined=True))
    assert combined == ["magnitude_pruning+float16", "magnitude_pruning+int8"]


def test_two_conversions_alone_need_no_combination():
    steps = [("float16", {}), ("int8", {})]
    assert texts(proposals(steps, each=True, combined=True)) == ["float16", "int8"]


def test_each_step_can_be_left_out_of_three():
    steps = [("magnitude_pruning", {}), ("weight_clustering", {}), ("int8", {})]
    found = texts(proposals(steps, each=False, combined=False, left_out=True))
    assert found == ["weight_clustering+int8", "magnitude_pruning+int8", "magnitude_pruning+weight_clustering"]
    assert proposals(steps[:2], each=False, combined=False, left_out=True) == []


def test_a_setting_with_several_values_makes_several_recipes():
    steps = [("magnitude_pruning", {"target_sparsity": [0.5, 0.7]}), ("int8", {})]
    alone, int8, both = proposals(steps, each=True, combined=True)
    assert alone.text == "magnitude_pruning(target_sparsity=[0.5, 0.7])"
    assert both.recipes == tuple(f"magnitude_pruning(target_sparsity={share})+int8" for share in (0.5, 0.7))
    assert int8.recipes == ("int8",)
    assert len(recipes_of([alone, int8, both])) == 5
    assert from_text(both.text) == both
    assert len(recipes_of([both, from_text(both.recipes[0])])) == 2


@pytest.mark.parametrize("name", registry.techniques())
def test_offered_values_are_values_and_are_read_back(name):
    for field in fields(technique(name).params):
        choices = Choices(layers=("conv",), models={"sample:m": "m"})
        values = offered(field, choices)
        assert 1 < len(values) <= 20
        assert field.default in values
        assert read(field, [shown(field, value) for value in values]) == values
        assert set(suggested(field, choices)) <= set(values)
        if field.kind in ("int", "float"):
            assert field.low is None or field.low <= values[0]
            assert field.high is None or values[-1] <= field.high


def field_of(name, setting):
    return next(f for f in fields(technique(name).params) if f.name == setting)


@pytest.mark.parametrize(
    ("setting", "typed", "values"),
    [
        ("target_sparsity", ["50%", "70"], [0.5, 0.7]),
        ("target_sparsity", ["10 to 90 in 5"], [0.1, 0.3, 0.5, 0.7, 0.9]),
        ("epochs", ["2, 4", "4"], [2, 4]),
        ("epochs", ["1 to 8 in 3"], [1, 4, 8]),
        ("learning_rate", ["1e-4 to 1e-2 in 3"], [1e-4, 1e-3, 1e-2]),
        ("schedule", ["constant"], ["constant"]),
        ("depthwise", ["yes"], [True]),
    ],
)
def test_values_can_be_typed(setting, typed, values):
    assert read(field_of("magnitude_pruning", setting), typed) == values


@pytest.mark.parametrize(
    ("setting", "typed", "words"),
    [
        ("target_sparsity", "half", "'half' is no value of .*; write numbers"),
        ("target_sparsity", "120", "must be 0% to 95%, got 120"),
        ("epochs", "2.5", "whole number"),
        ("epochs", "1 to 5 in 1", "no span"),
        ("epochs", "nan", "must be 1 to 200"),
    ],
)
def test_typed_nonsense_is_no_value(setting, typed, words):
    with pytest.raises(InvalidParameter, match=words):
        read(field_of("magnitude_pruning", setting), [typed])


def test_a_conversion_in_front_is_one_impossible_chain():
    (chain,) = proposals([("int8", {}), ("magnitude_pruning", {})], each=False, combined=True)
    assert "Move int8 to the end" in chain.problem


@pytest.mark.parametrize("text", ["", "int8+float16", "nothing", "int8(io=3)", "recipe.json", "__import__('os')"])
def test_typed_nonsense_is_a_problem_in_words(text):
    assert from_text(text).problem


@pytest.mark.parametrize("kind", ["Dense", "GRU"])
def test_presets_can_all_run(kind):
    layers = [LayerRow(name="first", kind=kind, output_shape=(4,), parameters=20)]
    found = presets(layers)
    assert list(found) == [preset.title for preset in PRESETS.values()]
    assert all(from_text(recipe).warnings == () for recipe in found.values())


def test_progress_counts_all_steps_alike():
    assert fraction(None) == 0
    assert fraction(Progress(stage=0, stages=4, title="Preparing")) == 0
    assert fraction(Progress(stage=2, stages=4, title="x", step=5, of=10)) == 0.375
    assert fraction(Progress(stage=4, stages=4, title="x", step=20, of=10)) == 1
    assert told(Progress(stage=2, stages=4, title="Pruning", step=5, of=10)) == "Step 2 of 4: Pruning, 50%"
    assert told(None) == "Starting"


def test_the_line_of_details_is_never_empty():
    assert details(run(), None) == "Starting"
    training = Progress(stage=1, stages=2, title="x", metrics={"val_loss": 0.12345}, seconds_left=12.4)
    assert details(run(), training) == "validation loss 0.1235 · about 12 s left in this step"
    waiting = Progress(stage=1, stages=2, title="x", metrics={"loss": 1.0}, waiting="Waiting.")
    assert details(run(), waiting) == "Waiting."


def test_endings():
    stages = tuple(StageRecord(key="k", technique="int8", origin=o, seconds=1.0) for o in ("store", "computed"))
    start = now()
    ended = run(started_at=start, finished_at=start + timedelta(seconds=75), stages=stages)
    assert ending(ended) == "Took 1 min 15 s · 1 of 2 steps came from the store"
    assert ending(run(state="cancelled")).startswith("Cancelled")


def test_sensible_values_of_a_logarithmic_control():
    assert spread(1e-4, 1e-2, 3e-4) == [1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2]


def test_words_of_others_stay_words():
    assert escaped("a_b *c* [d](e) $x$") == "a\\_b \\*c\\* \\[d\\]\\(e\\) \\$x\\$"
    assert code("a`b") == "`a'b`"
    assert file_name("../my model.keras", "p(a=0.8)+int8") == "my_model-p_a_0.8_+int8.tflite"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path))
    return Settings()


def test_sessions_remember_their_runs_and_nobody_elses(settings):
    mine, other = sessions.new_token(), sessions.new_token()
    assert sessions.remembered(mine, settings) == []
    sessions.remember(mine, ["a", "b"], settings)
    sessions.remember(mine, ["b", "c"], settings)
    assert sessions.remembered(mine, settings) == ["a", "b", "c"]
    assert sessions.remembered(other, settings) == []
    assert not any(mine in path.read_text() + path.name for path in settings.home.rglob("*.json"))


def test_a_damaged_session_file_is_an_empty_one(settings):
    token = sessions.new_token()
    sessions.remember(token, ["a"], settings)
    next(settings.home.rglob("*.json")).write_text("{")
    assert sessions.remembered(token, settings) == []


def test_tokens_are_recognized_by_their_form():
    assert sessions.is_token(sessions.new_token())
    assert not sessions.is_token(None)
    assert not sessions.is_token("../" * 15)
    assert sessions.scope_of("a") != sessions.scope_of("b")
    assert len(sessions.scope_of("a")) <= 80


@pytest.mark.parametrize(
    ("measured", "expected", "more", "words"),
    [
        (347.0, 37.0, "longer", "9.4 times as long"), (40.0, 37.0, "longer", "8% longer"),
        (30.0, 40.0, "longer", "25% shorter"), (19.0, 21.2, "more", "10% less"),
        (100.2, 100.0, "more", "as expected"), (50.0, 20.0, "more", "2.5 times as much"),
    ],
)  # fmt: skip
def test_forecasts_are_held_against_the_truth_in_words(measured, expected, more, words):
    assert off(measured, expected, more) == words
