"""A model without channels must compute what the original computes with these channels zero wherever they appear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizers.tf import cost, graph
from optimizers.tf.build import load_working, save_working
from optimizers.tf.channels.plan import Counter
from optimizers.tf.channels.surgery import without, zeroed
from optimizers.tf.channels.trace import Trace, trace
from optimizers.tf.sensitivity import changed_weights
from tests.tf.topologies import TOPOLOGIES, Model, randomized, residual, transformer

L = tf_keras.layers


def drawn(trace: Trace, seed: int = 1) -> set[int]:
    """Some channels of every group, never all of them."""
    rng = np.random.default_rng(seed)
    return {
        int(root)
        for group in trace.groups
        for root in rng.choice(group.roots, rng.integers(1, len(group.roots)), replace=False)
    }


def examples(model: Model, seed: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.integers(0, 50, (3, *tensor.shape[1:])).astype(np.int32)
        if tensor.dtype == tf.int32
        else rng.standard_normal((3, *tensor.shape[1:])).astype(np.float32)
        for tensor in model.inputs
    ]


def answers(model: Model, x: list[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(value) for value in tf.nest.flatten(model(x if len(x) > 1 else x[0], training=False))]


def masked(model: Model, masks: dict[str, dict[str, np.ndarray]], x: list[np.ndarray]) -> list[np.ndarray]:
    """What a flat model answers when channels are multiplied by 0 after every layer through which they go.

    Args:
        model: Is not changed.
        masks: By layer name and what it makes, 1 for each channel that stays and 0 for each that does not.
        x: One array per input.
    """
    model = graph.rebuilt(model)
    for name, made in masks.items():
        layer = model.get_layer(name)
        if isinstance(layer, L.MultiHeadAttention):
            kernel = layer._output_dense.kernel
            kernel.assign(kernel * made["heads"][:, None, None])
        parts = [layer.forward_layer, layer.backward_layer] if isinstance(layer, L.Bidirectional) else [layer]
        for part in parts:
            if isinstance(part, L.LSTM | L.GRU | L.SimpleRNN):
                part.cell.recurrent_kernel.assign(part.cell.recurrent_kernel * made["units"][:, None])
    known, alive = {}, {}
    for tensor, value in zip(model.inputs, x, strict=True):
        known[str(id(tensor))], alive[id(tensor)] = tf.constant(value), np.ones(value.shape[1:])
    for node in graph.calls(model):
        if node.is_input:
            continue
        uses = len(node.flat_input_ids)
        args, kwargs = node.map_arguments({key: [known[key]] * uses for key in node.flat_input_ids})
        values = tf.nest.flatten(node.layer(*args, **kwargs))
        given = [alive[id(tensor)] for tensor in node.keras_inputs]
        for key, tensor, value in zip(node.flat_output_ids, tf.nest.flatten(node.outputs), values, strict=True):
            mask = _after(node.layer, given, tuple(value.shape[1:]), masks.get(node.layer.name, {}))
            known[key], alive[id(tensor)] = value * tf.constant(mask, value.dtype), mask
    return [known[str(id(tensor))].numpy() for tensor in model.outputs]


def _after(layer: Any, given: list[np.ndarray], shape: tuple[int, ...], made: dict[str, np.ndarray]) -> np.ndarray:
    """Which places of a layer's output, without the batch dimension, are to be 0."""
    if isinstance(layer, L.DepthwiseConv2D | L.DepthwiseConv1D):
        last = np.repeat(given[0].reshape(-1, given[0].shape[-1])[0], layer.depth_multiplier)
    elif made:
        last = next(mask for what, mask in made.items() if what != "heads")
        last = np.concatenate([last, last]) if 2 * len(last) == shape[-1] else last
    elif isinstance(layer, L.Concatenate):
        return np.concatenate(given, axis=layer.axis if layer.axis < 0 else layer.axis - 1)
    elif isinstance(layer, L.Flatten | L.Reshape | L.Permute):
        return (
            given[0].transpose([d - 1 for d in layer.dims]) if isinstance(layer, L.Permute) else given[0].reshape(shape)
        )
    elif not given[0].all() or len(given) == 1:
        last = given[0].reshape(-1, given[0].shape[-1])[0]
        for other in given[1:]:
            assert (other.reshape(-1, len(last)) == last).all(), "what is combined has lost the same channels"
        last = last if len(last) == shape[-1] else np.ones(shape[-1])
    else:
        last = np.ones(shape[-1])
    return np.broadcast_to(last, shape)


def assert_equal_to_masked(model: Model, seed: int = 1) -> tuple[Trace, Model]:
    """Removes channels at random and compares with multiplying by 0, with zeroed weights, and with what was planned."""
    found = trace(graph.rebuilt(model))
    dead = drawn(found, seed)
    pruned, x = without(found, dead), examples(model)
    masks = {
        name: {made.what: found.keep(made.labels, dead).astype(float) for made in layout.made}
        for name, layout in found.layouts.items()
        if layout.made
    }
    want = masked(found.model, masks, x)
    with changed_weights(zeroed(found, dead)):
        zero = answers(found.model, x)
    for got, expected, other in zip(answers(pruned, x), want, zero, strict=True):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(got, expected, atol=2e-6 * scale, rtol=1e-5)
        np.testing.assert_allclose(other, expected, atol=2e-6 * scale, rtol=1e-5)
    after = trace(pruned).layouts
    for name, made in masks.items():
        assert {m.what: len(m.labels) for m in after[name].made} == {what: mask.sum() for what, mask in made.items()}
    kept = np.array([float((~np.isin(group.roots, list(dead))).sum()) for group in found.groups])
    assert Counter(found).macs(kept) == pytest.approx(cost.macs(pruned), rel=1e-12)
    return found, pruned


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "recurrent" else n for n in TOPOLOGIES]
)
def test_without_channels_equals_channels_at_zero(name: str, tmp_path: Any) -> None:
    model = randomized(TOPOLOGIES[name]())
    x, before = examples(model), answers(model, examples(model))
    found, pruned = assert_equal_to_masked(model)
    assert len(found.groups) >= 2
    assert all((a == b).all() for a, b in zip(before, answers(model, x), strict=True)), "the model is left alone"
    assert pruned.count_params() < model.count_params()
    whole = np.array([float(len(group.roots)) for group in found.groups])
    assert Counter(found).macs(whole) == cost.macs(found.model)
    save_working(pruned, tmp_path / "pruned.keras")
    for got, want in zip(answers(load_working(tmp_path / "pruned.keras"), x), answers(pruned, x), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def grown(draw: Callable[[Any], Any]) -> Model:
    """A random network: layers are added to tensors of one size each, some of them merged again."""
    inputs = tf_keras.Input((6, 6, 3))
    ends = [L.Conv2D(4, 3, padding="same")(inputs)]
    for _ in range(draw(st.integers(3, 9))):
        x = draw(st.sampled_from(ends))
        kind = draw(st.sampled_from(("conv", "norm", "depth", "apart", "add", "concat", "gate", "pool", "activation")))
        width = int(x.shape[-1])
        if kind == "conv":
            x = L.Conv2D(draw(st.sampled_from((2, 3, 6))), draw(st.sampled_from((1, 3))), padding="same")(x)
        elif kind == "norm":
            x = L.BatchNormalization()(x)
        elif kind == "depth":
            x = L.DepthwiseConv2D(3, padding="same", depth_multiplier=draw(st.sampled_from((1, 2))))(x)
        elif kind == "apart":
            x = L.SeparableConv2D(draw(st.sampled_from((2, 5))), 3, padding="same")(x)
        elif kind in ("add", "concat"):
            other = draw(st.sampled_from(ends))
            if kind == "add" and other.shape[-1] != width:
                other = L.Conv2D(width, 1)(other)
            merge = L.Concatenate() if kind == "concat" else draw(st.sampled_from((L.Add, L.Maximum, L.Multiply)))()
            x = merge([x, other])
        elif kind == "gate":
            x = L.Multiply()([x, L.Dense(width, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))])
        elif kind == "pool":
            x = L.MaxPooling2D(3, strides=1, padding="same")(x)
        else:
            x = L.Activation(draw(st.sampled_from(("relu", "sigmoid", "softplus"))))(x)
        if int(x.shape[-1]) <= 32:
            ends.append(x)
    x = L.Flatten()(ends[-1]) if draw(st.booleans()) else L.GlobalAveragePooling2D()(ends[-1])
    return tf_keras.Model(inputs, L.Dense(2)(x))


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_networks_equal_channels_at_zero(data: Any) -> None:
    tf_keras.backend.clear_session()
    model = randomized(grown(data.draw), seed=3)
    assert_equal_to_masked(model, seed=data.draw(st.integers(0, 100)))


def reasons(model: Model, layers: str = "") -> dict[str, str]:
    return dict(trace(graph.rebuilt(model), layers).skipped)


def test_what_stays_is_told_with_the_true_reason() -> None:
    x = inputs = tf_keras.Input((8, 8, 4))
    x = L.Add(name="with_input")([x, L.Conv2D(4, 3, padding="same", name="beside_input")(x)])
    x = L.Conv2D(8, 3, name="before_grouped")(x)
    x = L.Conv2D(8, 3, groups=2, name="grouped")(x)
    x = L.Conv2D(6, 1, name="before_norm")(x)
    x = L.LayerNormalization(name="norm")(x)
    x = L.Conv2D(6, 1, name="before_frozen")(x)
    x = L.Conv2D(6, 1, name="frozen", trainable=False)(x)
    x = L.Conv2D(6, 1, name="before_softmax")(x)
    x = L.Activation("softmax", name="softmax")(x)
    x = L.Conv2D(5, 1, activation="softmax", name="own_softmax")(x)
    x = L.Conv2D(6, 1, name="before_permute")(x)
    x = L.Permute((3, 1, 2), name="turned")(x)
    x = L.Conv2D(6, 1, name="free")(x)
    x = L.Flatten()(x)
    found = reasons(tf_keras.Model(inputs, L.Dense(3, name="out")(x)))
    assert found == {
        "beside_input": "its channels go together with inputs of the model",
        "before_grouped": "its channels are bound to grouped, which works in 2 groups of channels",
        "grouped": "the layer is one which works in 2 groups of channels",
        "before_norm": "its channels are bound to norm, which takes statistics over all channels",
        "before_frozen": "its channels are bound to frozen, which is frozen",
        "frozen": "the layer is frozen, so it could not adapt to lost channels",
        "before_softmax": "its channels are bound to softmax, which works across all channels",
        "own_softmax": "its activation (softmax) works across all channels",
        "before_permute": "its channels are bound to turned, which moves channels to another axis",
        "out": "its channels are outputs of the model",
    }


def test_layers_of_other_kinds_keep_their_channels() -> None:
    x = inputs = tf_keras.Input((4, 6, 6, 3))
    x = L.TimeDistributed(L.Conv2D(4, 3, name="inner"), name="each")(x)
    x = L.ConvLSTM2D(4, 3, name="convolving")(x)
    x = L.Conv2D(4, 1, name="after")(x)
    x = L.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(inputs, L.Dense(2, name="out")(x))
    found = reasons(model)
    assert set(found) == {"each", "convolving", "out"}
    assert "convolving, through which channels cannot be followed (ConvLSTM2D)" in found["each"]
    assert_equal_to_masked(randomized(model))


def test_wrapped_layers_that_cannot_lose_channels_stay() -> None:
    x = inputs = tf_keras.Input((4, 3))
    inner = L.Dense(4, trainable=False)
    x = L.TimeDistributed(inner, name="each")(x)
    x = L.Bidirectional(L.SimpleRNN(4, activation="softmax"), name="both")(x)
    found = reasons(tf_keras.Model(inputs, L.Dense(2, name="out")(x)))
    assert found["each"] == "the layer is frozen, so it could not adapt to lost channels"
    assert found["both"] == "the layer is one through which channels cannot be followed (Bidirectional)"


def test_channels_first_stays() -> None:
    inputs = tf_keras.Input((3, 8, 8))
    x = L.Conv2D(4, 3, data_format="channels_first", name="first")(inputs)
    x = L.BatchNormalization(axis=1)(x)
    x = L.Flatten(data_format="channels_first")(x)
    model = tf_keras.Model(inputs, L.Dense(2, name="out")(L.Dense(8, name="hidden")(x)))
    assert reasons(model) == {
        "first": "the layer is one which has its channels first",
        "out": "its channels are outputs of the model",
    }


def test_only_chosen_layers_lose_channels() -> None:
    model = residual()
    found = trace(graph.rebuilt(model), "a*, b1")
    assert [group.name for group in found.groups] == ["a0", "a1", "a2"]
    assert found.skipped["stem"] == "it is not among the chosen layers"
    assert found.skipped["b1"] == "its channels are bound to skip1, which is not among the chosen layers"


def test_tied_layers_make_one_group() -> None:
    found = trace(graph.rebuilt(residual()))
    assert [group.name for group in found.groups] == ["stem+b0", "a0", "a1", "b1+skip1+b2", "a2"]
    assert [len(group.roots) for group in found.groups] == [8, 8, 12, 12, 12]
    names = {group.name for group in trace(graph.rebuilt(transformer())).groups}
    assert {"self heads", "up", "memory", "query", "cross heads", "again heads"} <= names


def test_layers_without_weights_may_be_called_with_any_number_of_channels() -> None:
    inputs = tf_keras.Input((4, 4, 3))
    act, pool = L.ReLU(), L.GlobalAveragePooling2D()
    a, b = (pool(act(L.Conv2D(n, 1, name=f"conv{n}")(inputs))) for n in (4, 6))
    model = tf_keras.Model(inputs, L.Dense(2, name="out")(L.Concatenate()([a, b])))
    found, _ = assert_equal_to_masked(randomized(model))
    assert {group.name for group in found.groups} == {"conv4", "conv6"}


def test_a_layer_that_is_called_in_different_ways_keeps_its_channels() -> None:
    inputs = tf_keras.Input((4, 3))
    lstm, states = L.LSTM(5, name="lstm"), [L.Dense(5, name=f"state{n}")(L.Flatten()(inputs)) for n in range(2)]
    x = L.Add()([lstm(inputs), lstm(inputs, initial_state=states)])
    found = reasons(tf_keras.Model(inputs, L.Dense(2, name="out")(x)))
    assert found["lstm"] == "the layer is one which is called in different ways"
    assert found["state0"] == found["state1"] == "its channels are bound to lstm, which is called in different ways"
