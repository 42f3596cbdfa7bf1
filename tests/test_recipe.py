"""Recipes: the short form and JSON round trip, impossible chains and bad values are explained."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers import registry
from optimizers.errors import InvalidParameter, InvalidRecipe, UnknownName, UserError
from optimizers.grid import recipes_of
from optimizers.params import fields
from optimizers.presets import PRESETS, suited
from optimizers.recipe import Recipe, Step, parse, warnings
from optimizers.records import LayerRow


def test_the_short_form_keeps_what_was_said_and_nothing_else():
    assert parse("int8").text == "int8"
    text = "magnitude_pruning(target_sparsity=0.8)+int8"
    assert parse(text).text == text
    assert parse(" magnitude_pruning( target_sparsity = 0.8 ) + int8 ").text == text
    assert parse("magnitude_pruning(schedule=constant)+int8(io='int8')").text == (
        "magnitude_pruning(schedule=constant)+int8(io=int8)"
    )


def test_a_recipe_without_a_conversion_gets_one():
    assert parse("magnitude_pruning").text == "magnitude_pruning"
    assert parse("magnitude_pruning").complete().text == "magnitude_pruning+float32"
    assert parse("int8").complete().text == "int8"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_recipes(name):
    assert parse(name) == parse(PRESETS[name].recipe)


@pytest.mark.parametrize("read", [parse, recipes_of])
def test_a_mistyped_preset_is_told_which_there_are(read):
    with pytest.raises(UnknownName, match=rf"no technique or preset 'smalest'.*presets are {', '.join(PRESETS)}"):
        read("smalest")
    with pytest.raises(UnknownName) as told:
        read("smalest+int8")
    assert "presets" not in told.value.message


def test_a_preset_may_be_another_recipe_for_recurrent_models():
    plain, recurrent = (
        [LayerRow(name="first", kind=kind, output_shape=(4,), parameters=20)] for kind in ("Conv2D", "Bidirectional")
    )
    assert suited("fastest", plain) == PRESETS["fastest"].recipe
    assert "recurrent=unrolled" in parse(suited("fastest", recurrent)).text
    assert parse(suited("smallest", plain)).steps[-1].technique.name == "int8"
    assert parse(suited("smallest", recurrent)).steps[-1].technique.name == "low_bit"
    assert parse(suited("balanced", recurrent)).steps[-1].technique.name == "low_bit"
    assert suited("microcontroller", recurrent) == PRESETS["microcontroller"].recipe
    assert suited("int8", recurrent) == "int8"


def test_json_is_read_back(tmp_path):
    recipe = parse("magnitude_pruning(target_sparsity=0.8)+int8")
    assert parse(recipe.to_json()) == recipe
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json())
    assert parse(str(path)) == recipe


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", InvalidRecipe, "no recipe"),
        ("int7", UnknownName, "no technique or preset 'int7'; techniques are .*int8"),
        ("int8+magnitude_pruning", InvalidRecipe, r"Step 2 \(magnitude_pruning\) accepts a Keras model, but step 1"),
        ("int8+float16", InvalidRecipe, "Keep only one of them: both int8 and float16 convert"),
        ("int8+int8", InvalidRecipe, r"Keep only one of them\.$"),
        ("quantization_aware_training+low_rank", InvalidRecipe, "Put low_rank before it"),
        ("quantization_aware_training+float16", InvalidRecipe, "Use int8 instead of float16, or leave quantization_aw"),
        (
            "magnitude_pruning(target_sparsity=1.2)",
            InvalidParameter,
            r"target_sparsity must be a number in \[0, 0.95\]",
        ),
        ("magnitude_pruning(target_sparsity='half')", InvalidParameter, "got 'half'"),
        ("magnitude_pruning(sparsity=0.5)", InvalidParameter, "no parameter 'sparsity'; it takes: .*target_sparsity"),
        ("magnitude_pruning(schedule=cubic)", InvalidParameter, "must be one of .*polynomial.*, got 'cubic'"),
        ("magnitude_pruning(0.5)", InvalidRecipe, "named values"),
        ("int8()()", InvalidRecipe, "no step"),
        ("int8-float16", InvalidRecipe, "no step"),
        ("__import__('os').system('true')", InvalidRecipe, "no step"),
        ("int8(io=open('x'))", InvalidParameter, "a number, a word or true/false"),
        ("int8(**{'io': 'int8'})", InvalidRecipe, "no step"),
        ("+".join(["magnitude_pruning"] * 13), InvalidRecipe, "13 steps"),
        ("x" * 5000, InvalidRecipe, "5000 characters"),
        ('{"steps": 3}', InvalidRecipe, "is no recipe"),
        ('{"steps": []}', InvalidRecipe, "no steps"),
        ("missing.json", InvalidRecipe, "cannot be read"),
    ],
)
def test_nonsense_is_explained(text, error, words):
    with pytest.raises(error, match=words) as caught:
        parse(text)
    assert "\n" not in caught.value.message


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_a_user_error(text):
    with contextlib.suppress(UserError):
        parse(text)


def values(field):
    if field.kind in ("layers", "model"):
        return st.sampled_from(["", "conv1", "conv*, !conv2", "sample:digits_cnn"])
    if field.kind == "choice":
        return st.sampled_from(field.choices)
    if field.kind == "bool":
        return st.booleans()
    if field.kind == "int":
        return st.integers(int(field.low), int(field.high))
    return st.floats(field.low, field.high)


@given(st.data())
def test_every_step_that_can_be_said_is_read_back(data):
    technique = data.draw(st.sampled_from(list(registry.techniques().values())))
    declared = fields(technique.params)
    chosen = data.draw(st.lists(st.sampled_from(declared), unique_by=lambda f: f.name)) if declared else []
    given = {f.name: data.draw(values(f)) for f in declared if f in chosen}
    try:
        step = Step.of(technique.name, **given)
    except InvalidParameter:  # bounds between two parameters
        return
    assert parse(step.text).steps == (step,)
    assert parse(Recipe((step,)).to_json()).steps == (step,)


def test_each_step_knows_what_holds_before_it():
    recipe = parse("structured_pruning+magnitude_pruning+int8")
    assert [sorted(held) for held in recipe.held()] == [[], ["structure"], ["sparsity", "structure"]]


def test_a_model_prepared_for_quantization_is_completed_with_int8():
    assert parse("quantization_aware_training").complete().text == "quantization_aware_training+int8"


def test_models_that_settings_name_are_listed_once():
    recipe = parse("distillation(student=own, model='sample:a', teacher='sample:b')+distillation(teacher='sample:a')")
    assert recipe.models() == ("sample:a", "sample:b")
    assert parse("int8").models() == ()


def test_a_destroyed_property_is_told_with_the_way_out():
    (warning,) = warnings(parse("magnitude_pruning+distillation"))
    assert "destroys the zeros that magnitude_pruning achieved. Put distillation before" in warning


def test_destroyed_properties_are_warned_of():
    assert warnings(parse("magnitude_pruning+int8")) == []
    assert warnings(parse("int8")) == []
