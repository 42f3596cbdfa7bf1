"""Every case of the table goes there and back: Keras 3, tf_keras, working file, Keras 3. Native loaders judge."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers.errors import ModelRefused
from optimizers.models.reader import read
from optimizers.tf.build import build_tf_keras, save_keras3, save_working
from optimizers.tf.check import agreement_of, run
from optimizers.tf.probes import random_inputs
from tests.tf.cases import cases
from tests.tf.zoo import randomized

CASES = dict(cases())
CLOSE, HALF = 1e-5, 0.05
_NOT_LOADED_BY_KERAS = {"one_layer_in_two_models", "nested_models"}
_NOT_LOADED_BY_KERAS2 = _NOT_LOADED_BY_KERAS | {"SpectralNormalization-Dense", "normalizations"}
"""Layers that models share, and what tf_keras itself writes about SpectralNormalization, are too much for it."""
_QUICK = 12


def there_and_back(name: str, build: Callable[[], Any], folder: Path) -> None:
    """Raises AssertionError where an output changes on the way."""
    keras.utils.set_random_seed(1)
    model = randomized(build())
    source, working, out = folder / "source.keras", folder / "working.keras", folder / "out.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(source)
    native = model if name in _NOT_LOADED_BY_KERAS else keras.models.load_model(source)
    spec = read(source)
    inputs = random_inputs(spec, examples=2, seed=1, open_size=16)
    expected = run(native, inputs)
    assert all(np.isfinite(output).all() for output in expected)
    bridged = build_tf_keras(spec)
    close = HALF if "float16" in name or name == "half_precision" else CLOSE
    try:
        first = run(bridged, inputs)
    except tf.errors.UnimplementedError as error:
        if "NHWC" not in str(error):
            raise
        pytest.skip("TensorFlow has kernels for channels first on some processors only, and not on this one")
    assert agreement_of(expected, first).relative < close
    save_working(bridged, working)
    fresh = [] if name in _NOT_LOADED_BY_KERAS2 else [tf_keras.models.load_model(working, compile=False)]
    if name in _NOT_LOADED_BY_KERAS:
        with pytest.raises(ModelRefused, match="share a layer"):
            save_keras3(working, out)
        assert not out.exists()
        return
    save_keras3(working, out)
    for other in (*fresh, build_tf_keras(read(working)), keras.models.load_model(out)):
        assert agreement_of(first, run(other, inputs)).relative < CLOSE


def test_the_table_is_wide() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", list(CASES)[::_QUICK])
def test_a_sample_of_cases(name: str, tmp_path: Path) -> None:
    there_and_back(name, CASES[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for i, name in enumerate(CASES) if i % _QUICK])
def test_all_other_cases(name: str, tmp_path: Path) -> None:
    there_and_back(name, CASES[name], tmp_path)


def test_the_old_hard_sigmoid_stays_in_keras_2(tmp_path: Path) -> None:
    old = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(2, activation="hard_sigmoid", name="gate")])
    save_working(old, tmp_path / "old.keras")
    with pytest.raises(ModelRefused, match=r"'gate'.*hard_sigmoid of Keras 2") as refusal:
        save_keras3(tmp_path / "old.keras", tmp_path / "new.keras")
    assert refusal.value.code == "not-in-keras3"
    assert not (tmp_path / "new.keras").exists()
