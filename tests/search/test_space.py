"""What a search may try follows from declarations; chains that make no sense are not in it."""

from __future__ import annotations

import optuna
import pytest

from optimizers import registry
from optimizers.params import fields
from optimizers.recipe import check, parse, warnings
from optimizers.records import DatasetSummary, LayerRow, ModelSummary, TensorSpec
from optimizers.search.guide import Guide
from optimizers.search.records import LayerDamage, Study
from optimizers.search.space import NONE, Given, Space, searched, setting, trains

LAYERS = tuple(LayerDamage(layer=name, moved=size) for name, size in (("a", 0.5), ("b", 0.2), ("c", 0.1), ("d", 0.0)))


def summary(kind="keras"):
    spec = TensorSpec(name="x", shape=(8, 8, 1), dtype="float32")
    return ModelSummary(
        format="keras",
        keras_version="3",
        inputs=(spec,),
        outputs=(TensorSpec(name="y", shape=(10,), dtype="float32"),),
        layers=(LayerRow(name="dense", kind="Dense", output_shape=(10,), parameters=650),),
        parameters=650,
        trainable_parameters=650,
        kind=kind,
    )


def data(**more):
    given = {"task": "classification", "input_shape": (8, 8, 1), "input_dtype": "float32", "n_train": 100}
    return DatasetSummary(**{**given, "n_validation": 50, "n_test": 50, "classes": ("0", "1"), **more})


def drawn(space, count=60, seed=0):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(count):
        trial = study.ask()
        yield space.suggest(trial, "short"), trial.params


def test_every_chain_can_work_and_undoes_nothing():
    space = Space(summary(), data())
    assert len(space.chains) > 50
    for recipe, params in drawn(space):
        check(recipe)
        assert warnings(recipe) == []
        assert recipe.steps[-1].technique.produces == "tflite"
        assert parse(recipe.text).text == recipe.text
        assert space.recipe(params, "short").text == recipe.text


def test_every_technique_is_in_the_space_and_clusters_end_in_something_that_keeps_them():
    chains = Space(summary(), data()).chains
    used = {name for chain in chains for part in chain for name in part.split("+")}
    assert used - {NONE} == set(registry.techniques())
    clustered = {chain[-1] for chain in chains if "weight_clustering" in chain}
    assert "int8" in clustered
    assert "int16x8" not in clustered  # it gives every channel a scale of its own
    assert all(chain[:3] != ("low_rank", "low_rank", NONE) for chain in chains)


def test_data_and_models_that_cannot_be_trained_leave_conversions():
    for space in (
        Space(summary(), data(drawn=True, task="fidelity")),
        Space(summary("keras3"), data()),
    ):
        assert space.chains
        assert not any(trains(space.recipe(params, "none")) for params in space.untrained())
        assert list(space.openings("int8")) == []
    assert {chain[-1] for chain in Space(summary("tflite"), data()).chains} >= {"float16", "dynamic_range"}
    assert "int8" not in {chain[-1] for chain in Space(summary("tflite"), data()).chains}


def test_only_allowed_techniques_are_used():
    space = Space(summary(), data(), ("magnitude_pruning", "int8"))
    assert set(space.chains) == {
        (NONE, NONE, NONE, "int8"),
        (NONE, "magnitude_pruning", NONE, "int8"),
    }
    texts = {recipe.text.partition("(")[0] for recipe, _ in drawn(space, 20)}
    assert texts <= {"magnitude_pruning", "int8"}


def test_settings_stay_within_their_declared_bounds_and_advanced_ones_alone():
    for technique in registry.techniques().values():
        names = {field.name for field in searched(technique)}
        assert names.isdisjoint({f.name for f in fields(technique.params) if f.advanced} | {"epochs", "layers"})
    assert "io" not in {field.name for field in searched(registry.technique("int8"))}
    for recipe, _ in drawn(Space(summary(), data()), 100, seed=1):
        for step in recipe.steps:
            assert step.given.get("student") != "own"  # needs a model that somebody brings


def test_short_trainings_are_a_quarter_of_full_ones():
    space = Space(summary(), data())
    params = next(p for p in space.openings("int8") if "magnitude_pruning" in p.values())
    short, full = space.recipe(params, "short").steps[0].params, space.recipe(params, "full").steps[0].params
    assert (short.epochs, short.min_steps) == (full.epochs // 4, full.min_steps // 4)


def test_openings_try_each_training_technique_alone_first():
    space = Space(summary(), data())
    tried = [space.recipe(params, "short").steps for params in space.openings("int8")]
    alone = {steps[0].technique.name for steps in tried if len(steps) == 2}
    assert alone == {t.name for t in registry.techniques().values() if "train" in t.needs}


def test_once_layers_are_ranked_steps_may_spare_the_most_sensitive():
    params = next(p for p in Space(summary(), data()).openings("int8") if "magnitude_pruning" in p.values())
    space = Space(summary(), data(), layers=LAYERS)
    spared = space.recipe({**params, "magnitude_pruning.spared": 2}, "full")
    assert spared.steps[0].given == {"layers": "!a, !b"}
    assert space.recipe(params, "full").text == Space(summary(), data()).recipe(params, "full").text
    assert setting("magnitude_pruning.spared").endswith("most sensitive layers left alone")


def test_settings_have_names_for_people():
    assert setting("magnitude_pruning.target_sparsity").endswith(": sparsity")
    assert setting("ending but int16x8") == "Ending"
    assert setting("structure") == "Smaller structure by"


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_guide_learns_from_what_it_is_told_and_keeps_limits(sampler, model_ref, data_ref):
    study = Study(
        id="s", scope="shared", model=model_ref, dataset=data_ref, objectives=("size_bytes", "accuracy"),
        sampler=sampler, seconds=60,
    )  # fmt: skip
    space = Space(summary(), data(), ("magnitude_pruning", "int8", "float16"))
    guide = Guide(study, space)
    ends = []
    for _ in range(60):
        handle, params = guide.ask()
        recipe = space.recipe(params, "short")
        small = recipe.steps[-1].technique.name == "int8"
        guide.tell(params, [10.0 if small else 40.0, 0.9], {"size<=20KB": -0.5 if small else 1.0}, handle)
        ends.append(small)
    if sampler == "tpe":
        assert sum(ends[30:]) > 20
    again = Guide(study, space, told=60)
    again.tell(params, [1.0, 0.5], {})
    assert Given(params).suggest_categorical(next(iter(params)), []) == next(iter(params.values()))


def test_layers_are_spared_by_the_names_that_they_have_by_then():
    layers = tuple(LayerRow(name=name, kind="Dense", output_shape=(8,), parameters=72) for name in "abcd")
    model = summary().model_copy(update={"layers": (*layers, layers[1].model_copy(update={"name": "b2"}))})
    space = Space(model, data(), layers=LAYERS)
    seen = set()
    for recipe, params in drawn(space, 300):
        families = [step.technique.family for step in recipe.steps]
        for place, step in enumerate(recipe.steps):
            asked = params.get(f"{step.technique.name}.spared", 0)
            if not asked:
                continue
            chosen, before = getattr(step.params, "layers", ""), families[:place]
            if "distillation" in before:
                assert chosen == ""
            elif "decomposition" in before:
                assert chosen == "!a*"  # what became of b cannot be told from b2
            else:
                assert chosen == ("!a" if asked == 1 else "!a, !b")
            seen |= set(before)
    assert {"distillation", "decomposition"} <= seen
