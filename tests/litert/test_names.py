"""Shorter names change nothing but the size of a file."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from tf_keras import layers

from optimizers.litert import interpreter
from optimizers.litert.layers import layer_of
from optimizers.litert.names import shortened
from optimizers.litert.weights import weights
from optimizers.tf import convert

RANDOM = np.random.default_rng(2)


@pytest.fixture(scope="module")
def model() -> tf_keras.Model:
    inputs = tf_keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, name="first", use_bias=False)(inputs)
    x = layers.ReLU(name="on")(layers.BatchNormalization(name="norm")(x))
    x = layers.DepthwiseConv2D(3, name="deep")(x)
    x = tf_keras.Sequential([layers.Conv2D(4, 1, name="inner", activation="relu")], name="nested")(x)
    x = layers.Dense(7, activation="tanh", name="wide")(layers.Flatten(name="flat")(x))
    return tf_keras.Model(inputs, layers.Dense(3, name="last")(x), name="net")


@pytest.fixture(scope="module", params=["float32", "int8"])
def pair(request: pytest.FixtureRequest, model: tf_keras.Model) -> tuple[bytes, bytes]:
    """A file as the converter writes it, and with shorter names."""
    x = RANDOM.normal(size=(20, 12, 12, 3)).astype(np.float32)
    specs = convert._specs(model)
    before = convert._run(model, specs, False, request.param, "float32", "per_channel", x, True)
    return before, shortened(before)


def test_the_file_is_smaller_and_answers_alike(pair: tuple[bytes, bytes]) -> None:
    before, after = pair
    assert len(after) < len(before)
    x = RANDOM.normal(size=(9, 12, 12, 3)).astype(np.float32)
    np.testing.assert_array_equal(interpreter.predict(after, x), interpreter.predict(before, x))
    for side in ("get_input_details", "get_output_details"):
        told = [[d["name"] for d in getattr(interpreter.load(file), side)()] for file in pair]
        assert told[0] == told[1]


def test_weights_are_the_same_and_belong_to_the_same_layers(pair: tuple[bytes, bytes]) -> None:
    kernels = ("first", "deep", "inner", "wide", "last")
    old, new = (weights(file) for file in pair)
    assert [layer_of(w, kernels) for w in new] == [layer_of(w, kernels) for w in old]
    assert {layer_of(w, kernels) for w in new} - {None} == set(kernels)
    for one, other in zip(old, new, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_names_stay_different(pair: tuple[bytes, bytes]) -> None:
    whole = schema.Model.GetRootAs(pair[1], 0)
    graph = whole.Subgraphs(0)
    found = [graph.Tensors(i).Name() for i in range(graph.TensorsLength())]
    assert len(set(found)) == len(found)


def test_shortening_twice_is_shortening_once(pair: tuple[bytes, bytes]) -> None:
    assert shortened(pair[1]) == pair[1]
