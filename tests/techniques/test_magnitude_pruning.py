from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from optimizers.declarations import Part, StageContext, TrainingData
from optimizers.errors import Cancelled, InvalidParameter, NotApplicable
from optimizers.params import resolve
from optimizers.techniques._training import TrainingParams
from optimizers.techniques.magnitude_pruning import MagnitudePruningParams
from optimizers.techniques.magnitude_pruning import apply as apply_pruning
from optimizers.tf import kernels, masks, objective, pruning
from optimizers.tf.build import load_working
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, digits, held_out

Apply = Callable[..., Applied]
Sources = Callable[[str], Path]


def accuracy(model: Any) -> float:
    part = held_out()
    return float((np.asarray(model(part.x, training=False)).argmax(axis=1) == part.y).mean())


@pytest.mark.parametrize(("target", "schedule"), [(0.5, "polynomial"), (0.8, "constant")])
def test_zeros_are_in_the_file_and_accuracy_stays(target: float, schedule: str, sources: Sources, apply: Apply) -> None:
    done = apply("magnitude_pruning", sources("conv"), target_sparsity=target, schedule=schedule, epochs=4)
    model = load_working(done.main)
    for name, row in done.report.figures["layers"].items():
        kernel = model.get_layer(name).get_weights()[0]
        assert row["weights"] == kernel.size
        assert row["sparsity"] == pytest.approx((kernel == 0).mean()) == pytest.approx(target, abs=0.01)
    assert set(done.report.figures["layers"]) == {"conv1", "conv2", "digit"}
    assert [layer.name for layer in model.layers] == [layer.name for layer in built("conv").layers]
    assert accuracy(model) > accuracy(built("conv")) - 0.05


def test_sensitive_layers_keep_more_where_that_is_measured(sources: Sources, apply: Apply) -> None:
    done = apply("magnitude_pruning", sources("conv"), target_sparsity=0.8, distribution="sensitivity", epochs=4)
    layers = done.report.figures["layers"]
    zeros = sum(row["sparsity"] * row["weights"] for row in layers.values())
    assert zeros / sum(row["weights"] for row in layers.values()) == pytest.approx(0.8, abs=0.01)
    rises = {name: found["0.85"] for name, found in done.report.figures["sensitivity"]["rises"].items()}
    per_weight = {name: rises[name] / row["weights"] for name, row in layers.items()}
    most, least = max(per_weight, key=per_weight.__getitem__), min(per_weight, key=per_weight.__getitem__)
    assert layers[most]["sparsity"] < layers[least]["sparsity"]
    assert not [note for note in done.report.notes if "instead of" in note]
    kernel = load_working(done.main).get_layer(most).get_weights()[0]
    assert layers[most]["sparsity"] == pytest.approx((kernel == 0).mean())


def test_zeros_of_blocks_are_distributed_and_n_of_m_is_the_same_everywhere(sources: Sources, apply: Apply) -> None:
    given = {"distribution": "sensitivity", "epochs": 1}
    blocks = apply("magnitude_pruning", sources("dense"), pattern="block", target_sparsity=0.6, **given)
    assert len({row["sparsity"] for row in blocks.report.figures["layers"].values()}) > 1
    assert blocks.report.figures["sparsity"] == pytest.approx(0.6, abs=0.03)
    groups = apply("magnitude_pruning", sources("dense"), pattern="n_of_m", **given)
    assert "sensitivity" not in groups.report.figures


def test_the_deployed_file_compresses_better(sources: Sources, apply: Apply) -> None:
    pruned = apply("magnitude_pruning", sources("conv"), target_sparsity=0.8)
    files = [apply("float32", source).main.read_bytes() for source in (sources("conv"), pruned.main)]
    assert len(files[0]) == len(files[1])
    assert len(gzip.compress(files[1])) < 0.6 * len(gzip.compress(files[0]))


def test_history_and_progress_tell_of_every_epoch_and_batch(sources: Sources, apply: Apply) -> None:
    done = apply("magnitude_pruning", sources("dense"), epochs=3, batch_size=100)
    assert done.steps == [(n, 27) for n in range(1, 28)]
    assert [m["epoch"] for m in done.metrics[::9]] == [1, 2, 3]
    history = done.report.figures["history"]
    assert set(history) == {"loss", "val_loss", "accuracy", "val_accuracy"}
    assert {len(values) for values in history.values()} == {3}
    assert done.lines[0].startswith("epoch 1 of 3: loss ")


def test_small_data_are_passed_over_until_there_were_enough_steps(sources: Sources, apply: Apply) -> None:
    data = digits()
    small = TrainingData(Part(data.train.x[:64], data.train.y[:64]), data.validation, data.task, data.classes)
    done = apply("magnitude_pruning", sources("dense"), small, epochs=3, min_steps=9)
    assert done.steps[-1] == (10, 10)
    assert done.report.notes == ("Trained for up to 5 epochs instead of 3, to take 9 steps.",)


def test_what_stays_dense_is_told_with_the_reason(sources: Sources, apply: Apply) -> None:
    k = tf_keras
    inputs = k.Input((8, 8, 1))
    x = k.layers.DepthwiseConv2D(3, depth_multiplier=4, name="depth")(inputs)
    x = k.layers.SeparableConv2D(8, 3, name="separable")(x)
    x = k.layers.Reshape((16, 8))(x)
    x = k.layers.Bidirectional(k.layers.LSTM(4), name="both_ways")(x)
    x = k.Sequential([k.Input((8,)), k.layers.Dense(12, name="inner")], name="nested")(x)
    frozen = k.layers.Dense(8, name="frozen", trainable=False)
    model = k.Model(inputs, k.layers.Dense(10, name="digit")(frozen(x)))
    found = pruning.targets(model, "!digit", masks.Shape())
    assert {name: len(variables) for name, variables in found.kernels.items()} == {
        "separable": 1, "both_ways": 4, "inner": 1,
    }  # fmt: skip
    assert set(found.skipped) == {"depth", "separable", "frozen", "digit"}
    assert "depthwise" in found.skipped["depth"]
    assert "frozen" in found.skipped["frozen"]
    assert "not among the chosen" in found.skipped["digit"]
    everything = pruning.targets(model, "", masks.Shape(), depthwise=True)
    assert set(everything.skipped) == {"frozen"}


def test_attention_is_pruned_head_by_head_and_its_biases_are_not() -> None:
    found = pruning.targets(built("attention"), "", masks.Shape())
    assert len(found.kernels["attention"]) == 4
    assert not found.skipped
    shapes = [kernels.form(v)[1] for v in found.kernels["attention"]]
    assert shapes == [(8, 16), (8, 16), (8, 16), (16, 8)]


def test_a_model_without_kernels_is_refused() -> None:
    inputs = tf_keras.Input((4,))
    with pytest.raises(NotApplicable, match="No layer of this model can be pruned"):
        pruning.targets(tf_keras.Model(inputs, tf_keras.layers.ReLU()(inputs)), "", masks.Shape())


def test_a_mistyped_layer_is_named(sources: Sources, apply: Apply) -> None:
    with pytest.raises(NotApplicable, match=r"is called 'convolution1'; there are: conv1, conv2, digit\."):
        apply("magnitude_pruning", sources("conv"), layers="convolution1, conv2")


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 17), st.integers(1, 9)), st.floats(0, 0.95), st.integers(0, 2**32 - 1)
)
def test_masks_keep_the_largest_weights(size: tuple[int, int, int], sparsity: float, seed: int) -> None:
    kernel = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    keep = masks.mask(kernel, sparsity, masks.Shape())
    assert (keep == 0).sum() == round(sparsity * kernel.size)
    if 0 < keep.sum() < keep.size:
        assert np.abs(kernel[keep == 1]).min() >= np.abs(kernel[keep == 0]).max()


@given(st.integers(1, 40), st.integers(1, 9), st.integers(2, 8), st.data())
def test_n_of_m_leaves_at_most_n_in_every_group_of_inputs(inputs: int, outputs: int, group: int, data: Any) -> None:
    kept = data.draw(st.integers(1, group - 1))
    kernel = np.random.default_rng(inputs).standard_normal((2, inputs, outputs)).astype(np.float32)
    keep = masks.mask(kernel, 0.0, masks.Shape("n_of_m", kept=kept, group=group))
    for start in range(0, inputs, group):
        part = keep[:, start : start + group]
        assert (part.sum(axis=1) == min(kept, part.shape[1])).all()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.integers(1, 4))
def test_blocks_go_as_a_whole(inputs: int, outputs: int, down: int, across: int) -> None:
    kernel = np.random.default_rng(outputs).standard_normal((3, inputs, outputs)).astype(np.float32)
    keep = masks.mask(kernel, 0.5, masks.Shape("block", block=(down, across)))
    for top in range(0, inputs, down):
        for left in range(0, outputs, across):
            block = keep[:, top : top + down, left : left + across]
            assert (block == block[:, :1, :1]).all()


@pytest.mark.parametrize(
    ("settings", "share"),
    [({"pattern": "n_of_m"}, 0.5), ({"pattern": "n_of_m", "kept": 1}, 0.75), ({"pattern": "block"}, 0.5)],
)
def test_patterns_are_in_the_file(settings: dict[str, Any], share: float, sources: Sources, apply: Apply) -> None:
    done = apply("magnitude_pruning", sources("conv"), **settings)
    kernel = load_working(done.main).get_layer("conv2").get_weights()[0]
    assert (kernel == 0).mean() == pytest.approx(share, abs=0.01)
    if settings["pattern"] == "n_of_m":
        assert ((kernel.reshape(9, 4, 4, 24) != 0).sum(axis=2) <= settings.get("kept", 2)).all()
        assert "conv1" in done.report.skipped, "it has a single input"


def test_own_masks_prune_as_the_toolkit_does(sources: Sources, apply: Apply) -> None:
    """The toolkit's wrappers on the same steps: equal sparsity in every layer, accuracy within noise."""
    import tensorflow_model_optimization as tfmot

    data, epochs = digits(), 4
    steps = epochs * -(-len(data.train) // 32)
    ours = apply("magnitude_pruning", sources("conv"), target_sparsity=0.8, epochs=epochs, learning_rate=1e-3)
    plan = masks.schedule("polynomial", target=0.8, initial=0, begin=0, end=0.6, frequency=10, total_steps=steps)
    decay = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, plan.begin, plan.end, frequency=plan.frequency)
    tf_keras.utils.set_random_seed(11)
    model = tfmot.sparsity.keras.prune_low_magnitude(load_working(sources("conv")), decay)
    model.compile(tf_keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
    step = tfmot.sparsity.keras.UpdatePruningStep()
    model.fit(data.train.x, data.train.y, epochs=epochs, verbose=0, callbacks=[step])
    theirs = tfmot.sparsity.keras.strip_pruning(model)
    own = load_working(ours.main)
    for name in ("conv1", "conv2", "digit"):
        zeros = [(m.get_layer(name).get_weights()[0] == 0).mean() for m in (own, theirs)]
        assert zeros[0] == pytest.approx(zeros[1], abs=0.01)
    assert abs(accuracy(own) - accuracy(theirs)) < 0.05


@pytest.mark.parametrize("total", [1, 2, 7, 40, 1000])
@pytest.mark.parametrize(("begin", "end"), [(0.0, 0.6), (0.5, 1.0), (0.85, 0.9)])
def test_a_schedule_ends_inside_the_training_with_a_last_update(total: int, begin: float, end: float) -> None:
    steps = masks.schedule(
        "polynomial", target=0.5, initial=0.0, begin=begin, end=end, frequency=10, total_steps=total
    ).steps()
    assert 0 <= steps["begin_step"] < steps["end_step"] <= total
    assert (steps["end_step"] - steps["begin_step"]) % steps["frequency"] == 0


def test_even_one_step_reaches_the_target(sources: Sources, apply: Apply) -> None:
    data = digits()
    tiny = TrainingData(Part(data.train.x[:20], data.train.y[:20]), data.validation, data.task, data.classes)
    done = apply("magnitude_pruning", sources("dense"), tiny, epochs=1)
    assert done.report.figures["schedule"]["total_steps"] == 1
    assert done.report.figures["sparsity"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("impossible", "words"),
    [
        ({"target_sparsity": 1.2}, r"target_sparsity must be a number in \[0, 0.95\], got 1.2"),
        ({"begin": 0.8, "end": 0.5}, r"begin \(0.8\) must be smaller than end \(0.5\)"),
        ({"initial_sparsity": 0.6}, "must not exceed target_sparsity 0.5"),
    ],
)
def test_impossible_parameters_are_refused(impossible: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        resolve("magnitude_pruning", MagnitudePruningParams, impossible)


def test_a_cancel_stops_the_training(sources: Sources, tmp_path: Path) -> None:
    def progress(step: int, of: int, **metrics: float) -> None:
        if step == 3:
            raise Cancelled("Somebody asked for it.")

    context = StageContext(sources("dense"), tmp_path, digits, 0, progress, print)
    with pytest.raises(Cancelled):
        apply_pruning(context, MagnitudePruningParams())
    assert not list(tmp_path.iterdir())


def test_divergence_is_named(sources: Sources, apply: Apply) -> None:
    data = digits()
    broken = Part(np.full_like(data.train.x, np.inf), data.train.y)
    with pytest.raises(NotApplicable, match="diverged"):
        apply("magnitude_pruning", sources("dense"), TrainingData(broken, data.validation, data.task, data.classes))


def loss_for(model: Any, data: TrainingData) -> Any:
    context = StageContext(Path(), Path(), lambda: data, 0, lambda *_, **__: None, print)
    return objective.objective(model, context, TrainingParams()).loss


@pytest.mark.parametrize(
    ("units", "activation", "task", "classes", "loss", "logits"),
    [
        (10, "softmax", "classification", 10, "SparseCategoricalCrossentropy", False),
        (10, None, "classification", 10, "SparseCategoricalCrossentropy", True),
        (1, "sigmoid", "binary", 2, "BinaryCrossentropy", False),
        (1, None, "binary", 2, "BinaryCrossentropy", True),
        (2, "softmax", "binary", 2, "SparseCategoricalCrossentropy", False),
        (1, None, "regression", 0, "MeanSquaredError", None),
    ],
)
def test_the_loss_suits_task_and_output(
    units: int, activation: str | None, task: Any, classes: int, loss: str, logits: bool | None
) -> None:
    inputs = tf_keras.Input((4,))
    x = np.zeros((3, 4), np.float32)
    data = TrainingData(Part(x, np.zeros(3)), Part(x, np.zeros(3)), task, tuple(map(str, range(classes))))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(units, activation=activation)(inputs))
    found = loss_for(model, data)
    assert isinstance(found, getattr(tf_keras.losses, loss))
    assert found.get_config().get("from_logits") == logits
    separate = tf_keras.Model(inputs, tf_keras.layers.Activation(activation)(tf_keras.layers.Dense(units)(inputs)))
    assert loss_for(separate, data).get_config() == found.get_config()


def test_an_output_too_narrow_for_the_data_is_refused() -> None:
    inputs = tf_keras.Input((4,))
    data = TrainingData(
        Part(np.zeros((3, 4)), np.zeros(3)), Part(np.zeros((0, 4)), np.zeros(0)), "classification", ("a",) * 5
    )
    with pytest.raises(NotApplicable, match="5 classes; the model tells only 3 apart"):
        loss_for(tf_keras.Model(inputs, tf_keras.layers.Dense(3)(inputs)), data)


def test_early_stopping_waits_for_the_end_of_pruning(sources: Sources, apply: Apply) -> None:
    data = digits()
    rng = np.random.default_rng(0)
    misleading = Part(data.validation.x, rng.integers(0, 10, len(data.validation)))
    noisy = TrainingData(data.train, misleading, data.task, data.classes)
    done = apply("magnitude_pruning", sources("conv"), noisy, epochs=10, patience=1, learning_rate=3e-3)
    epochs = len(done.report.figures["history"]["loss"])
    assert 7 <= epochs < 10, "it stops, but not before the masks are final after six epochs"
    assert done.report.figures["sparsity"] == pytest.approx(0.5, abs=0.01)
