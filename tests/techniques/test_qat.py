"""What fake quantization promises: it is what the file computes, it can be rebuilt exactly, and it keeps properties."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_model_optimization as tfmot
import tf_keras

from optimizers import registry
from optimizers.declarations import StageContext
from optimizers.errors import NotApplicable
from optimizers.litert import interpreter
from optimizers.litert.operators import float_operators, integer_only
from optimizers.params import resolve
from optimizers.tf import qat, qat_files, qat_plan
from optimizers.tf.build import load_working
from optimizers.tf.fake_quant import KernelPlan
from optimizers.tf.graph import rebuilt
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, digits, held_out
from tests.techniques.test_weight_clustering import stored_kernels

Apply = Callable[..., Applied]
Sources = Callable[[str], Path]
L = tf_keras.layers
BOTH = frozenset({"sparsity", "clusters"})


def quantized(model: Any, examples: np.ndarray, **given: Any) -> tuple[Any, qat_plan.Plan]:
    """The model with calibrated fake quantization, and the plan behind it."""
    flat = qat_plan.prepared(model)
    plan = qat_plan.plan(flat, given.pop("layers", ""), **{"keep_clusters": False, "keep_zeros": False, **given})
    result = qat.quantized(flat, plan)
    qat.calibrate(result, examples)
    return result, plan


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def accuracy(file: Path) -> float:
    part = held_out()
    return float((interpreter.predict(file, part.x).argmax(axis=1) == part.y).mean())


def activation_scales(file: Path) -> list[float]:
    """Scales of all int8 tensors that are no weights."""
    details = interpreter.load(file).get_tensor_details()
    found = [d for d in details if d["dtype"] == np.int8 and d["shape"].size and d["shape"][0] == 1]
    return [float(d["quantization_parameters"]["scales"][0]) for d in found]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, sources: Sources) -> Path:
    """The convolutional network pruned to 80% and clustered to 8 values."""
    path, held = sources("conv"), frozenset()
    for name, given in (("magnitude_pruning", {"target_sparsity": 0.8}), ("weight_clustering", {"clusters": 8})):
        out = tmp_path_factory.mktemp(name)
        context = StageContext(path, out, digits, 0, lambda step, of, **_: None, lambda line: None, held=held)
        technique = registry.technique(name)
        params = resolve(name, technique.params, {"epochs": 4, "min_steps": 0, **given})
        path, held = out / technique.apply(context, params).main, frozenset({"sparsity"})
    return path


def test_the_file_computes_what_was_trained(sources: Sources, apply: Apply) -> None:
    trained = apply("quantization_aware_training", sources("conv"), epochs=3)
    assert trained.report.figures["scheme"] == "QAT"
    assert set(trained.report.figures["layers"]) == {"conv1", "conv2", "digit"}
    assert not trained.report.skipped
    done = apply("int8", trained.main)
    assert not float_operators(done.main)
    assert integer_only(apply("int8", trained.main, io="int8").main)
    assert done.report.figures["sqnr_db"] > 35, "measured against the fake-quantized model"
    assert accuracy(done.main) > 0.85
    with np.load(trained.folder / qat_files.RANGES) as ranges:
        low, high = ranges["relu1/output_min"], ranges["relu1/output_max"]
    assert any(scale == pytest.approx((high - low) / 255, rel=1e-4) for scale in activation_scales(done.main))


def test_a_stage_is_rebuilt_exactly(sources: Sources, apply: Apply) -> None:
    done = apply("quantization_aware_training", sources("conv"))
    x = held_out().x[:50]
    one, other = (np.asarray(qat.load_qat(done.main)(x, training=False)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert qat_files.is_qat(done.main)
    assert not qat_files.is_qat(sources("conv"))
    assert {path.name for path in done.folder.iterdir()} == {qat_files.MODEL, qat_files.RECORD, qat_files.RANGES}
    assert json.loads((done.folder / qat_files.RECORD).read_text())["scheme"] == "QAT"


def test_what_is_rebuilt_is_what_was_saved(tmp_path: Path) -> None:
    examples = digits().train.x[:100]
    model, plan = quantized(built("conv"), examples)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(examples, digits().train.y[:100], verbose=0)
    want = np.asarray(model(examples, training=False))
    qat.save_qat(model, rebuilt(built("conv")), plan, "QAT", tmp_path)
    np.testing.assert_array_equal(qat.load_qat(tmp_path / qat_files.MODEL)(examples, training=False), want)
    plain = np.asarray(load_working(tmp_path / qat_files.MODEL)(examples))
    assert 0 < np.abs(plain - want).max() < 0.2, "the float model is near, but not the same"


@pytest.mark.slow
def test_equal_seeds_give_equal_files(sources: Sources, apply: Apply) -> None:
    stages = [apply("quantization_aware_training", sources("conv"), epochs=1) for _ in range(2)]
    for name in (qat_files.MODEL, qat_files.RECORD, qat_files.RANGES):
        assert (stages[0].folder / name).read_bytes() == (stages[1].folder / name).read_bytes(), name
    files = [apply("int8", stage.main).main.read_bytes() for stage in stages]
    assert files[0] == files[1]


def test_ranges_start_from_examples() -> None:
    examples = digits().train.x[:200]
    model, _ = quantized(built("conv"), examples)
    layers = dict(qat.wrappers(model))
    relu = {v.name.split("/")[-1]: float(v) for v in layers["relu1"].weights if v.shape == ()}
    inside = tf_keras.Model(built("conv").inputs, built("conv").get_layer("relu1").output)
    assert relu["output_min:0"] == 0.0
    assert relu["output_max:0"] == pytest.approx(float(np.asarray(inside(examples)).max()), rel=0.01)
    x = held_out().x[:200]
    answers = np.asarray(model(x, training=False))
    np.testing.assert_allclose(answers, built("conv")(x), atol=0.15)
    assert (answers.argmax(axis=1) == np.asarray(built("conv")(x)).argmax(axis=1)).mean() > 0.97


def test_a_convolution_before_a_relu_layer_trains_in_8_bits() -> None:
    """The toolkit turns the convolution's quantization off altogether there."""
    inputs = tf_keras.Input((6, 6, 2))
    x = L.ReLU()(L.Conv2D(4, 3, name="conv")(inputs))
    model = tf_keras.Model(inputs, L.Dense(3, name="end")(L.Flatten()(x)))
    theirs = tfmot.quantization.keras.quantize_model(model)
    forgotten = next(w for w in theirs.layers if w.name == "quant_conv")
    assert forgotten._weight_vars == []
    examples = normal(20, 6, 6, 2)
    result, _ = quantized(model, examples)
    kernels = qat.quantized_kernels(result)
    assert set(kernels) == {"conv", "end"}
    kernel = model.get_layer("conv").get_weights()[0]
    steps = kernels["conv"] / (np.abs(kernel).max(axis=(0, 1, 2)) / 127)
    np.testing.assert_allclose(steps, steps.round(), atol=1e-3)
    np.testing.assert_allclose(kernels["conv"], kernel, atol=np.abs(kernel).max() / 127)
    conv = dict(qat.wrappers(result))["conv"]
    assert not any("activation" in v.name for v in conv.weights), "nothing is quantized between the two"


def test_unknown_layers_stay_float_and_the_file_is_quantized_all_the_same(sources: Sources, apply: Apply) -> None:
    done = apply("quantization_aware_training", sources("attention"), epochs=1)
    assert set(done.report.figures["layers"]) == {"digit"}
    assert set(done.report.skipped) == {"attention"}
    assert done.report.skipped["attention"].startswith("the 8-bit scheme has no MultiHeadAttention; it stays float")
    file = apply("int8", done.main)
    assert not float_operators(file.main)
    assert file.report.figures["sqnr_db"] > 15
    assert not any("trained ranges" in note for note in file.report.notes)


def test_every_reason_to_stay_float_is_told() -> None:
    inputs = tf_keras.Input((10,), dtype="int32")
    x = L.Embedding(20, 8, mask_zero=True, name="words")(inputs)
    x = L.Dense(6, name="masked")(x)
    x = L.GlobalAveragePooling1D()(x)
    x = L.Dense(6, activation="elu", name="elu")(x)
    x = L.BatchNormalization()(L.Dense(6, trainable=False, name="frozen")(x))
    x = L.Dense(6, name="left")(x)
    x = L.Reshape((2, 3))(L.Dense(6, name="before")(x))
    x = L.EinsumDense("abc,cd->abd", output_shape=(2, 4), name="einsum")(x)
    model = tf_keras.Model(inputs, L.Dense(3, name="end")(L.Flatten()(x)))
    plan = qat_plan.plan(qat_plan.prepared(model), "!left", keep_clusters=False, keep_zeros=False)
    assert set(plan.kernels) == {"end"}
    begins = {
        "words": "the 8-bit scheme has no Embedding",
        "masked": "its input carries a mask",
        "elu": "the 8-bit scheme has no activation elu",
        "frozen": "the layer is frozen",
        "left": "it is not among the chosen layers",
        "before": "what follows it cannot take 8 bits",
        "einsum": "the 8-bit scheme has no EinsumDense",
    }
    assert set(plan.skipped) == set(begins)
    for name, words in begins.items():
        assert plan.skipped[name].startswith(words), name
    result = qat.quantized(qat_plan.prepared(model), plan)
    assert set(qat.quantized_kernels(result)) == {"end"}


def test_frozen_layers_stay_as_they_are(tmp_path: Path, apply: Apply) -> None:
    from optimizers.tf.build import save_working

    model = rebuilt(built("conv"))
    model.get_layer("conv2").trainable = False
    save_working(model, tmp_path / "frozen.keras")
    done = apply("quantization_aware_training", tmp_path / "frozen.keras", epochs=1)
    after = load_working(done.main)
    for one, other in zip(model.get_layer("conv2").get_weights(), after.get_layer("conv2").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (model.get_layer("conv1").get_weights()[0] != after.get_layer("conv1").get_weights()[0]).any()


def test_only_chosen_layers_and_none_at_all(sources: Sources, apply: Apply) -> None:
    done = apply("quantization_aware_training", sources("dense"), epochs=1, layers="hidden*")
    assert set(done.report.figures["layers"]) == {"hidden1", "hidden2"}
    assert done.report.skipped == {"digit": "it is not among the chosen layers"}
    assert not float_operators(apply("int8", done.main).main)
    with pytest.raises(NotApplicable, match="No layer with a kernel is called 'hiden'"):
        apply("quantization_aware_training", sources("dense"), layers="hiden")
    inputs = tf_keras.Input((4, 4))
    flat = qat_plan.prepared(tf_keras.Model(inputs, L.LSTM(3, name="only")(inputs)))
    with pytest.raises(NotApplicable, match=r"can be trained in 8 bits \(only: the 8-bit scheme has no LSTM"):
        qat_plan.plan(flat, "", keep_clusters=False, keep_zeros=False)


def test_separable_convolutions_and_nested_models_are_taken_apart() -> None:
    inputs = tf_keras.Input((8, 8, 3))
    inner = tf_keras.Sequential([tf_keras.Input((6, 6, 5)), L.SeparableConv2D(4, 3, name="inside")], name="nested")
    x = L.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu", use_bias=False, name="outside")(inputs)
    x = L.BatchNormalization()(inner(x))
    x = L.Concatenate()([L.ReLU(name="relu")(x), x])
    model = tf_keras.Model(inputs, L.Dense(3, name="end")(L.Flatten()(x)))
    flat = qat_plan.prepared(model)
    examples = normal(20, 8, 8, 3)
    np.testing.assert_allclose(flat(examples), model(examples), atol=1e-6)
    assert flat.count_params() == model.count_params()
    result, plan = quantized(model, examples)
    names = {"outside", "outside_depthwise", "inside", "inside_depthwise", "end"}
    assert set(qat.quantized_kernels(result)) == set(plan.kernels) == names
    np.testing.assert_allclose(result(examples, training=False), model(examples), atol=0.1)


@pytest.mark.parametrize(
    ("held", "scheme"),
    [
        pytest.param({"sparsity"}, "PQAT", marks=pytest.mark.slow),
        pytest.param({"clusters"}, "CQAT", marks=pytest.mark.slow),
        ({"sparsity", "clusters"}, "PCQAT"),
    ],
)
def test_the_scheme_follows_from_what_is_held(held: set[str], scheme: str, small: Path, apply: Apply) -> None:
    before = load_working(small)
    part = held_out()
    accuracy_before = float((np.asarray(before(part.x)).argmax(axis=1) == part.y).mean())
    trained = apply("quantization_aware_training", small, held=frozenset(held), epochs=2)
    figures = trained.report.figures
    assert figures["scheme"] == scheme
    file = apply("int8", trained.main, held=frozenset(held))
    stored = stored_kernels(file.main)
    zeros = [float((values == 0).mean()) for values in stored]
    values = [len(np.unique(value)) for value in stored]
    assert (min(zeros) > 0.79) == ("sparsity" in held)
    assert (max(values) <= 8) == ("clusters" in held)
    assert sorted(values) == sorted(row["unique"] for row in figures["layers"].values()) or "clusters" not in held
    for name, row in figures["layers"].items():
        kernel = before.get_layer(name).get_weights()[0]
        assert row["weights"] == kernel.size
        assert "sparsity" not in held or row["sparsity"] >= (kernel == 0).mean()
    assert accuracy(file.main) > accuracy_before - 0.06


def test_nothing_is_kept_where_nothing_is_to_be(small: Path, apply: Apply) -> None:
    naive = apply("quantization_aware_training", small, held=BOTH, keep_earlier="nothing", epochs=1)
    assert naive.report.figures["scheme"] == "QAT"
    rows = naive.report.figures["layers"].values()
    assert max(row["unique"] for row in rows) > 50
    assert min(row["sparsity"] for row in rows) < 0.79


def test_clusters_survive_under_a_normalization_that_is_not_folded(small: Path) -> None:
    model = load_working(small)
    assert isinstance(model.get_layer("bn1"), L.BatchNormalization)
    plan = qat_plan.plan(qat_plan.prepared(model), "", keep_clusters=True, keep_zeros=True)
    assert plan.kernels["conv1"] == KernelPlan("shared", "tensor", True)
    assert plan.kernels["conv2"] == plan.kernels["digit"] == KernelPlan("per_tensor", "tensor", True)


def test_clusters_of_channels_stay_clusters_of_channels(sources: Sources, apply: Apply) -> None:
    clustered = apply("weight_clustering", sources("conv"), clusters=5, per_channel=True)
    done = apply("quantization_aware_training", clustered.main, held=frozenset({"clusters"}), epochs=1)
    assert done.report.figures["layers"]["conv2"]["unique"] <= 5
    kernel = load_working(done.main).get_layer("conv2").get_weights()[0]
    assert max(len(np.unique(kernel[..., channel])) for channel in range(24)) <= 5
    assert len(np.unique(kernel)) > 20


@pytest.mark.slow
def test_clustered_layers_that_stay_float_are_not_trained(sources: Sources, apply: Apply) -> None:
    clustered = apply("weight_clustering", sources("lstm"), epochs=1)
    done = apply("quantization_aware_training", clustered.main, held=frozenset({"clusters"}), epochs=1)
    assert done.report.notes[-1] == "To keep their clusters these layers were not trained: lstm."
    one, other = (load_working(path).get_layer("lstm").get_weights() for path in (clustered.main, done.main))
    np.testing.assert_array_equal(one[0], other[0])
    plain = apply("int8", done.main, granularity="per_tensor")
    assert not float_operators(plain.main)
    assert max(len(np.unique(values)) for values in stored_kernels(plain.main)) <= 16
    fused = apply("int8", done.main, recurrent="fused")
    assert fused.report.figures["operators"]["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 1
    assert min(fused.report.figures["sqnr_db"], plain.report.figures["sqnr_db"]) > 10
