from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from optimizers.errors import InvalidParameter, NotApplicable
from optimizers.params import resolve
from optimizers.techniques.low_rank import LowRankParams, rehearse
from optimizers.tf import cost
from optimizers.tf.build import load_working, save_working
from optimizers.tf.graph import is_graph
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, held_out

Apply = Callable[..., Applied]
Sources = Callable[[str], Path]


def accuracy(model: Any) -> float:
    part = held_out()
    return float((np.asarray(model(part.x, training=False)).argmax(axis=1) == part.y).mean())


def params(**given: Any) -> LowRankParams:
    found = resolve("low_rank", LowRankParams, given)
    assert isinstance(found, LowRankParams)
    return found


def wide() -> Any:
    """A convolution as a nested model, and a hidden layer; both large enough to be worth factors."""
    k = tf_keras
    k.utils.set_random_seed(4)
    inner = k.Sequential([k.Input((8, 8, 16)), k.layers.Conv2D(32, 3, padding="same", name="conv")], name="inner")
    inputs = k.Input((8, 8, 1), name="image")
    x = inner(k.layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(inputs))
    x = k.layers.ReLU(name="relu")(k.layers.BatchNormalization(name="norm")(x))
    x = k.layers.Dense(96, activation="relu", name="hidden")(k.layers.Flatten(name="flatten")(x))
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="wide")


@pytest.fixture(scope="module")
def wide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide") / "wide.keras"
    save_working(wide(), path)
    return path


@pytest.mark.parametrize("distribution", ["sensitivity", "uniform"])
def test_the_model_gets_smaller_and_stays_accurate(distribution: str, sources: Sources, apply: Apply) -> None:
    done = apply("low_rank", sources("conv"), distribution=distribution, epochs=8, learning_rate=1e-3)
    before, after, figures = built("conv"), load_working(done.main), done.report.figures
    assert figures["macs"] == [cost.macs(before), cost.macs(after)]
    assert figures["parameters"] == [before.count_params(), after.count_params()]
    assert figures["macs"][1] <= 0.52 * figures["macs"][0]
    assert figures["parameters"][1] < figures["parameters"][0]
    assert accuracy(after) > accuracy(before) - 0.03
    costs, names = cost.layer_costs(after), {layer.name for layer in after.layers}
    assert "conv2" in figures["layers"]
    for name, row in figures["layers"].items():
        made = [part for part in (f"{name}_u", f"{name}_core", f"{name}_v") if part in names]
        assert len(made) == (3 if row["method"] == "tucker2" else 2)
        assert sum(costs[part].macs for part in made) == row["macs"][1] < row["macs"][0]
        assert row["parameters"][1] < row["parameters"][0]
        assert 0 < row["error"] < 1
    assert {layer.name for layer in before.layers} - names == set(figures["layers"])
    assert ("sensitivity" in figures) == (distribution == "sensitivity")


def test_parameters_can_be_what_counts(wide_file: Path, apply: Apply) -> None:
    done = apply("low_rank", wide_file, of="parameters", amount=0.6, epochs=1)
    before, after = done.report.figures["parameters"]
    assert 0.3 * before < after <= 0.4 * before
    assert "hidden" in done.report.figures["layers"], "nearly all parameters are there"


def test_nested_models_are_dissolved(wide_file: Path, apply: Apply) -> None:
    done = apply("low_rank", wide_file, epochs=1, method="tucker2")
    model = load_working(done.main)
    assert not any(is_graph(layer) for layer in model.layers)
    assert done.report.figures["layers"]["conv"]["method"] == "tucker2"
    assert isinstance(done.report.figures["layers"]["conv"]["rank"], list)
    core = model.get_layer("conv_core")
    assert model.get_layer("norm").input is model.get_layer("conv_v").output
    assert core.kernel_size == (3, 3)
    assert core.padding == "same"


def test_the_rehearsal_is_what_apply_does_before_training(wide_file: Path, apply: Apply) -> None:
    model = wide()
    before = [weight.copy() for weight in model.get_weights()]
    found = rehearse(model, params(distribution="uniform", round_to=8), frozenset())
    done = apply("low_rank", wide_file, distribution="uniform", round_to=8, learning_rate=1e-6, epochs=1)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert set(found.touched) == set(done.report.figures["layers"])
    assert found.skipped == done.report.skipped
    assert found.rounds == 1
    after = load_working(done.main)
    assert [layer.name for layer in found.model.layers] == [layer.name for layer in after.layers]
    for one, other in zip(found.model.trainable_weights, after.trainable_weights, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-3)
    assert found.notes == tuple(note for note in done.report.notes if "Trained" not in note)


def test_the_rehearsal_says_that_it_does_not_measure() -> None:
    assert any("measured sensitivity" in note for note in rehearse(wide(), params(), frozenset()).notes)


@pytest.mark.parametrize("round_to", [4, 24])
@pytest.mark.parametrize("amount", [0.3, 0.9])
def test_an_amount_is_reached_or_a_note_says_so(amount: float, round_to: int) -> None:
    found = rehearse(wide(), params(amount=amount, round_to=round_to, layers="conv, hidden"), frozenset())
    costs = cost.layer_costs(wide())
    removed = cost.macs(wide()) - cost.macs(found.model)
    share = removed / (costs["conv"].macs + costs["hidden"].macs)
    told = [note for note in found.notes if "instead of" in note]
    assert told == [] if share >= amount - 0.02 else f"Removed {share:.0%}" in told[0]
    assert share <= 0.9


def test_chosen_layers_alone_are_touched(wide_file: Path, apply: Apply) -> None:
    done = apply("low_rank", wide_file, layers="hid*", epochs=1)
    assert set(done.report.figures["layers"]) == {"hidden"}
    assert "chosen" in done.report.skipped["conv"]
    costs = cost.layer_costs(wide())
    share = costs["hidden"].macs / sum(each.macs for each in costs.values())
    assert f"have {share:.0%} of the model's multiply-accumulates" in done.report.notes[0]
    before, after = done.report.figures["macs"]
    assert 0.45 * share < 1 - after / before < 0.6 * share
    with pytest.raises(NotApplicable, match=r"called hiden; there are stem, conv, hidden, digit\.$"):
        apply("low_rank", wide_file, layers="hiden")


@pytest.mark.parametrize("network", ["lstm", "gru", "attention"])
def test_models_without_a_layer_that_gains_are_refused(network: str, sources: Sources, apply: Apply) -> None:
    with pytest.raises(NotApplicable, match="No layer of this model gains by factors") as refusal:
        apply("low_rank", sources(network))
    assert "digit" in refusal.value.message


def test_the_deployed_file_does_the_same_and_is_smaller(wide_file: Path, apply: Apply) -> None:
    factored = apply("low_rank", wide_file, epochs=1)
    files = [apply("float32", source) for source in (wide_file, factored.main)]
    sizes = [file.main.stat().st_size for file in files]
    assert sizes[1] < 0.75 * sizes[0]
    assert files[1].report.figures["max_abs_error"] < 1e-4


def test_an_impossible_amount_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"amount must be a number in \[0.05, 0.9\]"):
        params(amount=1.0)
