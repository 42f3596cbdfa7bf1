"""Models keep their meaning on the way through the reader into either Keras, and through working files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from keras import Input, layers

from optimizers.errors import ModelRefused
from optimizers.models.reader import LIMITS, read
from optimizers.models.reader.limits import Limits
from optimizers.tf import budget, check
from optimizers.tf.build import build_keras3, build_tf_keras, load_working, save_working
from optimizers.tf.check import agreement_of, check_bridge, run
from optimizers.tf.probes import random_inputs, vocabulary
from optimizers.tf.weights import match_names
from tests.tf.conftest import Specimen
from tests.tf.zoo import ZOO, half_precision, randomized

Make = Callable[[str], Specimen]
CLOSE = 1e-5
CANNOT_BE_LOADED_BY_KERAS = {"one_layer_in_two_models", "nested_models"}


@pytest.mark.parametrize("name", ZOO)
def test_archive_in_both_kerases_and_through_a_working_file(name: str, specimen: Make, tmp_path: Path) -> None:
    model = specimen(name)
    spec = read(model.keras)
    keras2 = build_tf_keras(spec)
    first = run(keras2, model.inputs)
    assert agreement_of(model.outputs, first).relative < CLOSE
    assert agreement_of(model.outputs, run(build_keras3(spec), model.inputs)).relative < CLOSE
    save_working(keras2, tmp_path / "working.keras")
    again = load_working(tmp_path / "working.keras")
    assert agreement_of(first, run(again, model.inputs)).absolute == 0.0
    assert again.count_params() == keras2.count_params()


@pytest.mark.parametrize("name", [name for name in ZOO if name != "from_applications"])
def test_keras3_hdf5(name: str, specimen: Make) -> None:
    model = specimen(name)
    keras2 = build_tf_keras(read(model.h5))
    assert agreement_of(model.outputs, run(keras2, model.inputs)).relative < CLOSE


@pytest.mark.parametrize("name", sorted({"nested_as_output", "shared_layers", "recurrent", "frozen"}))
def test_native_loader_agrees(name: str, specimen: Make) -> None:
    model = specimen(name)
    native = keras.models.load_model(model.keras)
    assert (
        agreement_of(run(native, model.inputs), run(build_tf_keras(read(model.keras)), model.inputs)).relative < CLOSE
    )


@pytest.mark.parametrize("name", sorted(CANNOT_BE_LOADED_BY_KERAS))
def test_models_sharing_layers_are_read_where_keras_fails(name: str, specimen: Make) -> None:
    model = specimen(name)
    with pytest.raises(Exception, match=r"not connected|could not be loaded"):
        keras.models.load_model(model.keras)
    if name == "one_layer_in_two_models":
        assert build_tf_keras(read(model.keras)).count_params() == model.parameters


def test_keras_own_classes_need_their_module_to_be_recognized(specimen: Make) -> None:
    with pytest.raises(ModelRefused) as refusal:
        read(specimen("from_applications").h5)
    assert refusal.value.code == "custom-layer"


def test_trainable_flags_survive(specimen: Make) -> None:
    built = build_tf_keras(read(specimen("frozen").keras))
    assert [layer.trainable for layer in built.layers] == [False, True, False, True]


def test_half_precision_is_computed_in_float32(tmp_path: Path) -> None:
    model = randomized(half_precision())
    model.save(tmp_path / "half.keras")
    spec = read(tmp_path / "half.keras")
    inputs = random_inputs(spec, examples=3, seed=0, open_size=16)
    built = build_tf_keras(spec)
    assert {weight.dtype.name for weight in built.weights} == {"float32"}
    assert agreement_of(run(model, inputs), run(built, inputs)).relative < 0.02
    assert check_bridge(spec) < 1e-6


def test_check_reports_a_tiny_difference(specimen: Make) -> None:
    assert 0.0 <= check_bridge(read(specimen("image_functional").keras)) < 1e-5


def test_check_names_the_first_layer_that_differs(specimen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from optimizers.tf.dialects import Keras2

    honest = Keras2.activation
    monkeypatch.setattr(Keras2, "activation", lambda self, name: "relu" if name == "elu" else honest(self, name))
    with pytest.raises(ModelRefused, match="'conv2d_transpose") as refusal:
        check_bridge(read(specimen("image_functional").keras))
    assert refusal.value.code == "bridge-differs"


def test_probe_inputs_stay_within_the_vocabulary(specimen: Make) -> None:
    spec = read(specimen("multiple_inputs").keras)
    assert vocabulary(spec) == {"tokens": 11}
    by_name = dict(zip(("tokens", "numbers"), random_inputs(spec, examples=50, seed=0, open_size=16), strict=True))
    tokens = next(array for array in by_name.values() if array.dtype == np.int32)
    assert tokens.min() >= 0
    assert tokens.max() <= 10


def test_open_dimensions_are_tried_in_several_sizes(tmp_path: Path) -> None:
    inputs = Input((None, None, 1))
    x = layers.Conv2D(2, 3, strides=8)(layers.Cropping2D(12)(inputs))
    keras.Model(inputs, layers.GlobalMaxPooling2D()(x)).save(tmp_path / "open.keras")
    assert check_bridge(read(tmp_path / "open.keras")) < 1e-5


def test_renamed_layers_are_noted(tmp_path: Path) -> None:
    inputs = Input((2,), name="in put")
    keras.Model(inputs, [layers.Dense(1, name="lambda")(inputs), layers.Dense(1, name="in_put")(inputs)]).save(
        tmp_path / "names.keras"
    )
    built = build_tf_keras(read(tmp_path / "names.keras"))
    assert len({layer.name for layer in built.layers}) == 3
    assert all(layer.name.isidentifier() for layer in built.layers)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_names_in_any_script_and_with_colons(ending: str, tmp_path: Path) -> None:
    inputs = Input((3,), name="größe")
    x = layers.Dense(4, activation="tanh", name="層 & co")(inputs)
    x = layers.Dense(4, name="block1.conv:0")(x)
    model = randomized(keras.Model(inputs, layers.Dense(2, name="x" * 200)(x)))
    model.save(tmp_path / f"names.{ending}")
    spec = read(tmp_path / f"names.{ending}")
    assert [layer.name for layer in spec.graph.layers][:3] == ["größe", "層 & co", "block1.conv:0"]
    assert check_bridge(spec) < CLOSE
    given = random_inputs(spec, examples=2, seed=0, open_size=4)
    assert agreement_of(run(model, given), run(build_tf_keras(spec), given)).relative < CLOSE


def test_too_large_a_layer_is_refused_before_it_is_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras.Sequential([Input((4,)), layers.Dense(8)]).save(tmp_path / "small.keras")
    spec = read(tmp_path / "small.keras")
    spec.graph.layers[1].options["units"] = LIMITS.dimension
    spec.graph.layers[0].options["batch_shape"] = (None, 1 << 20)
    for build in (build_tf_keras, build_keras3):
        with pytest.raises(ModelRefused) as refusal:
            build(spec)
        assert refusal.value.code == "too-large"
    spec.graph.layers[1].options["units"] = 8
    monkeypatch.setattr(budget, "LIMITS", Limits(tensor_values=1000))
    with pytest.raises(ModelRefused, match="produces 1,048,576 values"):
        build_tf_keras(spec)


def rewritten(source: Path, target: Path, change: Callable[[h5py.File], None]) -> Path:
    """A copy of an archive whose weights file went through ``change``."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "model.weights.h5":
                weights = target.with_suffix(".h5")
                weights.write_bytes(data)
                with h5py.File(weights, "r+") as file:
                    change(file)
                data = weights.read_bytes()
            new.writestr(name, data)
    return target


def _drop(file: h5py.File) -> None:
    del file["layers/dense/vars/1"]


def _reshape(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = np.zeros((3, 3), "float32")


def _not_finite(file: h5py.File) -> None:
    file["layers/dense/vars/0"][0, 0] = np.nan


@pytest.mark.parametrize("change", [_drop, _reshape, _not_finite])
def test_weights_that_do_not_fit(change: Callable[[h5py.File], None], specimen: Make, tmp_path: Path) -> None:
    path = rewritten(specimen("frozen").keras, tmp_path / "changed.keras", change)
    with pytest.raises(ModelRefused) as refusal:
        build_tf_keras(read(path))
    assert refusal.value.code == "weights-mismatch"
    assert "'dense" in refusal.value.message


def test_a_file_can_be_built_from_again_and_again(specimen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from optimizers.models.reader import hdf5

    spec = read(specimen("frozen").keras)
    size = sum(4 * weight.shape.num_elements() for weight in build_tf_keras(spec).weights)
    monkeypatch.setattr(hdf5, "LIMITS", Limits(weight_bytes=size + 8))
    for _ in range(3):
        build_tf_keras(spec)


def test_match_names() -> None:
    assert match_names(["d/kernel", "d/bias"], ["d/bias:0", "d/kernel:0"], "x") == [1, 0]
    assert match_names(["m/a/kernel", "m/b/kernel"], ["b/kernel:0", "a/kernel:0"], "x") == [1, 0]
    assert match_names(["q/lstm_cell/kernel"], ["q/lstm_cell_3/kernel:0"], "x") == [0]
    assert match_names(["a/kernel", "b/kernel"], ["c/kernel", "d/kernel"], "x") == [0, 1]
    assert match_names([], [], "x") == []
    with pytest.raises(ModelRefused):
        match_names(["a/gamma", "b/gamma"], ["a/beta", "b/beta"], "x")


def test_agreement_of_values_that_are_not_finite() -> None:
    nan, one = np.array([np.nan, 1.0]), np.array([1.0, 1.0])
    assert agreement_of([nan], [nan]) == check.Agreement(0.0, 0.0)
    assert agreement_of([nan], [one]).relative == float("inf")
    assert agreement_of([], []) == check.Agreement(0.0, 0.0)


def test_working_files_are_equal_for_equal_models(specimen: Make, tmp_path: Path) -> None:
    for number, name in enumerate(("recurrent", "image_functional") * 2):
        model = build_tf_keras(read(specimen(name).keras))
        if number > 1:
            model.compile("adam", loss=lambda truth, guess: guess[0] if isinstance(guess, list) else guess)
        save_working(model, tmp_path / f"{number}.keras")
    for number in (0, 1):
        assert (tmp_path / f"{number}.keras").read_bytes() == (tmp_path / f"{number + 2}.keras").read_bytes()


def test_saving_leaves_a_compiled_model_as_it_was(tmp_path: Path) -> None:
    model = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    data = np.zeros((4, 3)), np.zeros((4, 1))
    model.fit(*data, verbose=0)
    optimizer = model.optimizer
    save_working(model, tmp_path / "a.keras")
    assert model.optimizer is optimizer
    model.fit(*data, verbose=0)
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert archive.getinfo("model.weights.h5").file_size < 10_000
        assert b"compile_config" not in archive.read("config.json")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.keras"]
    assert load_working(tmp_path / "a.keras").count_params() == 4


def test_working_files_have_a_fixed_ending(specimen: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\*\.keras"):
        save_working(build_tf_keras(read(specimen("frozen").keras)), tmp_path / "model.h5")


def test_a_scale_that_keras_cannot_multiply_is_told(tmp_path: Path) -> None:
    inputs = Input((6, 4))
    model = keras.Model(inputs, layers.RMSNormalization(axis=1, name="norm")(inputs))
    with pytest.raises(Exception, match="Dimensions must be equal"):
        model.predict(np.ones((2, 6, 4), np.float32), verbose=0)
    model.save(tmp_path / "broken.keras")
    with pytest.raises(ModelRefused, match=r"'norm'.*so Keras cannot run it"):
        build_tf_keras(read(tmp_path / "broken.keras"))
    square = Input((4, 4))
    keras.Model(square, layers.RMSNormalization(axis=1)(square)).save(tmp_path / "square.keras")
    assert check_bridge(read(tmp_path / "square.keras")) < 1e-6


def test_constants_are_rounded_alike_when_both_compute_in_float64(tmp_path: Path) -> None:
    """Where a network lets rounding grow, the two are held against each other in float64; 0.485 was not the same."""
    layers = [keras.Input((4, 4, 3)), keras.layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.05, 0.1, 0.3])]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    spec = read(tmp_path / "model.keras")
    assert check._difference_in_double(spec, [np.random.default_rng(0).random((2, 4, 4, 3), np.float32)]) == 0
