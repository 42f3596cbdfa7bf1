"""Clustered kernels have few values, in the model and in the file, and what was zero stays zero."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema

from optimizers import registry
from optimizers.declarations import StageContext
from optimizers.errors import NotApplicable
from optimizers.params import resolve
from optimizers.tf import clustering, folding, kernels
from optimizers.tf.build import load_working, save_working
from optimizers.tf.clustering import Clusters
from optimizers.tf.graph import rebuilt
from optimizers.tf.qat_plan import count_values
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, digits, held_out

Apply = Callable[..., Applied]
Sources = Callable[[str], Path]
L = tf_keras.layers
SPARSE = frozenset({"sparsity"})
CLUSTERED = frozenset({"clusters"})


def accuracy(model: Any) -> float:
    part = held_out()
    return float((np.asarray(model(part.x, training=False)).argmax(axis=1) == part.y).mean())


def stored_kernels(file: Path) -> list[np.ndarray]:
    """Constant int8 tensors of two or more dimensions."""
    model = schema.Model.GetRootAs(file.read_bytes(), 0)
    graph = model.Subgraphs(0)
    found = []
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        data = model.Buffers(tensor.Buffer())
        if tensor.Type() == schema.TensorType.INT8 and data.DataLength() and tensor.ShapeLength() > 1:
            found.append(np.frombuffer(data.DataAsNumpy().tobytes(), np.int8))
    return found


def kernel_values(file: Path, layer: str) -> int:
    return len(np.unique(load_working(file).get_layer(layer).get_weights()[0]))


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory, sources: Sources) -> Path:
    """The convolutional network with 80% zeros, retrained."""
    out = tmp_path_factory.mktemp("pruned")
    context = StageContext(sources("conv"), out, digits, 0, lambda step, of, **_: None, lambda line: None)
    technique = registry.technique("magnitude_pruning")
    given = {"target_sparsity": 0.8, "epochs": 4, "min_steps": 0}
    return out / technique.apply(context, resolve("magnitude_pruning", technique.params, given)).main


def test_every_kernel_has_as_many_values_as_asked_for(sources: Sources, apply: Apply) -> None:
    done = apply("weight_clustering", sources("conv"), clusters=12, initialization="kmeans_plus_plus", epochs=3)
    model = load_working(done.main)
    assert set(done.report.figures["layers"]) == {"conv1", "conv2", "digit"}
    for name, row in done.report.figures["layers"].items():
        kernel = model.get_layer(name).get_weights()[0]
        assert row == {
            "unique": len(np.unique(kernel)),
            "sparsity": float((kernel == 0).mean()),
            "weights": kernel.size,
        }
        assert 4 < row["unique"] <= 12
    assert accuracy(model) > accuracy(built("conv")) - 0.05


def test_sensitive_layers_get_more_values_where_that_is_measured(sources: Sources, apply: Apply) -> None:
    done = apply("weight_clustering", sources("conv"), clusters=8, distribution="sensitivity", epochs=2)
    layers, rises = done.report.figures["layers"], done.report.figures["sensitivity"]["rises"]
    unique = {name: kernel_values(done.main, name) for name in layers}
    assert all(2 <= number <= 32 for number in unique.values())
    assert len(set(unique.values())) > 1
    bits = sum(row["weights"] * np.log2(unique[name]) for name, row in layers.items())
    assert bits <= 3 * sum(row["weights"] for row in layers.values())
    harm = {name: max(abs(rise) for rise in rises[name].values()) / row["weights"] for name, row in layers.items()}
    assert unique[max(harm, key=harm.__getitem__)] > unique[min(harm, key=harm.__getitem__)]
    assert accuracy(load_working(done.main)) > accuracy(built("conv")) - 0.05


@pytest.mark.parametrize(("start", "per_channel"), [("linear", True), ("density_based", False), ("random", False)])
def test_zeros_stay_and_are_one_of_the_values(
    start: str, per_channel: bool, pruned: Path, tmp_path: Path, apply: Apply
) -> None:
    before = load_working(pruned)
    given = {"clusters": 6, "initialization": start, "per_channel": per_channel, "epochs": 1}
    done = apply("weight_clustering", pruned, held=SPARSE, **given)
    after = load_working(done.main)
    for name in ("conv1", "conv2", "digit"):
        old, new = (model.get_layer(name).get_weights()[0] for model in (before, after))
        assert (old == 0).mean() > 0.79
        assert not new[old == 0].any(), name
    assert done.report.figures["zeros_kept"]
    for name, row in done.report.figures["layers"].items():
        assert row["unique"] <= 6
        assert row["sparsity"] > 0.79, name


def test_zeros_are_lost_where_they_are_not_to_be_kept(pruned: Path, apply: Apply) -> None:
    given: dict[str, Any] = {"held": SPARSE, "epochs": 1, "fold_batch_norm": "never"}
    naive = apply("weight_clustering", pruned, keep_earlier="nothing", **given)
    kept = apply("weight_clustering", pruned, **given)
    for name, row in kept.report.figures["layers"].items():
        assert row["sparsity"] > 0.79 > naive.report.figures["layers"][name]["sparsity"], name
    assert naive.report.figures["zeros_kept"] is False


def test_unclustered_kernels_keep_their_zeros_too(pruned: Path, apply: Apply) -> None:
    done = apply("weight_clustering", pruned, held=SPARSE, layers="conv2", epochs=1)
    old, new = (load_working(path).get_layer("digit").get_weights()[0] for path in (pruned, done.main))
    assert (old != new).any()
    assert not new[old == 0].any()


def test_two_clusters_and_a_zero_are_three_values(pruned: Path, apply: Apply) -> None:
    done = apply("weight_clustering", pruned, held=SPARSE, clusters=2, epochs=1)
    assert {row["unique"] for row in done.report.figures["layers"].values()} == {3}
    assert "3 values instead of 2: one on either side of the zero that is kept." in done.report.notes


def test_channels_may_have_values_of_their_own(sources: Sources, apply: Apply) -> None:
    done = apply("weight_clustering", sources("conv"), clusters=9, per_channel=True, epochs=1)
    kernel = load_working(done.main).get_layer("conv2").get_weights()[0]
    each = [len(np.unique(kernel[..., channel])) for channel in range(kernel.shape[-1])]
    assert max(each) == done.report.figures["layers"]["conv2"]["unique"] == 9
    assert len(np.unique(kernel)) > 20
    assert done.report.skipped == {"conv1": "9 weights in an output channel are too few for 9 clusters"}
    assert done.report.figures["layers"]["digit"]["unique"] == 9


def test_the_int8_file_has_the_values_of_the_model(sources: Sources, apply: Apply) -> None:
    clustered = apply("weight_clustering", sources("conv"), epochs=2)
    found = stored_kernels(apply("int8", clustered.main, granularity="shared").main)
    assert len(found) == 3
    assert max(len(np.unique(values)) for values in found) <= 16
    done = apply("int8", clustered.main, held=CLUSTERED)
    sizes = done.report.figures["compressed_bytes"]
    assert set(sizes) == {"per_channel", "per_tensor", "shared"}
    assert sizes[done.report.figures["granularity"]] == min(sizes.values()) < sizes["per_channel"]
    assert len(gzip.compress(done.main.read_bytes(), 9, mtime=0)) == min(sizes.values())
    assert f"{sizes['per_channel']:,} bytes with one scale per channel" in done.report.notes[-1]
    blurred = stored_kernels(apply("int8", clustered.main, granularity="per_channel").main)
    assert max(len(np.unique(values)) for values in blurred) > 16


def test_the_dynamic_range_file_is_the_smaller_of_two(sources: Sources, apply: Apply) -> None:
    clustered = apply("weight_clustering", sources("conv"), fold_batch_norm="always", epochs=1)
    done = apply("dynamic_range", clustered.main, held=CLUSTERED)
    sizes = done.report.figures["compressed_bytes"]
    assert done.report.figures["granularity"] == "per_tensor"
    assert sizes["per_tensor"] < sizes["per_channel"]
    assert max(len(np.unique(values)) for values in stored_kernels(done.main)) <= 16
    assert "compressed_bytes" not in apply("dynamic_range", clustered.main).report.figures


@pytest.mark.slow
def test_pruned_and_clustered_files_compress_far_better(pruned: Path, sources: Sources, apply: Apply) -> None:
    clustered = apply("weight_clustering", pruned, held=SPARSE, epochs=2)
    small = apply("int8", clustered.main, held=SPARSE | CLUSTERED)
    files = [apply("float32", sources("conv")).main, apply("int8", sources("conv")).main, small.main]
    full, eight, best = (len(gzip.compress(file.read_bytes(), 9)) for file in files)
    assert best < 0.75 * eight < 0.3 * full
    zeros = sum(int((values == 0).sum()) for values in stored_kernels(small.main))
    assert zeros > 0.79 * sum(values.size for values in stored_kernels(small.main))


def test_what_is_left_alone_is_told_with_the_reason() -> None:
    inputs = tf_keras.Input((8, 8, 2))
    x = L.DepthwiseConv2D(3, name="depth")(inputs)
    x = L.SeparableConv2D(12, 3, name="separable")(x)
    x = L.Reshape((16, 12))(x)
    x = L.TimeDistributed(L.Dense(8), name="each")(x)
    x = L.Dense(8, trainable=False, name="frozen")(x)
    x = L.Dense(2, name="small")(x)
    x = L.Dense(30, name="left")(x)
    model = rebuilt(tf_keras.Model(inputs, L.Dense(10, name="digit")(x)))
    found, skipped = clustering.targets(model, Clusters(16, "linear", layers="!left"))
    assert found == {"separable": "16 values", "digit": "16 values"}
    assert skipped["depth"].startswith("depthwise kernels are left alone")
    assert skipped["separable"] == "only its pointwise kernel is clustered; the depthwise one is small and left alone"
    assert skipped["each"] == "the clustering toolkit does not support TimeDistributed"
    assert "frozen" in skipped["frozen"]
    assert skipped["small"] == "16 weights are too few for 16 clusters"
    assert skipped["left"] == "it is not among the chosen layers"
    kernel = np.zeros((30, 10), np.float32)
    kernel[0] = np.arange(10)
    model.get_layer("digit").set_weights([kernel, np.zeros(10)])
    _, skipped = clustering.targets(model, Clusters(16, "linear", keep_zeros=True))
    assert skipped["digit"] == "only 9 weights are not zero, too few for 16 clusters"


def test_nothing_to_cluster_and_mistyped_layers_are_refused(sources: Sources, apply: Apply) -> None:
    with pytest.raises(NotApplicable, match=r"can be clustered \(hidden1: 4096 weights"):
        clustering.targets(rebuilt(built("dense")), Clusters(4096, "linear"))
    with pytest.raises(NotApplicable, match="No layer with a kernel is called 'hiden1'; there are: hidden1, hidden2"):
        apply("weight_clustering", sources("dense"), layers="hiden1")


def every_kind() -> Any:
    """Kinds of layers that hold their kernels in different ways."""
    inputs = tf_keras.Input((12,))
    x = L.Embedding(40, 16, name="words")(inputs)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True), name="both_ways")(x)
    y = L.MultiHeadAttention(2, 6, name="attention")(x, x)
    x = L.Add()([x, y])
    x = L.GRU(8, return_sequences=True, name="gru")(x)
    x = L.Conv1D(8, 3, name="conv")(x)
    x = tf_keras.Sequential([tf_keras.Input((10, 8)), L.Flatten(), L.Dense(12, name="inner")], name="nested")(x)
    return tf_keras.Model(inputs, L.Dense(10, name="digit")(x))


@pytest.mark.slow
def test_wrapping_and_stripping_change_nothing_but_to_cluster(tmp_path: Path) -> None:
    model = every_kind()
    wanted = Clusters(8, "kmeans_plus_plus")
    flat = rebuilt(model)
    clean = rebuilt(flat)
    found, skipped = clustering.targets(flat, wanted)
    assert not skipped
    assert set(found) == {"words", "both_ways", "attention", "gru", "conv", "inner", "digit"}
    x = np.random.default_rng(0).integers(0, 40, (5, 12))
    wrapped = clustering.wrapped(flat, found, wanted)
    want = np.asarray(wrapped(x, training=False))
    result, clustered = clustering.stripped(wrapped, clean)
    np.testing.assert_allclose(result(x, training=False), want, atol=1e-6)
    save_working(result, tmp_path / "stripped.keras")
    np.testing.assert_allclose(load_working(tmp_path / "stripped.keras")(x), want, atol=1e-6)
    assert {name: len(values) for name, values in clustered.items() if len(values) > 1} == {
        "both_ways": 4, "attention": 4, "gru": 2,
    }  # fmt: skip
    for variables in kernels.by_layer(result).values():
        assert all(count_values(v.numpy(), "tensor") <= 8 for v in variables)


def test_the_best_epoch_is_a_clustered_one(sources: Sources, apply: Apply) -> None:
    done = apply("weight_clustering", sources("conv"), epochs=6, patience=1, learning_rate=0.02)
    told, history = done.report.figures["early_stopping"], done.report.figures["history"]
    validation = digits().validation
    answers = np.asarray(load_working(done.main)(validation.x, training=False))
    loss = -np.log(answers[np.arange(len(answers)), validation.y]).mean()
    assert loss == pytest.approx(history["val_loss"][told["best_epoch"] - 1], abs=1e-4)
    assert max(row["unique"] for row in done.report.figures["layers"].values()) <= 16


# folding ----------------------------------------------------------------------------------------------------------


def with_norms(model: Any) -> Any:
    """The model with statistics and factors that make a difference, negative ones among them."""
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            size = layer.moving_mean.shape[0]
            drawn = [rng.normal(size=size), rng.normal(size=size), rng.normal(size=size), rng.uniform(0.5, 2, size)]
            skip = [not layer.scale, not layer.center, False, False]
            layer.set_weights([values for values, out in zip(drawn, skip, strict=True) if not out])
    return model


KINDS: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    "dense": ((6,), lambda: L.Dense(5, name="first")),
    "conv1d": ((9, 3), lambda: L.Conv1D(5, 3, use_bias=False, name="first")),
    "conv2d": ((7, 7, 3), lambda: L.Conv2D(5, 3, name="first")),
    "conv3d": ((5, 5, 5, 2), lambda: L.Conv3D(4, 2, use_bias=False, name="first")),
    "grouped": ((7, 7, 4), lambda: L.Conv2D(6, 3, groups=2, use_bias=False, name="first")),
    "depthwise2d": ((7, 7, 3), lambda: L.DepthwiseConv2D(3, depth_multiplier=2, name="first")),
    "depthwise1d": ((7, 3), lambda: L.DepthwiseConv1D(3, depth_multiplier=2, use_bias=False, name="first")),
    "separable2d": ((7, 7, 3), lambda: L.SeparableConv2D(5, 3, use_bias=False, name="first")),
    "separable1d": ((7, 3), lambda: L.SeparableConv1D(5, 3, name="first")),
    "transposed1d": ((7, 3), lambda: L.Conv1DTranspose(5, 3, name="first")),
    "transposed2d": ((5, 5, 3), lambda: L.Conv2DTranspose(6, 3, use_bias=False, name="first")),
    "transposed3d": ((4, 4, 4, 2), lambda: L.Conv3DTranspose(3, 2, name="first")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_folded_normalization_computes_the_same(kind: str) -> None:
    shape, make = KINDS[kind]
    inputs = tf_keras.Input(shape)
    x = L.ReLU()(L.BatchNormalization(name="norm")(make()(inputs)))
    model = with_norms(tf_keras.Model(inputs, x))
    assert folding.foldable(model) == {"first": "norm"}
    examples = np.random.default_rng(1).normal(size=(4, *shape)).astype(np.float32)
    want = np.asarray(model(examples))
    result = folding.folded(model, ["first"])
    assert [layer.name for layer in result.layers if "norm" in layer.name] == []
    np.testing.assert_allclose(result(examples), want, atol=1e-5)
    np.testing.assert_array_equal(model(examples), want)
    flipped = rebuilt(model)
    folding.with_positive_factors(flipped, ["first"])
    assert (np.asarray(flipped.get_layer("norm").gamma) > 0).all()
    np.testing.assert_allclose(flipped(examples), want, atol=1e-5)


def test_only_what_follows_directly_and_alone_is_folded() -> None:
    inputs = tf_keras.Input((8, 8, 4))
    used_twice = L.Conv2D(4, 3, padding="same", name="used_twice")(inputs)
    a = L.BatchNormalization(name="n1")(used_twice)
    b = L.Conv2D(4, 3, padding="same", activation="relu", name="active")(L.Add()([a, used_twice]))
    b = L.BatchNormalization(name="n2")(b)
    c = L.BatchNormalization(axis=1, name="n3")(L.Conv2D(4, 3, padding="same", name="other_axis")(b))
    shared = L.Conv2D(4, 3, padding="same", name="shared")
    d = L.BatchNormalization(name="n4")(shared(c))
    e = L.BatchNormalization(name="n5")(shared(d))
    f = L.Conv2D(4, 3, kernel_constraint="max_norm", name="bounded")(e)
    f = L.BatchNormalization(name="n6")(f)
    g = L.Conv2D(4, 3, name="is_output")(f)
    h = L.BatchNormalization(name="n7")(g)
    i = L.BatchNormalization(scale=False, center=False, name="n8")(L.Conv2D(4, 1, name="plain")(h))
    model = with_norms(tf_keras.Model(inputs, [i, g]))
    assert folding.foldable(model) == {"plain": "n8"}
    assert set(folding.followers(model)) == {"plain", "bounded"}
    x = np.random.default_rng(1).normal(size=(3, 8, 8, 4)).astype(np.float32)
    for one, other in zip(model(x), folding.folded(model, ["plain"])(x), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
