"""Unrolled recurrent layers with shortened steps answer what Keras answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from optimizers.tf import recurrent, steps

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(4, 6, 5)).astype(np.float32)

OPTIONS = {
    "LSTM": [{}, {"use_bias": False}, {"recurrent_activation": "hard_sigmoid", "activation": "relu"}],
    "GRU": [{}, {"use_bias": False}, {"reset_after": False}, {"reset_after": False, "use_bias": False}],
    "SimpleRNN": [{}, {"use_bias": False}, {"activation": None}],
}
HOW = [{}, {"return_sequences": True}, {"go_backwards": True, "return_sequences": True}, {"return_state": True}]
CASES = [(kind, options | how) for kind, found in OPTIONS.items() for options, how in itertools.product(found, HOW)]


def randomized(model: tf_keras.Model) -> tf_keras.Model:
    """With biases other than the zeros that Keras starts from."""
    model.set_weights([RANDOM.normal(size=w.shape).astype(np.float32) * 0.4 for w in model.get_weights()])
    return model


def shortened(model: tf_keras.Model) -> tf_keras.Model:
    copy = recurrent.unrolled(model)
    steps.shorten(recurrent.layers(copy))
    return copy


def flat(outputs: object) -> list[np.ndarray]:
    return [np.asarray(o) for o in (outputs if isinstance(outputs, list | tuple) else [outputs])]


@pytest.mark.parametrize(("kind", "options"), CASES, ids=[f"{k}-{'-'.join(map(str, o)) or 'plain'}" for k, o in CASES])
def test_the_answers_are_those_of_keras(kind: str, options: dict[str, object]) -> None:
    inputs = tf_keras.Input((6, 5), batch_size=4)
    model = randomized(tf_keras.Model(inputs, getattr(layers, kind)(3, **options)(inputs)))
    for ours, theirs in zip(flat(shortened(model)(X)), flat(model(X)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_wrappers_masks_and_given_states_are_heeded() -> None:
    inputs = tf_keras.Input((6, 5), batch_size=4)
    masked = layers.Masking()(inputs)
    x, h, c = layers.LSTM(3, return_sequences=True, return_state=True)(masked)
    x = layers.Bidirectional(layers.GRU(2, return_sequences=True))(x)
    model = randomized(tf_keras.Model(inputs, layers.LSTM(3)(x, initial_state=[h, c])))
    gaps = X.copy()
    gaps[:, 4:] = 0
    # Keras itself answers otherwise when it unrolls a Bidirectional layer that gets a mask
    np.testing.assert_allclose(shortened(model)(gaps), recurrent.unrolled(model)(gaps), atol=2e-6)


def test_a_layer_that_was_shortened_has_fewer_operations() -> None:
    inputs = tf_keras.Input((6, 5), batch_size=1)
    model = randomized(tf_keras.Model(inputs, layers.GRU(3)(inputs)))

    def operations(m: tf_keras.Model) -> int:
        import tensorflow as tf

        traced = tf.function(lambda v: m(v, training=False)).get_concrete_function(tf.TensorSpec((1, 6, 5)))
        return sum(op.type in ("MatMul", "BatchMatMulV2", "Split", "SplitV") for op in traced.graph.get_operations())

    assert operations(shortened(model)) < operations(recurrent.unrolled(model))
