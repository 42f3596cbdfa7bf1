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
from optimizers.tf.channels.criteria import scores
from optimizers.tf.channels.plan import Counter, choices, plan, step
from optimizers.tf.channels.surgery import without, zeroed
from optimizers.tf.channels.trace import Trace, trace
from optimizers.tf.layers import LayerScale, Operation
from optimizers.tf.sensitivity import changed_weights

L = tf_keras.layers
Model = Any


def sequential() -> Model:
    return tf_keras.Sequential(
        [
            tf_keras.Input((8, 8, 3)),
            L.Conv2D(8, 3, activation="sigmoid", name="first"),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling2D(2),
            L.Conv2D(12, 3, padding="same", use_bias=False, name="second"),
            L.BatchNormalization(scale=False),
            L.LeakyReLU(),
            L.Flatten(),
            L.Dense(10, activation="softplus", name="hidden"),
            L.Dropout(0.5),
            L.Dense(3, activation="softmax", name="classes"),
        ]
    )


def residual() -> Model:
    x = inputs = tf_keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, padding="same", name="stem")(x)
    for number, (filters, stride) in enumerate(((8, 1), (12, 2), (12, 1))):
        y = L.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"a{number}")(x)
        y = L.ReLU()(L.BatchNormalization()(y))
        y = L.Conv2D(filters, 3, padding="same", name=f"b{number}")(y)
        y = L.BatchNormalization()(y)
        if stride > 1:
            x = L.Conv2D(filters, 1, strides=stride, name=f"skip{number}")(x)
        x = L.Activation("elu")(L.Add()([x, y]))
    return tf_keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def mobile() -> Model:
    x = inputs = tf_keras.Input((9, 9, 3))
    x = L.Conv2D(8, 3, strides=2, padding="same", name="stem")(x)
    for number in range(2):
        y = L.Conv2D(16, 1, use_bias=False, name=f"expand{number}")(x)
        y = L.ReLU(max_value=6.0)(L.BatchNormalization()(y))
        y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=1 + number, name=f"depth{number}")(y)
        y = L.ReLU(max_value=6.0)(L.BatchNormalization()(y))
        s = L.GlobalAveragePooling2D(keepdims=True)(y)
        s = L.Conv2D(4, 1, activation="relu", name=f"squeeze{number}")(s)
        s = L.Conv2D(16 * (1 + number), 1, activation="sigmoid", name=f"excite{number}")(s)
        y = L.Multiply()([y, s])
        x = L.Add()([x, L.Conv2D(8, 1, name=f"project{number}")(y)])
    return tf_keras.Model(inputs, L.Dense(4)(L.GlobalMaxPooling2D()(x)))


def inception() -> Model:
    x = inputs = tf_keras.Input((8, 8, 3))
    branches = [L.Conv2D(6, size, padding="same", activation="tanh", name=f"branch{size}")(x) for size in (1, 3)]
    branches.append(L.AveragePooling2D(3, strides=1, padding="same")(branches[0]))
    x = L.BatchNormalization()(L.Concatenate()(branches))
    y = L.Conv2D(18, 3, padding="same", name="wide")(x)
    x = L.Maximum()([x, y])
    x = L.Concatenate(axis=1)([x, L.Conv2D(18, 1, name="below")(x)])
    return tf_keras.Model(inputs, L.Dense(4)(L.Flatten()(x)))


def unet() -> Model:
    x = inputs = tf_keras.Input((8, 8, 2))
    first = L.Conv2D(6, 3, padding="same", activation="relu", name="down1")(x)
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="down2")(L.MaxPooling2D(2)(first))
    x = L.Conv2D(8, 3, padding="same", name="bottom")(L.AveragePooling2D(2)(x))
    x = L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu", name="up")(x)
    x = L.UpSampling2D(2, interpolation="bilinear")(x)
    x = L.Concatenate()([first, x])
    x = L.Cropping2D(1)(L.ZeroPadding2D(2)(x))
    x = L.SeparableConv2D(8, 3, depth_multiplier=2, activation="relu", name="apart")(x)
    x = L.PReLU(shared_axes=[1, 2])(x)
    return tf_keras.Model(inputs, L.Conv2D(1, 1, activation="sigmoid", name="mask")(x))


def text() -> Model:
    x = inputs = tf_keras.Input((12,), dtype="int32")
    x = L.Embedding(50, 8, name="words")(x)
    x = L.Conv1D(12, 3, padding="causal", activation="gelu", name="conv")(x)
    x = L.SeparableConv1D(8, 3, name="apart")(L.SpatialDropout1D(0.2)(x))
    x = L.DepthwiseConv1D(3, name="depth")(x)
    x = L.Conv1DTranspose(6, 2, strides=2, name="wider")(x)
    x = L.PReLU()(x)
    return tf_keras.Model(inputs, L.Dense(2, activation="softmax")(L.GlobalMaxPooling1D()(x)))


def recurrent() -> Model:
    x = inputs = tf_keras.Input((6, 5))
    x = L.TimeDistributed(L.Dense(8, activation="relu"), name="each")(x)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True), name="both")(x)
    x = L.GRU(8, return_sequences=True, name="gru")(x)
    x = L.GRU(8, return_sequences=True, reset_after=False, use_bias=False, name="old_gru")(x)
    sequence, h, c = L.LSTM(8, return_sequences=True, return_state=True, name="encoder")(x)
    x = L.LSTM(8, return_sequences=True, name="decoder")(sequence, initial_state=[h, c])
    x = L.Bidirectional(L.SimpleRNN(6), merge_mode="sum", name="last")(x)
    return tf_keras.Model(inputs, L.Dense(3)(x))


def transformer() -> Model:
    x = inputs = tf_keras.Input((6, 5))
    x = L.EinsumDense("abc,cd->abd", output_shape=(6, 12), bias_axes="bd", name="embed")(x)
    y = L.LayerNormalization(name="norm")(x)
    x = L.Add()([x, L.MultiHeadAttention(4, 3, name="self")(y, y)])
    y = L.Dense(16, activation="gelu", name="up")(x)
    x = L.Add()([x, LayerScale(12, 0.5)(L.EinsumDense("...x,xy->...y", output_shape=12, name="down")(y))])
    memory = L.Dense(8, name="memory")(inputs)
    query = L.Dense(10, name="query")(x)
    x = L.MultiHeadAttention(3, 4, value_dim=2, output_shape=6, use_bias=False, name="cross")(query, value=memory)
    x = L.MultiHeadAttention(2, 4, name="again")(x, x)
    return tf_keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def shared() -> Model:
    one, other = tf_keras.Input((8, 4), name="one"), tf_keras.Input((8, 4), name="other")
    conv, norm, wide = L.Conv1D(8, 3, name="conv"), L.BatchNormalization(), L.Dense(6, name="wide")
    reshape = L.Reshape((3, -1))
    pair = [reshape(wide(L.ReLU()(norm(conv(x))))) for x in (one, other)]
    x = L.Subtract()(pair)
    x = L.Concatenate()([x, L.Average()(pair), L.RepeatVector(3)(L.Dense(4, name="extra")(L.Flatten()(other)))])
    return tf_keras.Model([one, other], [L.Dense(2, name="left")(x), L.Dense(1, name="right")(L.Flatten()(x))])


def nested() -> Model:
    inside = tf_keras.Input((8, 8, 6))
    x = L.ReLU()(L.Conv2D(6, 3, padding="same", name="inner")(inside))
    block = tf_keras.Model(inside, L.Add()([x, inside]), name="block")
    head = tf_keras.Sequential([tf_keras.Input((8, 8, 6)), L.Conv2D(8, 3, name="deep"), L.Flatten()], name="head")
    inputs = tf_keras.Input((8, 8, 2))
    x = L.Conv2D(6, 1, name="outer")(inputs)
    return tf_keras.Model(inputs, L.Dense(3, name="out")(head(block(block(x)))))


def volume() -> Model:
    x = inputs = tf_keras.Input((5, 5, 5, 2))
    x = L.Conv3D(6, 3, activation="relu", name="first")(x)
    x = L.Conv3DTranspose(6, 2, name="second")(x)
    x = L.Reshape((4, 16, 6))(x)
    x = L.Permute((2, 1, 3))(x)
    x = Operation("Multiply", '{"args": [{"$tensor": 0}, 0.5], "options": {}}')(x)
    x = Operation("Silu", '{"args": [{"$tensor": 0}], "options": {}}')(x)
    return tf_keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(x)))


TOPOLOGIES: dict[str, Callable[[], Model]] = {
    function.__name__: function
    for function in (
        sequential, residual, mobile, inception, unet, text, recurrent, transformer, shared, nested, volume,
    )
}  # fmt: skip


def randomized(model: Model, seed: int = 0) -> Model:
    """Random weights everywhere, so that no bias, scale or statistic is 0 or 1; variances are positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = 0.5 * rng.standard_normal(weight.shape)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.name else values)
    return model


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


@pytest.mark.parametrize("name", TOPOLOGIES)
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


def weights_by_hand(kind: str, kernel: np.ndarray) -> np.ndarray:
    flat = kernel.reshape(-1, kernel.shape[-1])
    return np.abs(flat).sum(0) if kind == "l1" else np.sqrt((flat**2).sum(0))


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_norms_of_tied_layers_are_averaged(kind: Any) -> None:
    found = trace(graph.rebuilt(randomized(residual())))
    score, fallen = scores(found, kind)
    assert not fallen
    rows = []
    for name in ("b1", "skip1", "b2"):
        row = weights_by_hand(kind, found.model.get_layer(name).kernel.numpy())
        rows.append(row / row.mean())
    group = found.groups[3]
    np.testing.assert_allclose([score[root] for root in group.roots], np.mean(rows, axis=0), rtol=1e-6)


def test_normalization_scales_decide_where_there_are_some() -> None:
    found = trace(graph.rebuilt(randomized(sequential())))
    score, fallen = scores(found, "bn_scale")
    gamma = np.abs(found.model.layers[2].gamma.numpy())
    assert fallen == ["second", "hidden"], "one has no scale, the other no normalization"
    np.testing.assert_allclose([score[root] for root in found.groups[0].roots], gamma / gamma.mean(), rtol=1e-6)


def test_heads_are_scored_by_all_their_kernels() -> None:
    found = trace(graph.rebuilt(randomized(transformer())))
    attention = found.model.get_layer("self")
    for part in ("query", "key", "value"):
        kernel = getattr(attention, f"_{part}_dense").kernel
        kernel.assign(kernel * np.array([1, 0.1, 1, 1])[None, :, None])
    attention._output_dense.kernel.assign(attention._output_dense.kernel * np.array([1, 0.1, 1, 1])[:, None, None])
    group = next(group for group in found.groups if group.name == "self heads")
    score, _ = scores(found, "l2")
    assert np.argmin([score[root] for root in group.roots]) == 1


@pytest.mark.parametrize(("channels", "multiple"), [(64, 8), (32, 8), (31, 4), (16, 4), (10, 2), (4, 1), (3, 1)])
def test_steps_suit_the_size_of_a_layer(channels: int, multiple: int) -> None:
    assert step(channels, 8) == multiple
    counts = choices(channels, multiple)
    assert counts[0] == channels
    assert counts == sorted(set(counts), reverse=True)
    assert all(count % multiple == 0 for count in counts[1:])
    assert counts[-1] >= min(2, channels)


@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize("of", ["macs", "channels"])
def test_a_plan_costs_at_most_the_target_and_hardly_less(amount: float, measured: bool, of: str) -> None:
    from sample_models.architectures import digits_resnet

    found = trace(graph.rebuilt(digits_resnet(tf_keras)))
    counter = Counter(found)
    price = counter.macs if of == "macs" else counter.channels
    whole = price(np.array([float(len(group.roots)) for group in found.groups]))
    rng = np.random.default_rng(4)
    damages = {
        group.name: {len(group.roots) * n // 4: float(rng.uniform(0, 4 - n)) for n in (1, 2, 3)}
        for group in found.groups
    }
    steps = {group.name: step(len(group.roots), 8) for group in found.groups}
    decided = plan(found.groups, price, (1 - amount) * whole, steps, damages if measured else None)
    assert decided.reached
    kept = np.array([float(decided.kept[group.name]) for group in found.groups])
    assert 0.85 * (1 - amount) * whole <= price(kept) <= (1 - amount) * whole
    for group in found.groups:
        assert 2 <= decided.kept[group.name] <= len(group.roots)
        assert decided.kept[group.name] % 4 == 0


def test_measured_damage_decides_who_loses() -> None:
    x = inputs = tf_keras.Input((16,))
    for name in ("robust", "delicate", "other"):
        x = L.Dense(64, name=name)(x)
    found = trace(graph.rebuilt(tf_keras.Model(inputs, L.Dense(4)(x))))
    counter, damages = Counter(found), {"robust": {16: 0.01}, "delicate": {16: 5.0}, "other": {16: 1.0}}
    whole = counter.macs(np.full(3, 64.0))
    decided = plan(found.groups, counter.macs, 0.5 * whole, {group.name: 8 for group in found.groups}, damages)
    assert decided.kept["robust"] < decided.kept["other"] < decided.kept["delicate"]


def test_a_target_out_of_reach_is_told() -> None:
    found = trace(graph.rebuilt(transformer()))
    counter = Counter(found)
    steps = {group.name: step(len(group.roots), 8, group.heads) for group in found.groups}
    decided = plan(found.groups, counter.macs, 0.0, steps)
    assert not decided.reached
    assert all(decided.kept[group.name] == choices(len(group.roots), 1, group.heads)[-1] for group in found.groups), (
        "as little as there can be"
    )
