from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from optimizers.declarations import StageContext
from optimizers.errors import Cancelled, NotApplicable
from optimizers.params import resolve
from optimizers.techniques.structured_pruning import StructuredPruningParams, rehearse
from optimizers.techniques.structured_pruning import apply as apply_pruning
from optimizers.tf import cost
from optimizers.tf.build import load_working, save_working
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, digits, held_out

Apply = Callable[..., Applied]
Sources = Callable[[str], Path]


def accuracy(model: Any) -> float:
    part = held_out()
    return float((np.asarray(model(part.x, training=False)).argmax(axis=1) == part.y).mean())


def params(**given: Any) -> StructuredPruningParams:
    return StructuredPruningParams(**given)


def test_half_the_products_are_gone_and_accuracy_stays(sources: Sources, apply: Apply) -> None:
    done = apply("structured_pruning", sources("conv"), epochs=6, learning_rate=1e-3)
    before, after = built("conv"), load_working(done.main)
    figures = done.report.figures
    assert figures["macs"] == {"before": cost.macs(before), "after": cost.macs(after)}
    assert figures["parameters"] == {"before": before.count_params(), "after": after.count_params()}
    assert 0.42 * cost.macs(before) <= cost.macs(after) <= 0.5 * cost.macs(before)
    assert figures["layers"].keys() == {"conv1", "conv2"}
    for name, row in figures["layers"].items():
        assert row["what"] == "filters"
        assert row["before"] == before.get_layer(name).filters
        assert row["after"] == after.get_layer(name).filters < row["before"]
        assert row["after"] % 2 == 0
    assert done.report.skipped == {"digit": "its channels are outputs of the model"}
    measured = figures["sensitivity"]
    assert (measured["part"], measured["examples"]) == ("validation", 300)
    assert measured["rises"].keys() == {"conv1", "conv2"}
    for name, rises in measured["rises"].items():
        counts = sorted(map(int, rises))
        assert all(0 < count < before.get_layer(name).filters for count in counts)
        assert rises[str(counts[0])] > rises[str(counts[-1])], "fewer filters do more damage"
    assert [layer.name for layer in after.layers] == [layer.name for layer in before.layers]
    assert accuracy(after) > accuracy(before) - 0.05


def test_the_deployed_file_is_smaller(sources: Sources, apply: Apply) -> None:
    pruned = apply("structured_pruning", sources("conv"), amount=0.75, epochs=1)
    sizes = [apply("float32", source).main.stat().st_size for source in (sources("conv"), pruned.main)]
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        ("gru", {"gru": "units"}),
        ("depthwise", {"stem": "filters", "depth": "channels", "point": "filters"}),
        ("attention", {"attention": "heads"}),
    ],
)
def test_units_channels_and_heads_go_as_well(
    network: str, layers: dict[str, str], sources: Sources, apply: Apply
) -> None:
    done = apply("structured_pruning", sources(network), epochs=1, amount=0.3)
    assert {name: row["what"] for name, row in done.report.figures["layers"].items()} == layers
    macs = done.report.figures["macs"]
    assert macs["after"] <= 0.7 * macs["before"] or any("can be removed" in note for note in done.report.notes)


def test_without_batch_normalization_another_criterion_stands_in(sources: Sources, apply: Apply) -> None:
    done = apply("structured_pruning", sources("conv"), epochs=1, criterion="bn_scale")
    assert done.report.figures["criterion"] == "bn_scale"
    assert "No batch normalization follows conv2; there the l2 norm chose the channels." in done.report.notes


def test_taylor_removes_what_the_loss_does_not_feel(tmp_path: Path, sources: Sources, apply: Apply) -> None:
    model = tf_keras.models.clone_model(built("dense"))
    model.set_weights(built("dense").get_weights())
    reader = model.get_layer("hidden2")
    kernel, bias = reader.get_weights()
    unread = np.arange(0, 64, 2)
    kernel[unread] = 0  # large weights lead to these units, but nothing reads them
    reader.set_weights([kernel, bias])
    hidden = model.get_layer("hidden1")
    weights, shift = hidden.get_weights()
    weights[:, unread] *= 10
    hidden.set_weights([weights, shift])
    save_working(model, tmp_path / "model.keras")
    left = {}
    for criterion in ("taylor", "l2"):
        done = apply(
            "structured_pruning", tmp_path / "model.keras",
            criterion=criterion, of="channels", layers="hidden1", epochs=1, learning_rate=1e-6,
        )  # fmt: skip
        left[criterion] = load_working(done.main).get_layer("hidden2").get_weights()[0]
    assert (np.abs(left["taylor"]).sum(axis=1) > 0.1).all()
    assert (np.abs(left["l2"]).sum(axis=1) < 0.1).all()


def test_rounds_remove_a_little_more_each_time(sources: Sources, apply: Apply) -> None:
    done = apply("structured_pruning", sources("conv"), rounds=2, epochs=2, amount=0.7)
    figures = done.report.figures
    assert figures["rounds"] == 2
    assert figures["epochs"] == 4
    assert {len(values) for values in figures["history"].values()} == {4}
    assert figures["macs"]["after"] <= 0.3 * figures["macs"]["before"]
    assert done.steps == sorted(done.steps)
    assert done.steps[-1] == (2000, 2000)


def test_a_fresh_start_keeps_the_structure_only(sources: Sources, apply: Apply) -> None:
    kept, fresh = (
        apply("structured_pruning", sources("conv"), start=start, rounds=rounds, learning_rate=1e-6, epochs=1)
        for start, rounds in (("kept", 1), ("fresh", 3))
    )
    assert kept.report.figures["layers"] == fresh.report.figures["layers"]
    assert fresh.report.figures["rounds"] == fresh.report.figures["epochs"] == 1
    one, other = (load_working(done.main).get_layer("conv2").kernel.numpy() for done in (kept, fresh))
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.2
    assert rehearse(load_working(sources("conv")), params(start="fresh", rounds=3), frozenset()).rounds == 1


def test_zeros_of_earlier_steps_stay(sources: Sources, apply: Apply) -> None:
    sparse = apply("magnitude_pruning", sources("dense"), target_sparsity=0.6, epochs=1)
    done = apply("structured_pruning", sparse.main, held=frozenset({"sparsity"}), distribution="uniform", epochs=1)
    before, after = load_working(sparse.main), load_working(done.main)
    for name in ("hidden1", "hidden2", "digit"):
        kernels = [model.get_layer(name).kernel.numpy() for model in (before, after)]
        assert kernels[1].size < kernels[0].size
        assert (kernels[1] == 0).mean() > 0.4, "channels with many zeros go first"


def test_channels_can_be_the_measure(sources: Sources, apply: Apply) -> None:
    done = apply("structured_pruning", sources("dense"), of="channels", distribution="uniform", epochs=1)
    rows = done.report.figures["layers"]
    assert {name: row["after"] for name, row in rows.items()} == {"hidden1": 32, "hidden2": 16}, "multiples of 8"
    assert "sensitivity" not in done.report.figures


def test_only_chosen_layers_lose_channels(sources: Sources, apply: Apply) -> None:
    done = apply("structured_pruning", sources("dense"), layers="!hidden1", epochs=1, amount=0.1)
    assert set(done.report.figures["layers"]) == {"hidden2"}
    assert done.report.skipped["hidden1"] == "it is not among the chosen layers"
    with pytest.raises(NotApplicable, match="No layer with a kernel is called 'hiden1'; there are: hidden1, hidden2"):
        apply("structured_pruning", sources("dense"), layers="hiden1")


def test_what_cannot_be_reached_is_told(sources: Sources, apply: Apply) -> None:
    done = apply("structured_pruning", sources("dense"), layers="hidden2", amount=0.9, epochs=1)
    macs = done.report.figures["macs"]
    share = 1 - macs["after"] / macs["before"]
    assert share < 0.9
    assert any(f"No more than {share:.0%} of the multiply-accumulates" in note for note in done.report.notes)


@pytest.mark.parametrize(("network", "amount"), [("conv", 0.3), ("depthwise", 0.6), ("attention", 0.3)])
def test_a_rehearsal_does_what_the_step_does(network: str, amount: float, sources: Sources, apply: Apply) -> None:
    source = sources(network)
    model = load_working(source)
    before = model.get_weights()
    told = rehearse(model, params(distribution="uniform", amount=amount, rounds=1), frozenset())
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True)), "the model is left alone"
    done = apply("structured_pruning", source, distribution="uniform", amount=amount, epochs=1)
    assert [w.shape for w in told.model.weights] == [w.shape for w in load_working(done.main).weights]
    assert told.skipped == done.report.skipped
    rows = done.report.figures["layers"]
    assert told.touched == {name: f"{row['before']} to {row['after']} {row['what']}" for name, row in rows.items()}
    assert told.rounds == 1


def test_a_rehearsal_says_that_it_cannot_measure(sources: Sources) -> None:
    told = rehearse(load_working(sources("conv")), params(rounds=3), frozenset())
    assert told.rounds == 3
    assert any("sensitivity" in note for note in told.notes)


def test_models_without_channels_to_lose_are_refused(tmp_path: Path, apply: Apply) -> None:
    inputs = tf_keras.Input((8, 8, 1))
    x = tf_keras.layers.Flatten()(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(10, activation="softmax", name="digit")(x))
    save_working(model, tmp_path / "model.keras")
    with pytest.raises(NotApplicable, match=r"No layer of this model can lose channels \(digit: its channels are outp"):
        apply("structured_pruning", tmp_path / "model.keras")


def test_nested_models_are_opened(tmp_path: Path, apply: Apply) -> None:
    layers = tf_keras.layers
    inside = tf_keras.Input((8, 8, 1))
    block = tf_keras.Model(inside, layers.Conv2D(16, 3, activation="relu", name="inner")(inside), name="block")
    inputs = tf_keras.Input((8, 8, 1))
    x = layers.Flatten()(block(inputs))
    model = tf_keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(x))
    save_working(model, tmp_path / "model.keras")
    done = apply("structured_pruning", tmp_path / "model.keras", epochs=1)
    assert done.report.figures["layers"] == {"inner": {"before": 16, "after": 8, "what": "filters"}}
    assert load_working(done.main).get_layer("inner").filters == 8


def test_sequential_models_need_no_rewriting() -> None:
    layers = tf_keras.layers
    model = tf_keras.Sequential([tf_keras.Input((16,)), layers.Dense(32, name="hidden"), layers.Dense(4, name="out")])
    told = rehearse(model, params(), frozenset())
    assert told.touched == {"hidden": "32 to 16 units"}
    assert told.model.count_params() == 16 * 16 + 16 + 16 * 4 + 4


def test_a_cancel_stops_the_measuring(sources: Sources, tmp_path: Path) -> None:
    def progress(step: int, of: int, **metrics: float) -> None:
        raise Cancelled("Somebody asked for it.")

    context = StageContext(sources("conv"), tmp_path, digits, 0, progress, print)
    with pytest.raises(Cancelled):
        apply_pruning(context, resolve("structured_pruning", StructuredPruningParams, {}))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
