"""Plans: equal work has equal keys, different work has different ones, private work is shared with nobody."""

from __future__ import annotations

from optimizers.engine.plan import memory_key, plan, scope_of
from optimizers.recipe import parse
from optimizers.records import DatasetRef, ModelRef

MODEL = ModelRef(uri="sample:m", name="m", digest="0" * 64)
DATA = DatasetRef(uri="sample:d", name="d", digest="1" * 64)


def keys(text, model=MODEL, dataset=DATA, seed=0, shape=None):
    return [stage.key for stage in plan(model, dataset, parse(text), seed, shape).stages]


def test_recipes_share_their_common_beginning():
    first, second = keys("magnitude_pruning+int8"), keys("magnitude_pruning+float16")
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert keys("magnitude_pruning") == keys("magnitude_pruning+float32")


def test_saying_a_default_changes_nothing_and_another_value_does():
    assert keys("magnitude_pruning(target_sparsity=0.5)") == keys("magnitude_pruning")
    assert keys("magnitude_pruning(target_sparsity=0.6)")[0] != keys("magnitude_pruning")[0]


def test_seed_and_data_count_only_where_they_are_used():
    other = DATA.model_copy(update={"digest": "2" * 64})
    assert keys("float16", seed=1) == keys("float16", dataset=other) == keys("float16")
    assert len({*keys("int8"), *keys("int8", seed=1), *keys("int8", dataset=other)}) == 3


def test_the_shape_of_examples_counts_where_the_model_leaves_it_open():
    assert keys("float32", shape=(28, 28, 1)) != keys("float32", shape=(32, 32, 1)) != keys("float32")


def test_private_models_and_data_share_with_nobody():
    mine, theirs = (MODEL.model_copy(update={"scope": f"session:{name}"}) for name in "ab")
    assert keys("float16", model=mine) != keys("float16", model=theirs) != keys("float16")
    private = DATA.model_copy(update={"scope": "session:a"})
    assert keys("int8", dataset=private) != keys("int8")
    assert keys("float16", dataset=private) == keys("float16")
    assert [scope_of(MODEL, DATA), scope_of(mine, DATA), scope_of(MODEL, private)] == [
        "shared",
        "session:a",
        "session:a",
    ]


def test_the_baseline_is_the_plain_conversion_of_the_model():
    assert plan(MODEL, DATA, parse("magnitude_pruning+int8"), 0).baseline.key == keys("float32")[0]


def test_a_stage_knows_what_earlier_steps_achieved():
    stages = plan(MODEL, DATA, parse("magnitude_pruning+int8"), 0).stages
    assert [sorted(stage.held) for stage in stages] == [[], ["sparsity"]]


def test_models_that_settings_name_count_by_their_content():
    text = "distillation(student=own, model='sample:other')"
    other = ModelRef(uri="sample:other", name="other", digest="3" * 64)

    def key(ref):
        return plan(MODEL, DATA, parse(text), 0, None, {"sample:other": ref}).stages[0]

    changed = other.model_copy(update={"digest": "4" * 64})
    private = other.model_copy(update={"scope": "session:a"})
    assert key(other).key == key(other).key
    assert len({key(other).key, key(changed).key, key(private).key}) == 3
    assert (key(other).scope, key(private).scope) == ("shared", "session:a")


def test_what_is_remembered_for_private_work_is_not_shared():
    identity = {"outputs_of": "5" * 64}
    assert memory_key(identity, DATA, "shared") != memory_key(identity, DATA, "session:a")
    other = DATA.model_copy(update={"digest": "2" * 64})
    assert memory_key(identity, DATA, "shared") != memory_key(identity, other, "shared")
