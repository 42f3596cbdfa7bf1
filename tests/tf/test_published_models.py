"""Models as people publish them, by what they do that is not done every day: the file answers as the model does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras import layers, ops

from optimizers.errors import ModelRefused
from optimizers.litert import interpreter as litert
from optimizers.tf import qat, qat_plan, shapes, students
from optimizers.tf.build import load_working
from optimizers.tf.convert import convert
from optimizers.tf.summary import summarize

RANDOM = np.random.default_rng(0)
IDS = np.array([[1, 5, 7, 2, 0, 0]], np.int32)
ROWS = RANDOM.standard_normal((1, 6, 8)).astype("float32")
VALID = np.array([[1, 1, 1, 1, 0, 0]], bool)
PICTURE = RANDOM.standard_normal((1, 12, 12, 3)).astype("float32")
VECTOR = RANDOM.standard_normal((1, 4)).astype("float32")


def _after_embedding(f: Callable[[Any], Any]) -> Any:
    tokens = keras.Input((6,), dtype="int32")
    return keras.Model(tokens, layers.GlobalAveragePooling1D()(f(layers.Embedding(20, 4, mask_zero=True)(tokens))))


def _by_hand(*names: str) -> Any:
    x, valid = keras.Input((6, 8), name="x"), keras.Input((6,), dtype="bool", name="valid")
    return keras.Model([x, valid], layers.MultiHeadAttention(2, 4)(x, x, **dict.fromkeys(names, valid)))


def _unused_branch() -> Any:
    inner = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3)(inner)
    base = keras.Model(inner, [layers.GlobalAveragePooling2D()(x), layers.Dense(100)(layers.Flatten()(x))])
    outer = keras.Input((12, 12, 3))
    return keras.Model(outer, layers.Dense(3)(base(outer)[0]))


def _keras2(f: Callable[[Any], Any]) -> Any:
    x = tf_keras.Input((12, 12, 3))
    return tf_keras.Model(x, tf_keras.layers.Conv2D(2, 3)(f(x)))


def _two_tables() -> Any:
    tokens = keras.Input((6,), dtype="int32")
    large, small = (layers.Embedding(size, 4)(tokens) for size in (900, 12))
    return keras.Model(tokens, layers.Flatten()(large + small))


def _passes_on(width: int) -> Any:
    x = keras.Input((4,))
    return keras.Model(x, [x, layers.Dense(width)(x)])


def _encoded(mode: str) -> Any:
    numbers = keras.Input((1 if mode == "one_hot" else 6,), dtype="int32")
    return keras.Model(numbers, layers.Dense(3)(layers.CategoryEncoding(9, output_mode=mode)(numbers)))


def _normalized() -> Any:
    x = keras.Input((12, 12, 3))
    return keras.Model(x, layers.SpectralNormalization(layers.Conv2D(4, 3))(x))


def _only_in_keras3() -> Any:
    x = keras.Input((6, 8))
    mean, variance = ops.moments(x, axes=[1], keepdims=True)
    return keras.Model(x, (x - mean) / ops.sqrt(variance + 1e-3))


CASES: dict[str, tuple[Callable[[], Any], list[np.ndarray]]] = {
    "plus": (lambda: _after_embedding(lambda x: x + layers.Dense(4)(x)), [IDS]),
    "relu": (lambda: _after_embedding(ops.relu), [IDS]),
    "concatenate": (lambda: _after_embedding(lambda x: ops.concatenate([x, x])), [IDS]),
    "key mask": (lambda: _by_hand("key_mask"), [ROWS, VALID]),
    "query and value mask": (lambda: _by_hand("query_mask", "value_mask"), [ROWS, VALID]),
    "unused branch": (_unused_branch, [PICTURE]),
    "reflected": (lambda: _keras2(lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")), [PICTURE]),
    "means": (lambda: _keras2(lambda x: (x - tf.constant([1.0, 2.0, 3.0])) / np.float32([4, 5, 6])), [PICTURE]),
    "imagenet": (lambda: _keras2(tf_keras.applications.densenet.preprocess_input), [PICTURE]),
    "two tables": (_two_tables, [IDS]),
    "an input as output": (lambda: _passes_on(2), [VECTOR]),
    "an input as output of one shape": (lambda: _passes_on(4), [VECTOR]),
    "one-hot": (lambda: _encoded("one_hot"), [IDS[:, :1]]),
    "multi-hot": (lambda: _encoded("multi_hot"), [IDS]),
    "counts": (lambda: _encoded("count"), [IDS]),
    "spectral": (_normalized, [PICTURE]),
    "moments": (_only_in_keras3, [ROWS]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_file_answers_as_the_model(name: str, tmp_path: Path) -> None:
    make, given = CASES[name]
    model = make()
    model.save(tmp_path / "m.keras")
    expected = model.predict(given if len(given) > 1 else given[0], verbose=0)
    summarize(tmp_path / "m.keras")
    found = litert.invoke(litert.load(convert(load_working(tmp_path / "m.keras"), "float32").file), given)
    for own, wanted in zip(found, expected if isinstance(expected, list) else [expected], strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["hard_silu", "mish"])
def test_an_activation_that_the_scheme_lacks_stays_float_in_training(activation: str, tmp_path: Path) -> None:
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 1)(layers.Activation(activation, name="act")(layers.Conv2D(8, 3)(x)))
    keras.Model(inputs, x).save(tmp_path / "m.keras")
    flat = qat_plan.prepared(load_working(tmp_path / "m.keras"))
    plan = qat_plan.plan(flat, "", keep_clusters=False, keep_zeros=False)
    assert "act" not in plan.layers
    qat.quantized(flat, plan)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_layer_that_always_answers_as_in_training_is_refused(ending: str, tmp_path: Path) -> None:
    def saved(**flag: Any) -> Path:
        x = tf_keras.Input((12, 12, 3))
        inner = tf_keras.Sequential([tf_keras.layers.Conv2D(2, 3), tf_keras.layers.BatchNormalization()], name="inside")
        path = tmp_path / f"m.{ending}"
        tf_keras.Model(x, inner(x, **flag)).save(path)
        return path

    with pytest.raises(ModelRefused, match=r"Layer 'inside' \(Sequential\) is called with training=True") as refused:
        load_working(saved(training=True))
    assert refused.value.code == "training-flag"
    assert load_working(saved()).layers[-1].trainable_weights[-1].name.startswith("batch_normalization")


def test_normalization_that_is_called_with_false_keeps_its_statistics(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(2, 3), layers.BatchNormalization()])
    x = keras.Input((12, 12, 3))
    keras.Model(x, layers.GlobalAveragePooling2D()(inner(x, training=False))).save(tmp_path / "m.keras")
    model = load_working(tmp_path / "m.keras")
    model.compile("sgd", "mse")
    before = [np.array(weight) for weight in model.non_trainable_weights]
    model.fit(RANDOM.standard_normal((64, 12, 12, 3)) + 5, RANDOM.standard_normal((64, 2)), verbose=0)
    assert before
    for weight, earlier in zip(model.non_trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight, earlier)


def test_a_model_with_spectral_normalization_can_be_made_again(tmp_path: Path) -> None:
    x = keras.Input((None, None, 3))
    keras.Model(x, layers.SpectralNormalization(layers.Conv2D(4, 3))(x)).save(tmp_path / "m.keras")
    model = load_working(tmp_path / "m.keras")
    assert shapes.with_input_shape(model, (16, 16, 3)).output_shape == (None, 14, 14, 4)
    assert students.untrained(model).count_params() == model.count_params()
