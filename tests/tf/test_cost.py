"""Multiply-accumulates against TensorFlow's own counter and against counting by hand; losses against Keras' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from optimizers.declarations import Part, StageContext, TrainingData
from optimizers.errors import NotApplicable
from optimizers.tf import cost, sensitivity
from optimizers.tf.cost import Cost, layer_costs, macs
from sample_models import architectures
from tests.techniques.networks import built, digits

L = tf_keras.layers
_PRODUCTS = {"Conv2D", "DepthwiseConv2dNative", "MatMul"}


def flat_sum(node: Any, names: set[str]) -> int:
    """Operations of the named nodes in a profile."""
    return (node.float_ops if node.name in names else 0) + sum(flat_sum(child, names) for child in node.children)


@pytest.mark.parametrize("name", ["digits_cnn", "digits_resnet", "fashion_cnn", "fashion_mobilenet", "mpg_mlp"])
def test_convolutional_networks_cost_what_tensorflow_counts(name: str) -> None:
    model = getattr(architectures, name)(tf_keras)
    specs = [tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype) for tensor in model.inputs]
    call = tf.function(lambda x: model(x, training=False)).get_concrete_function(*specs)
    graph = convert_variables_to_constants_v2(call).graph
    names = {op.name for op in graph.get_operations() if op.type in _PRODUCTS}
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation() | {"output": "none"}
    profile = tf.compat.v1.profiler.profile(graph, options=options)
    assert 2 * macs(model) == flat_sum(profile, names)


def one(layer: Any, *shape: int, **options: Any) -> tuple[Any, int]:
    """A model of that layer alone, and what it costs."""
    inputs = tf_keras.Input(shape, **options)
    model = tf_keras.Model(inputs, layer(inputs))
    return model, layer_costs(model)[layer.name].macs


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (L.Dense(7), (5, 4), 5 * 4 * 7),
        (L.Conv1D(6, 3), (10, 4), 8 * 3 * 4 * 6),
        (L.Conv1D(6, 3, padding="causal", dilation_rate=2), (10, 4), 10 * 3 * 4 * 6),
        (L.Conv2D(8, 3, strides=2, padding="same", groups=2), (9, 9, 4), 25 * 9 * 2 * 8),
        (L.Conv2D(8, 3, data_format="channels_first"), (4, 6, 7), 4 * 5 * 9 * 4 * 8),
        (L.Conv3D(2, 2), (3, 4, 5, 6), 2 * 3 * 4 * 8 * 6 * 2),
        (L.Conv2DTranspose(3, 4, strides=2, padding="same"), (5, 5, 6), 25 * 16 * 6 * 3),
        (L.Conv1DTranspose(3, 4), (5, 6), 5 * 4 * 6 * 3),
        (L.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 5), 16 * 9 * 5 * 2),
        (L.SeparableConv1D(7, 3, depth_multiplier=2), (8, 5), 6 * (3 * 5 * 2 + 10 * 7)),
        (L.EinsumDense("abc,cd->abd", output_shape=(6, 9)), (6, 4), 6 * 4 * 9),
        (L.EinsumDense("abc,bcd->abd", output_shape=(6, 9)), (6, 4), 6 * 4 * 9),
        (L.EinsumDense("...x,xyz->...yz", output_shape=(2, 3)), (5, 4), 5 * 4 * 2 * 3),
        (L.LSTM(6), (7, 5), 7 * (5 + 6) * 24),
        (L.GRU(6, return_sequences=True), (7, 5), 7 * (5 + 6) * 18),
        (L.SimpleRNN(6), (7, 5), 7 * (5 + 6) * 6),
        (L.RNN([L.LSTMCell(6), L.GRUCell(4)]), (7, 5), 7 * ((5 + 6) * 24 + (6 + 4) * 12)),
        (L.Bidirectional(L.LSTM(6)), (7, 5), 2 * 7 * (5 + 6) * 24),
        (L.TimeDistributed(L.Conv2D(4, 3)), (7, 5, 5, 2), 7 * 9 * 9 * 2 * 4),
        (L.ConvLSTM2D(3, 3, padding="same"), (4, 5, 5, 2), 4 * 25 * 9 * (2 + 3) * 12),
        (L.BatchNormalization(), (5, 4), 0),
        (L.LayerNormalization(), (5, 4), 0),
        (L.AveragePooling1D(2), (6, 4), 0),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "name") else None,
)
def test_single_layers_cost_what_they_multiply(layer: Any, shape: tuple[int, ...], expected: int) -> None:
    assert one(layer, *shape)[1] == expected


def test_attention_multiplies_weights_and_then_queries_keys_and_values() -> None:
    query, value = tf_keras.Input((5, 8)), tf_keras.Input((7, 6))
    layer = L.MultiHeadAttention(3, 4, value_dim=2, output_shape=9)
    model = tf_keras.Model([query, value], layer(query, value=value))
    projections = 5 * 8 * 12 + 7 * 6 * 12 + 7 * 6 * 6 + 5 * 6 * 9
    assert macs(model) == projections + 5 * 7 * 3 * 4 + 5 * 7 * 3 * 2
    image = tf_keras.Input((5, 7, 8))
    across = L.MultiHeadAttention(2, 4, attention_axes=(2,))
    model = tf_keras.Model(image, across(image, image))
    assert macs(model) == 4 * 35 * 8 * 8 + 2 * 35 * 7 * 2 * 4, "each row attends to its own seven places"


def test_an_embedding_only_looks_up() -> None:
    model, found = one(L.Embedding(50, 8, name="words"), 6, dtype="int32")
    assert found == 0
    assert layer_costs(model)["words"].parameters == 400


def test_parameters_add_up_to_those_of_the_model() -> None:
    for name in ("digits_resnet", "digits_transformer", "digits_lstm", "occupancy_gru"):
        model = getattr(architectures, name)(tf_keras)
        assert sum(found.parameters for found in layer_costs(model).values()) == model.count_params()


def test_shared_layers_count_every_call_and_nested_ones_have_their_own_names() -> None:
    inside = tf_keras.Input((6, 4))
    block = tf_keras.Model(inside, L.Dense(4, name="twice")(inside), name="block")
    inputs = tf_keras.Input((6, 4))
    shared = L.Conv1D(4, 3, padding="same", name="shared")
    x = block(shared(shared(block(inputs))))
    x = tf_keras.Sequential([tf_keras.Input((6, 4)), L.Flatten(), L.Dense(3, name="twice")], name="head")(x)
    found = layer_costs(tf_keras.Model(inputs, x))
    assert found["shared"] == Cost(2 * 6 * 3 * 4 * 4, 3 * 4 * 4 + 4)
    assert found["twice"] == Cost(2 * 6 * 4 * 4, 20)
    assert found["head/twice"] == Cost(24 * 3, 75)


def test_open_dimensions_count_as_one() -> None:
    inputs = tf_keras.Input((None, 4))
    assert macs(tf_keras.Model(inputs, L.Dense(3)(inputs))) == 12


def test_a_model_without_a_graph_is_refused() -> None:
    class Own(tf_keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(NotApplicable, match="neither functional nor sequential"):
        macs(Own())


def context(data: TrainingData) -> StageContext:
    return StageContext(Path(), Path(), lambda: data, 3, lambda *a, **k: None, print)


def keras_loss(model: Any, part: Part) -> float:
    model.compile(loss="sparse_categorical_crossentropy")
    return float(model.evaluate(part.x, part.y, verbose=0, batch_size=64))


def test_the_unchanged_loss_is_that_of_keras_on_the_validation_part() -> None:
    model, data = built("conv"), digits()
    probe = sensitivity.Probe(model, context(data))
    assert (probe.part, probe.examples) == ("validation", 300)
    assert probe.unchanged == pytest.approx(keras_loss(model, data.validation), rel=1e-5)
    without = TrainingData(data.train, Part(data.train.x[:0], data.train.y[:0]), data.task, data.classes)
    probe = sensitivity.Probe(model, context(without), examples=100)
    assert (probe.part, probe.examples) == ("train", 100)


def test_changes_are_measured_one_by_one_and_undone() -> None:
    model, data = tf_keras.models.clone_model(built("conv")), digits()
    model.set_weights(built("conv").get_weights())
    layer = model.get_layer("conv2")
    kernel, bias = layer.get_weights()
    changes = [
        ("none", {layer: [kernel, bias]}),
        ("half", {layer: [kernel / 2, bias]}),
        ("off", {layer: [0 * kernel, bias]}),
    ]
    found = sensitivity.rises(model, context(data), changes)
    assert found.rises["none"] == 0
    assert found.rises["off"] > found.rises["half"] > 0
    for before, after in zip(built("conv").get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    layer.set_weights([kernel / 2, bias])
    assert found.rises["half"] == pytest.approx(keras_loss(model, data.validation) - found.loss, rel=1e-4)


def test_variants_are_compared_with_the_model() -> None:
    data, names = digits(), ("conv", "dense")
    found = sensitivity.losses(built("conv"), context(data), [(name, built(name)) for name in names])
    assert found.rises["conv"] == 0
    assert found.loss + found.rises["dense"] == pytest.approx(keras_loss(built("dense"), data.validation), rel=1e-5)


def test_weights_come_back_whatever_happens() -> None:
    layer = L.Dense(2)
    layer.build((None, 3))
    before = layer.get_weights()

    def fails() -> None:
        with sensitivity.changed_weights({layer: [np.ones((3, 2)), np.ones(2)]}):
            assert (layer.kernel.numpy() == 1).all()
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])


def test_answers_that_are_not_finite_are_infinitely_worse() -> None:
    model, data = built("dense"), digits()
    layer = model.get_layer("digit")
    broken = [np.full_like(weight, np.nan) for weight in layer.get_weights()]
    assert sensitivity.rises(model, context(data), [("broken", {layer: broken})]).rises["broken"] == np.inf
    with sensitivity.changed_weights({layer: broken}), pytest.raises(NotApplicable, match="no finite number"):
        sensitivity.Probe(model, context(data))


def test_terms_follow_the_sizes_of_weights() -> None:
    model, _ = one(L.LSTM(6, name="lstm"), 7, 5)
    _, _, found = next(iter(cost.terms(model)))
    assert [(term.times, tuple(term.weight.shape), term.macs) for term in found] == [
        (7, (5, 24), 840),
        (7, (6, 24), 1008),
    ]
