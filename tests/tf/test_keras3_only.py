"""Models that only Keras 3 can hold: read as Keras reads them, converted as they are, and never taken for trainable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from optimizers import registry
from optimizers.declarations import StageContext, TrainingData
from optimizers.errors import ModelRefused, NotApplicable
from optimizers.litert.file import LiteRtFile
from optimizers.litert.interpreter import predict
from optimizers.params import resolve
from optimizers.recipe import check_source, parse
from optimizers.tf import build, cost, keras3_only, pooling, rehearsal, shapes
from optimizers.tf.convert import convert
from optimizers.tf.summary import summarize
from tests.techniques.networks import digits

L, ops = keras.layers, keras.ops
Start = tuple[Any, Any]


def grouped_attention(rows: Any) -> Any:
    x = L.Dense(32)(rows)
    x = x + L.GroupQueryAttention(8, 4, 2, name="grouped")(x, x)
    return L.GlobalAveragePooling1D()(L.Dense(64, activation="gelu", name="wide")(L.RMSNormalization()(x)))


def gated_attention(rows: Any) -> Any:
    x = L.MultiHeadAttention(2, 16, use_gate=True, sliding_window=3)(rows, rows)
    return L.Flatten()(x)


def adaptive_pooling(rows: Any) -> Any:
    x = L.Conv2D(16, 3, padding="same", activation="relu")(L.Reshape((8, 8, 1))(rows))
    return L.Flatten()(L.AdaptiveMaxPooling2D(2)(L.AdaptiveAveragePooling2D((4, 4))(x)))


def operations(rows: Any) -> Any:
    x = ops.glu(L.Dense(64)(rows))
    x = ops.logaddexp(x, ops.soft_shrink(x)) + ops.triu(ops.sort(x, axis=1))
    return L.Flatten()(x)


def both_ways(rows: Any) -> Any:
    embedding = L.ReversibleEmbedding(17, 8, name="tokens")
    x = embedding(ops.cast(ops.round(rows[:, :, 0]), "int32"))
    return L.Flatten()(embedding(L.Dense(8, activation="relu")(x), reverse=True))


def inside_another_model(rows: Any) -> Any:
    start = keras.Input((8, 8))
    return keras.Model(start, grouped_attention(start), name="inner")(rows)


NETWORKS: dict[str, Callable[[Any], Any]] = {
    f.__name__: f
    for f in (grouped_attention, gated_attention, adaptive_pooling, operations, both_ways, inside_another_model)
}


def network(name: str) -> Any:
    keras.utils.set_random_seed(5)
    start = keras.Input((8, 8, 1))
    body = NETWORKS[name](L.Reshape((8, 8))(start))
    return keras.Model(start, L.Dense(10, activation="softmax", name="digit")(body))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("only")
    for name in NETWORKS:
        network(name).save(folder / f"{name}.keras")
    return {name: folder / f"{name}.keras" for name in NETWORKS}


def examples() -> np.ndarray:
    return np.asarray(digits().train.x[:16], np.float32)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "grouped_attention" else SLOW) for name in NETWORKS]
)
def test_it_is_read_as_keras_reads_it_and_converted(name: str, saved: dict[str, Path]) -> None:
    native = keras.models.load_model(saved[name], compile=False)
    summary = summarize(saved[name])
    assert (summary.kind, summary.activation, summary.bridge_error) == ("keras3", "softmax", None)
    assert summary.parameters == native.count_params()
    assert summary.notes[0].startswith("Only Keras 3 can hold this model: ")
    model, x = build.load_working(saved[name]), examples()
    wanted = np.asarray(native(x))
    np.testing.assert_allclose(np.asarray(model(x)), wanted, atol=1e-6)
    float32 = convert(model, "float32").file
    np.testing.assert_allclose(predict(float32, x), wanted, atol=1e-5)
    held = sum(int(np.prod(w.shape)) for w in native.weights if len(w.shape) > 1)
    assert len(float32) > 4 * held, "the weights are in the file"


def applied(name: str, source: Path, out: Path, **given: Any) -> Any:
    technique = registry.technique(name)

    def data() -> TrainingData:
        return digits()

    out.mkdir()
    context = StageContext(source, out, data, 3, lambda step, of, **metrics: None, lambda line: None)
    return technique.apply(context, resolve(name, technique.params, given))


@pytest.mark.parametrize(
    ("technique", "largest", "off"),
    [
        pytest.param("float16", 0.75, 1e-2, marks=SLOW),
        pytest.param("dynamic_range", 0.75, 0.1, marks=SLOW),
        pytest.param("int8", 0.7, 0.1, marks=SLOW),
        pytest.param("low_bit", 0.7, 0.3, marks=SLOW),
    ],
)
def test_conversions_make_it_smaller(
    technique: str, largest: float, off: float, saved: dict[str, Path], tmp_path: Path
) -> None:
    source, x = saved["grouped_attention"], examples()
    report = applied(technique, source, tmp_path / "out")
    file = tmp_path / "out" / report.main
    assert file.stat().st_size < largest * len(convert(build.load_working(source), "float32").file)
    assert np.abs(predict(file, x) - np.asarray(build.load_working(source)(x))).max() < off


@SLOW
def test_its_forecast_knows_its_layers_and_costs(saved: dict[str, Path]) -> None:
    found = rehearsal.rehearse(saved["grouped_attention"], parse("float16"), None, {})
    assert {"grouped", "wide", "digit"} <= set(found.steps[0].touched)
    model = build.load_working(saved["grouped_attention"])
    assert found.macs == cost.macs(model) > 8 * 32 * 64
    file = LiteRtFile(convert(model, "float16").file)
    assert found.size_bytes == pytest.approx(len(file.content), rel=0.5)


@pytest.mark.parametrize("name", ["magnitude_pruning", "quantization_aware_training", "low_rank", "distillation"])
def test_what_trains_says_that_it_exists_only_in_keras3(name: str) -> None:
    with pytest.raises(NotApplicable, match="this model exists only in Keras 3") as caught:
        check_source(parse(name), "keras3")
    assert registry.technique(name).title in caught.value.message


@SLOW
def test_open_dimensions_are_fixed(tmp_path: Path) -> None:
    start = keras.Input((None, 4))
    grouped = L.GroupQueryAttention(4, 2, 1)(start, start)
    keras.Model(start, L.Dense(3)(L.GlobalMaxPooling1D()(grouped))).save(tmp_path / "open.keras")
    fixed = shapes.with_input_shape(build.load_working(tmp_path / "open.keras"), (6, 4))
    assert predict(convert(fixed, "float32").file, np.ones((2, 6, 4), np.float32)).shape == (2, 3)


@SLOW
def test_a_loop_is_not_calibrated(tmp_path: Path) -> None:
    start = keras.Input((8, 8))
    grouped = L.GroupQueryAttention(4, 2, 1)(start, start)
    keras.Model(start, L.Dense(3)(L.GRU(8)(grouped))).save(tmp_path / "loop.keras")
    model = build.load_working(tmp_path / "loop.keras")
    assert keras3_only.loops(model) == ["GRU"]
    with pytest.raises(NotApplicable, match=r"recurrent layer \(GRU\) becomes a loop"):
        convert(model, "int8", representative=np.zeros((4, 8, 8), np.float32))
    assert convert(model, "dynamic_range").file


def test_what_tensorflow_cannot_trace_is_refused(tmp_path: Path) -> None:
    start = keras.Input((None, 6, 4))
    pooled = L.GlobalMaxPooling2D()(L.AdaptiveMaxPooling2D(2)(start))
    keras.Model(start, pooled).save(tmp_path / "untraceable.keras")
    with pytest.raises(ModelRefused, match="TensorFlow cannot trace it") as caught:
        summarize(tmp_path / "untraceable.keras")
    assert caught.value.code == "bad-graph"


SIZES = {1: [(1,), (2,), (5,)], 2: [(1, 1), (1, 3), (2, 1), (3, 2)], 3: [(1, 1, 1), (2, 1, 3), (2, 2, 2)]}


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("places", [1, 2, 3])
def test_adaptive_pooling_is_right_where_the_kernel_of_tensorflow_divides_by_zero(kind: str, places: int) -> None:
    rng = np.random.default_rng(0)
    for shape in [(3, 5, 6)[:places], (1, 4, 2)[:places], (1,) * places]:
        for size in SIZES[places]:
            x = rng.normal(size=(2, *shape, 4)).astype("float32")
            wanted = by_hand(x, size, np.max if kind == "Max" else np.mean)
            for form, given, back in [("channels_last", x, wanted), ("channels_first", *map(to_first, (x, wanted)))]:
                layer = pooling.LAYERS[f"Adaptive{kind}Pooling{places}D"](size, data_format=form)
                operation = pooling.OPERATIONS[f"Adaptive{kind}Pool"](size, form)
                np.testing.assert_allclose(layer(given), back, atol=1e-6)
                np.testing.assert_allclose(operation(given), back, atol=1e-6)


def to_first(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, -1, 1)


def by_hand(x: np.ndarray, size: tuple[int, ...], reduce: Any) -> np.ndarray:
    """Place i of n covers what lies between i/n and (i+1)/n of the input, in whole numbers, outwards."""
    for axis, n in enumerate(size, 1):
        length = x.shape[axis]
        parts = [x.take(range(i * length // n, -(-(i + 1) * length // n)), axis) for i in range(n)]
        x = np.stack([reduce(part, axis=axis) for part in parts], axis)
    return x


def test_adaptive_pooling_to_one_place_is_read_and_converted(tmp_path: Path) -> None:
    start = keras.Input((3, 3, 4))
    keras.Model(start, L.Flatten()(L.AdaptiveMaxPooling2D(1)(start))).save(tmp_path / "one.keras")
    assert summarize(tmp_path / "one.keras").kind == "keras3"
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")
    file = convert(build.load_working(tmp_path / "one.keras"), "float32").file
    np.testing.assert_allclose(predict(file, x), x.max((1, 2)), atol=1e-6)
