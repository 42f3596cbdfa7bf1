"""Rebuilding a model call by call changes nothing but what it was asked to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

from optimizers.errors import NotApplicable
from optimizers.models.reader import read
from optimizers.tf.build import build_tf_keras, load_working, save_working
from optimizers.tf.check import agreement_of, run
from optimizers.tf.graph import calls, is_graph, rebuilt
from tests.tf.conftest import Specimen
from tests.tf.zoo import ZOO

Make = Callable[[str], Specimen]


def randomized(model: Any, seed: int = 3) -> Any:
    """The model with random weights, so that no two layers of one shape can be confused."""
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(0, 0.5, w.shape) if w.ndim > 1 else rng.uniform(0.3, 1.0, w.shape) for w in model.get_weights()]
    model.set_weights(drawn)
    return model


def same(one: Any, other: Any, *x: np.ndarray) -> None:
    given = x[0] if len(x) == 1 else list(x)
    for a, b in zip(_outputs(one, given), _outputs(other, given), strict=True):
        np.testing.assert_array_equal(a, b)


def _outputs(model: Any, x: Any) -> list[np.ndarray]:
    return [np.asarray(t) for t in tf.nest.flatten(model(x))]


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


NESTED = ("nested_models", "nested_as_output", "one_layer_in_two_models")


UNHURRIED = {"masked_recurrent": pytest.mark.slow}


@pytest.mark.parametrize(
    ("name", "flatten"),
    [
        *(pytest.param(name, True, marks=UNHURRIED.get(name, ())) for name in ZOO),
        *((name, False) for name in NESTED),
    ],
)
def test_every_model_computes_the_same_also_after_saving(
    name: str, flatten: bool, specimen: Make, tmp_path: Path
) -> None:
    case = specimen(name)
    model = build_tf_keras(read(case.keras))
    want = run(model, case.inputs)
    copy = rebuilt(model, flatten=flatten)
    assert agreement_of(want, run(copy, case.inputs)).absolute == 0.0
    assert copy.count_params() == model.count_params()
    assert copy.input_names == model.input_names
    assert not flatten or not any(is_graph(layer) for layer in copy.layers)
    save_working(copy, tmp_path / "copy.keras")
    again = load_working(tmp_path / "copy.keras")
    assert agreement_of(want, run(again, case.inputs)).absolute == 0.0
    assert [layer.name for layer in again.layers] == [layer.name for layer in copy.layers]
    assert [layer.trainable for layer in again.layers] == [layer.trainable for layer in copy.layers]


def test_a_flat_model_keeps_all_names_and_flags(specimen: Make) -> None:
    for name in ("image_functional", "shared_layers", "multiple_inputs", "frozen"):
        model = build_tf_keras(read(specimen(name).keras))
        copy = rebuilt(model)
        old = {layer.name: layer.trainable for layer in model.layers}
        assert {layer.name: layer.trainable for layer in copy.layers if layer.name in old} == old
        assert copy.name == model.name
        assert copy.output_names == model.output_names


def test_the_original_is_left_alone(specimen: Make) -> None:
    model = build_tf_keras(read(specimen("nested_models").keras))
    before, config = [w.copy() for w in model.get_weights()], model.get_config()
    copy = rebuilt(model)
    copy.set_weights([w + 1 for w in copy.get_weights()])
    assert model.get_config() == config
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def nest() -> Any:
    deep = tf_keras.Sequential([tf_keras.Input((4,)), layers.Dense(4, name="dense")], name="deep")
    a, b = tf_keras.Input((4,)), tf_keras.Input((4,))
    middle = tf_keras.Model(
        [a, b], [deep(layers.Add(name="add")([a, b])), layers.Dense(4, name="dense")(b)], name="mid"
    )
    x = inputs = tf_keras.Input((4,), name="x")
    x, y = middle([layers.Dense(4, name="dense")(x), x])
    x, y = middle([x, y])
    return randomized(tf_keras.Model(inputs, layers.Concatenate(name="end")([x, y]), name="nest"))


def test_inner_layers_get_names_of_their_own_and_stay_shared() -> None:
    model = nest()
    copy = rebuilt(model)
    same(model, copy, rows(5, 4))
    names = {layer.name for layer in copy.layers}
    assert names == {"x", "dense", "mid_dense", "add", "deep_dense", "end"}
    assert sum(node.layer.name == "deep_dense" for node in calls(copy)) == 2
    assert copy.count_params() == model.count_params() == 3 * 20
    np.testing.assert_array_equal(
        copy.get_layer("deep_dense").kernel, model.get_layer("mid").get_layer("deep").get_layer("dense").kernel
    )


def test_a_replacement_is_made_once_for_a_layer_that_is_called_twice() -> None:
    model, made = nest(), []

    def halves(layer: Any) -> Callable[..., Any]:
        parts = [layers.Dense(4, name=f"{layer.name}_{n}", use_bias=n == 1) for n in (0, 1)]
        for part in parts:
            part.build((None, 4))
        parts[0].set_weights([np.eye(4)])
        parts[1].set_weights(layer.get_weights())
        made.append(layer.name)
        return lambda x: parts[1](parts[0](x))

    copy = rebuilt(model, {"deep_dense": halves, "dense": halves})
    assert sorted(made) == ["deep_dense", "dense"]
    x = rows(5, 4)
    np.testing.assert_allclose(np.asarray(copy(x)), np.asarray(model(x)), rtol=1e-6)
    assert {"dense_0", "dense_1", "deep_dense_0", "deep_dense_1"} <= {layer.name for layer in copy.layers}


def test_a_layer_may_be_replaced_by_a_layer() -> None:
    inputs = tf_keras.Input((4,))
    model = tf_keras.Model(inputs, layers.Dense(2, name="end")(layers.ReLU(name="act")(inputs)))
    copy = rebuilt(model, {"act": lambda layer: layers.Activation("tanh", name=layer.name)})
    kernel, bias = model.get_layer("end").get_weights()
    x = rows(3, 4)
    np.testing.assert_allclose(np.asarray(copy(x)), np.tanh(x) @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_masks_go_into_nested_models_and_out_again() -> None:
    part_in = tf_keras.Input((6, 3))
    part = tf_keras.Model(part_in, layers.SimpleRNN(3, return_sequences=True, name="inside")(part_in), name="part")
    stack = tf_keras.Sequential([tf_keras.Input((6, 3)), layers.Dropout(0.1), layers.Dense(3)], name="stack")
    tokens = tf_keras.Input((6,), dtype="int32")
    x = stack(part(layers.Embedding(9, 3, mask_zero=True)(tokens)))
    model = randomized(tf_keras.Model(tokens, layers.SimpleRNN(4)(x)))
    x = np.array([[3, 4, 5, 0, 0, 0], [1, 2, 3, 4, 5, 6], [7, 0, 7, 0, 0, 0]], np.int32)
    same(model, rebuilt(model), x)
    unmasked = randomized(tf_keras.models.clone_model(model))
    unmasked.layers[1].mask_zero = False
    assert np.abs(np.asarray(rebuilt(unmasked)(x)) - np.asarray(model(x))).max() > 1e-3, "the mask matters here"


def test_masks_states_constants_and_training_flags_of_calls_are_kept() -> None:
    x, h, keep = tf_keras.Input((5, 3)), tf_keras.Input((4,)), tf_keras.Input((5,), dtype="bool")
    y = layers.SimpleRNN(4, return_sequences=True, name="steps")(x, initial_state=h, mask=keep)
    y = layers.MultiHeadAttention(2, 3, name="attention")(y, y, use_causal_mask=True)
    y = layers.Dropout(0.5, seed=1, name="always")(y, training=True)
    y = layers.BatchNormalization(name="norm")(y, training=False)
    model = randomized(tf_keras.Model([x, h, keep], [layers.Add(name="plus")([y, np.ones((1, 5, 4), np.float32)]), h]))
    copy = rebuilt(model)
    given = {node.layer.name: node.call_kwargs for node in calls(copy)}
    assert given["always"]["training"] is True
    assert given["norm"]["training"] is False
    assert given["attention"]["use_causal_mask"] is True
    keep_rows = np.array([[True, True, False, True, False]] * 2)
    for fixed in (model, copy):
        fixed.get_layer("always").rate = 0.0
    same(model, copy, rows(2, 5, 3), rows(2, 4), keep_rows)


def test_a_training_flag_given_to_a_nested_model_reaches_its_layers() -> None:
    stack = tf_keras.Sequential([tf_keras.Input((3,)), layers.BatchNormalization(name="norm"), layers.Dense(3)])
    inputs = tf_keras.Input((3,))
    model = randomized(tf_keras.Model(inputs, layers.BatchNormalization(name="last")(stack(inputs, training=False))))
    copy = rebuilt(model)
    given = {node.layer.name: node.call_kwargs for node in calls(copy)}
    assert given["norm"]["training"] is False
    assert not given["last"]
    x = rows(6, 3)
    np.testing.assert_array_equal(np.asarray(model(x, training=True)), np.asarray(copy(x, training=True)))


def test_layers_of_frozen_nested_models_are_frozen() -> None:
    shared = layers.Dense(3, name="both")
    base = tf_keras.Sequential([tf_keras.Input((3,)), layers.Dense(3, name="base"), shared], name="backbone")
    inputs = tf_keras.Input((3,))
    model = tf_keras.Model(inputs, layers.Dense(2, name="head")(shared(base(inputs))))
    base.trainable = False
    base.get_layer("base").trainable = True
    shared.trainable = True
    copy = rebuilt(model)
    assert {layer.name: layer.trainable for layer in copy.layers[1:]} == {"base": False, "both": True, "head": True}
    assert len(copy.trainable_weights) == len(model.trainable_weights) == 4


def test_flags_inside_wrappers_are_kept() -> None:
    inputs = tf_keras.Input((4, 3))
    both = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")
    model = randomized(tf_keras.Model(inputs, layers.TimeDistributed(layers.Dense(2), name="each")(both(inputs))))
    both.backward_layer.trainable = False
    copy = rebuilt(model)
    assert copy.get_layer("both").forward_layer.trainable
    assert not copy.get_layer("both").backward_layer.trainable
    same(model, copy, rows(2, 4, 3))


def test_a_nested_model_that_reshapes_or_casts_its_input_stays_one_layer() -> None:
    column = tf_keras.Sequential([tf_keras.Input((4, 1)), layers.Flatten(), layers.Dense(2, name="dense")], name="col")
    inputs = tf_keras.Input((4,))
    model = randomized(tf_keras.Model(inputs, layers.Dense(2, name="dense")(column(inputs))))
    copy = rebuilt(model)
    assert [layer.name for layer in copy.layers if is_graph(layer)] == ["col"]
    assert [layer.name for layer in copy.get_layer("col").layers if layer.weights] == ["col_dense"]
    same(model, copy, rows(3, 4))


def test_dict_inputs_and_outputs_keep_their_keys() -> None:
    inputs = {"wide": tf_keras.Input((2,), name="w"), "deep": tf_keras.Input((3,), name="d")}
    inner_in = {"b": tf_keras.Input((2,), name="b"), "a": tf_keras.Input((3,), name="a")}
    inner = tf_keras.Model(inner_in, layers.Concatenate()([inner_in["b"], inner_in["a"]]), name="inner")
    x = inner({"b": inputs["wide"], "a": inputs["deep"]})
    model = randomized(tf_keras.Model(inputs, {"sum": layers.Dense(1)(x), "all": x}))
    copy = rebuilt(model)
    x = {"wide": rows(2, 2), "deep": rows(2, 3)}
    assert set(copy(x)) == {"sum", "all"}
    same(model, copy, x)


def test_a_name_that_is_no_layer_is_refused() -> None:
    with pytest.raises(NotApplicable, match="no layer called nothing"):
        rebuilt(nest(), {"nothing": lambda layer: layer})


def test_a_model_without_a_graph_is_refused() -> None:
    class Own(tf_keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(NotApplicable, match="neither functional nor sequential"):
        rebuilt(Own(name="own"))
