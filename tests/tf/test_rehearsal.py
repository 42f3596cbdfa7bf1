"""Whole recipes rehearsed: every step on what the one before it would leave."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from optimizers.declarations import Part, StageContext, TrainingData
from optimizers.errors import NotApplicable
from optimizers.recipe import parse
from optimizers.tf import draft, rehearsal
from optimizers.tf.build import load_working, save_working
from tests.techniques.networks import built


def test_models_are_handed_to_the_steps_that_name_them_only(tmp_path: Path) -> None:
    for name in ("conv", "dense"):
        save_working(built(name), tmp_path / f"{name}.keras")
    recipe = parse("distillation(student=own, model='sample:student')+structured_pruning+int8")
    found = rehearsal.rehearse(tmp_path / "conv.keras", recipe, None, {"sample:student": tmp_path / "dense.keras"})
    assert [step.technique for step in found.steps] == ["distillation", "structured_pruning", "int8"]
    assert found.parameters < built("dense").count_params()


L = tf_keras.layers


def source_of(folder: Path, shape: tuple[int, ...], *layers: Any) -> Path:
    """A working file of a model that tells three classes apart."""
    tf_keras.utils.set_random_seed(3)
    model = tf_keras.Sequential([tf_keras.Input(shape), *layers, L.Flatten(), L.Dense(3, "softmax")])
    save_working(model, folder / "model.keras")
    return folder / "model.keras"


def converted(source: Path, recipe: str, shape: tuple[int, ...]) -> Path:
    """The file that a recipe of one conversion really makes, of random examples."""
    rng = np.random.default_rng(0)
    part = Part(rng.normal(size=(30, *shape)).astype(np.float32), np.arange(30) % 3)
    data = TrainingData(part, part, "classification", ("a", "b", "c"))
    step = parse(recipe).steps[0]
    context = StageContext(source, source.parent, lambda: data, 0, lambda *_, **__: None, lambda _: None)
    return source.parent / step.technique.apply(context, step.params).main


@pytest.mark.parametrize("recipe", ["float32", "dynamic_range", "int8"])
def test_files_whose_bytes_cannot_be_counted_are_made_in_advance(recipe: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, (8, 6), L.Bidirectional(L.LSTM(8, return_sequences=True)))
    draft.stir(model := load_working(source))
    save_working(model, source)
    found = rehearsal.rehearse(source, parse(recipe), None, {})
    assert found.size_bytes == pytest.approx(converted(source, recipe, (8, 6)).stat().st_size, rel=0.02)
    pruned = rehearsal.rehearse(source, parse(f"magnitude_pruning+{recipe}"), None, {})
    assert pruned.size_bytes == found.size_bytes
    assert pruned.compressed_bytes < found.compressed_bytes


def test_what_the_converter_refuses_is_told_in_advance(tmp_path: Path) -> None:
    shape = (4, 6, 6, 2)
    source = source_of(tmp_path, shape, L.ConvLSTM2D(4, 3))
    for recipe in ("int8", "int16x8"):
        with pytest.raises(NotApplicable) as told:
            rehearsal.rehearse(source, parse(recipe), None, {})
        with pytest.raises(NotApplicable) as real:
            converted(source, recipe, shape)
        assert told.value.message == real.value.message


@pytest.mark.parametrize("role", ["student=own, model", "teacher"])
def test_students_and_teachers_with_other_outputs_are_refused_in_advance(role: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    source = source_of(tmp_path, (4, 4, 1), L.Flatten(), L.Dense(16))
    other = tf_keras.Sequential([tf_keras.Input((4, 4, 1)), L.Flatten(), L.Dense(9, "softmax")])
    save_working(other, tmp_path / "other" / "model.keras")
    recipe = parse(f"magnitude_pruning+distillation({role}='sample:other')")
    with pytest.raises(NotApplicable, match="gives outputs of shape"):
        rehearsal.rehearse(source, recipe, None, {"sample:other": tmp_path / "other" / "model.keras"})


@pytest.mark.parametrize("mode", ["int8", "dynamic_range"])
def test_one_scale_per_tensor_is_foretold_to_be_smaller(mode: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, (10,), *(L.Dense(64) for _ in range(3)))
    draft.stir(model := load_working(source))
    save_working(model, source)

    def size(recipe: str) -> int:
        return rehearsal.rehearse(source, parse(recipe), None, {}).size_bytes

    by_channel, by_tensor = (mode, f"{mode}(granularity=per_tensor)")
    for recipe in (by_channel, by_tensor):
        assert size(recipe) == converted(source, recipe, (10,)).stat().st_size
    assert size(by_tensor) < size(by_channel) - 1000
    if mode == "int8":  # the toolkit has one scale for a dense kernel
        assert size("quantization_aware_training+int8") == pytest.approx(size(by_tensor), rel=0.15)


def test_training_that_keeps_no_shared_values_is_foretold_to_lose_them(tmp_path: Path) -> None:
    source = source_of(tmp_path, (10,), L.Dense(64), L.Dense(64))

    def compressed(recipe: str) -> int:
        return rehearsal.rehearse(source, parse(recipe), None, {}).compressed_bytes

    kept, lost = compressed("weight_clustering+float16"), compressed("weight_clustering+magnitude_pruning+float16")
    assert lost > 1.5 * kept


@pytest.mark.parametrize("recipe", ["float32", "float16", "dynamic_range", "int8", "int16x8"])
def test_small_files_are_foretold_to_the_byte_and_middling_ones_to_two_percent(recipe: str, tmp_path: Path) -> None:
    small = [L.DepthwiseConv2D(3, activation="relu"), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()]
    for layers, off in ((small, 0.0), ([L.Flatten(), *(L.Dense(256, "relu") for _ in range(3))], 0.02)):
        source = source_of(tmp_path, (12, 12, 3), *layers)
        draft.stir(model := load_working(source))
        save_working(model, source)
        found, file = rehearsal.rehearse(source, parse(recipe), None, {}), converted(source, recipe, (12, 12, 3))
        assert found.size_bytes == pytest.approx(file.stat().st_size, rel=off)
        assert found.compressed_bytes == pytest.approx(len(gzip.compress(file.read_bytes())), rel=0.15)


def test_the_original_is_foretold_beside_and_what_grows_is_told(tmp_path: Path) -> None:
    source = source_of(tmp_path, (24, 6), L.LSTM(8))
    unrolled = rehearsal.rehearse(source, parse("int8(recurrent=unrolled)"), None, {})
    assert unrolled.original_bytes == converted(source, "float32", (24, 6)).stat().st_size
    assert unrolled.grows
    assert not rehearsal.rehearse(source, parse("magnitude_pruning"), None, {}).grows


def test_equal_weights_are_stored_once_until_a_training_makes_them_differ(tmp_path: Path) -> None:
    source = source_of(tmp_path, (10,), L.Dense(32), L.Dense(32), L.Dense(32))
    fresh = rehearsal.rehearse(source, parse("int8"), None, {}).size_bytes
    assert fresh == converted(source, "int8", (10,)).stat().st_size
    trained = rehearsal.rehearse(source, parse("magnitude_pruning+int8"), None, {}).size_bytes
    draft.stir(model := load_working(source))
    save_working(model, tmp_path / "trained.keras")
    assert trained == converted(tmp_path / "trained.keras", "int8", (10,)).stat().st_size > fresh


@pytest.mark.parametrize("recipe", ["int8", "int16x8", "float16", "low_bit"])
def test_compressed_bytes_of_repeated_operators_are_foretold(recipe: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, (24, 6), L.Bidirectional(L.GRU(12)))
    given = f"{recipe}(recurrent=unrolled)" if recipe != "low_bit" else recipe
    found, file = rehearsal.rehearse(source, parse(given), None, {}), converted(source, given, (24, 6))
    assert found.compressed_bytes == pytest.approx(len(gzip.compress(file.read_bytes())), rel=0.1)


def test_much_content_is_compressed_from_blocks_that_tell_of_all() -> None:
    rng = np.random.default_rng(0)
    layers = [
        (rng.normal(size=700_000) * scale * (rng.random(700_000) > 0.3)).astype(np.int8) for scale in range(1, 15)
    ]
    content = np.concatenate(layers).tobytes()
    assert len(content) > 2 * draft._LOOKED_AT
    assert draft.compressed(content) == pytest.approx(len(gzip.compress(content, 6)), rel=0.03)
    assert draft.compressed(content[:1000]) == len(gzip.compress(content[:1000], 9, mtime=0))
