"""The parts of the pages that need no page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optimizers import sessions
from optimizers.engine.progress import Progress
from optimizers.presets import PRESETS
from optimizers.recipe import Step
from optimizers.records import DatasetRef, ModelRef, Run, StageRecord, now
from optimizers.registry import technique
from optimizers.settings import Settings
from pages.components.details import file_name
from pages.components.forms import spread
from pages.components.run_cards import details, ending, fraction, told
from pages.components.text import code, escaped
from pages.components.variants import from_text, presets, proposals, sensible_order


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
    steps = [Step.of("magnitude_pruning"), Step.of("int8")]
    assert texts(proposals(steps, each=True, combined=True)) == ["magnitude_pruning", "int8", "magnitude_pruning+int8"]
    assert texts(proposals(steps, each=False, combined=True)) == ["magnitude_pruning+int8"]
    assert texts(proposals(steps, each=True, combined=False)) == ["magnitude_pruning", "int8"]
    assert proposals(steps, each=False, combined=False) == []
    assert texts(proposals(steps[:1], each=False, combined=True)) == ["magnitude_pruning"]
    assert proposals([], each=True, combined=True) == []


def test_several_conversions_make_several_combinations():
    steps = [Step.of("magnitude_pruning"), Step.of("float16"), Step.of("int8")]
    combined = texts(proposals(steps, each=False, combined=True))
    assert combined == ["magnitude_pruning+float16", "magnitude_pruning+int8"]


def test_two_conversions_alone_need_no_combination():
    steps = [Step.of("float16"), Step.of("int8")]
    assert texts(proposals(steps, each=True, combined=True)) == ["float16", "int8"]


def test_a_conversion_in_front_is_one_impossible_chain():
    (chain,) = proposals([Step.of("int8"), Step.of("magnitude_pruning")], each=False, combined=True)
    assert "Move int8 to the end" in chain.problem


@pytest.mark.parametrize("text", ["", "int8+float16", "nothing", "int8(io=3)", "recipe.json", "__import__('os')"])
def test_typed_nonsense_is_a_problem_in_words(text):
    assert from_text(text).problem


def test_presets_can_all_run():
    assert set(presets().values()) == {preset.recipe for preset in PRESETS.values()}
    assert all(from_text(recipe).warnings == () for recipe in presets().values())


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
    assert details(run(), training) == "val loss 0.1235 · about 12 s left in this step"
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
    assert file_name("../my model.keras", "p(a=0.8)+int8") == ".._my_model-p_a_0.8_+int8.tflite"


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
