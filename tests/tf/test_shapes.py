"""Models with open dimensions are fixed to the shape of the data, with the same outputs."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras

from optimizers.errors import NotApplicable
from optimizers.litert import interpreter
from optimizers.tf.convert import convert
from optimizers.tf.shapes import with_input_shape


def fully_convolutional():
    inputs = tf_keras.Input((None, None, 3))
    x = tf_keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = tf_keras.layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(2, activation="softmax")(x))


def sequence():
    layers = [tf_keras.Input((None, 6)), tf_keras.layers.Conv1D(8, 3), tf_keras.layers.GlobalMaxPooling1D()]
    return tf_keras.Sequential([*layers, tf_keras.layers.Dense(3)])


@pytest.mark.parametrize(("make", "shape"), [(fully_convolutional, (16, 12, 3)), (sequence, (24, 6))])
def test_an_open_model_converts_once_its_shape_is_known(make, shape):
    model = make()
    with pytest.raises(NotApplicable, match="open dimension"):
        convert(model, "float32")
    x = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    fixed = with_input_shape(model, shape)
    np.testing.assert_allclose(interpreter.predict(convert(fixed, "float32").file, x), model(x), atol=1e-5)


def test_a_closed_model_is_left_as_it_is():
    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)])
    assert with_input_shape(model, (4,)) is model
    assert with_input_shape(fully := fully_convolutional(), None) is fully


def test_a_shape_that_the_model_cannot_take_is_refused():
    with pytest.raises(NotApplicable, match=r"fixed to examples of shape \(2, 2, 3\)"):
        with_input_shape(fully_convolutional(), (2, 2, 3))
