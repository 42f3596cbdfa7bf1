"""Weights of two files side by side, weights exchanged, and what is computed on the way to the answers."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.litert import interpreter
from optimizers.litert.intermediate import Computed, corresponding, deviations
from optimizers.litert.pairs import paired, sqnr
from optimizers.litert.transplant import Transplant
from optimizers.litert.weights import weights
from tests.techniques.networks import digits

EXAMPLES = digits().validation.x[:24]


def test_noise_is_that_of_the_formula() -> None:
    values = np.array([3.0, -4.0, 0.0], np.float32)
    assert sqnr(values, values + np.float32(0.5)) == pytest.approx(10 * np.log10(25 / 0.75))
    assert sqnr(values, values) is None
    assert sqnr(np.zeros(3), np.ones(3)) is None


def test_layers_correspond_and_rounding_is_within_half_a_step(files) -> None:
    pairs = paired(files["int8"], files["float"])
    assert all(pair.complete for pair in pairs)
    assert len(pairs) == sum(weight.kernel for weight in weights(files["float"]))
    for pair in pairs:
        for reference, own in pair.matched:
            along = [-1 if place == own.axis else 1 for place in range(own.values.ndim)]
            steps = own.scales if own.axis is None else own.scales.reshape(along)
            assert (np.abs(reference.dequantized - own.dequantized) <= 0.501 * steps + 1e-6).all()
            assert (reference.kernel, reference.bias) == (own.kernel, own.bias)
    names = [pair.layer for pair in pairs]
    assert names == [pair.layer for pair in paired(files["float"], files["int8"])], "in the order of computation"


def test_every_weight_has_its_bias_beside_it(files) -> None:
    pairs = paired(files["float"], files["float"])
    assert all(any(weight.bias for weight in pair.own) for pair in pairs)


def test_another_network_has_no_counterparts(files) -> None:
    pairs = paired(files["fused_lstm"], files["float"])
    assert not any(pair.complete and pair.own and pair.reference for pair in pairs)


def test_a_files_own_weights_leave_it_as_it_is(files) -> None:
    content = files["float"].read_bytes()
    pairs = paired(files["float"], files["float"])
    values = {(a.subgraph, a.tensor): b.dequantized for pair in pairs for a, b in pair.matched}
    exchanged = Transplant(content).with_weights(values)
    np.testing.assert_array_equal(interpreter.predict(exchanged, EXAMPLES), interpreter.predict(content, EXAMPLES))


def test_exchanged_weights_are_those_of_the_new_file_and_only_those(files) -> None:
    transplant = Transplant(files["float"].read_bytes())
    first, *others = paired(files["int8"], files["float"])
    values = {(a.subgraph, a.tensor): b.dequantized for a, b in first.matched}
    exchanged = {(w.subgraph, w.tensor): w.dequantized for w in weights(transplant.with_weights(values))}
    for place, wanted in values.items():
        np.testing.assert_array_equal(exchanged[place], wanted)
    for reference, _ in (pair for other in others for pair in other.matched):
        np.testing.assert_array_equal(exchanged[reference.subgraph, reference.tensor], reference.dequantized)
    back = {(w.subgraph, w.tensor): w.dequantized for w in weights(transplant.with_weights({}))}
    for reference, _ in first.matched:
        np.testing.assert_array_equal(back[reference.subgraph, reference.tensor], reference.dequantized)


def test_all_weights_exchanged_answer_nearly_as_the_integer_file(files) -> None:
    pairs = paired(files["int8"], files["float"])
    values = {(a.subgraph, a.tensor): b.dequantized for pair in pairs for a, b in pair.matched}
    content = files["float"].read_bytes()
    exchanged = interpreter.predict(Transplant(content).with_weights(values), EXAMPLES)
    own, before = (interpreter.predict(f, EXAMPLES) for f in (files["int8"], content))
    assert np.abs(exchanged - before).mean() > 0
    assert np.abs(exchanged - own).mean() < 0.05


def test_the_same_file_computes_the_same(files) -> None:
    content = files["float"].read_bytes()
    found, missing = deviations(content, content, EXAMPLES[:4])
    assert missing == 0
    assert all(deviation.relative == 0 and deviation.sqnr is None for deviation in found)
    assert all(deviation.cosine == pytest.approx(1) for deviation in found)


def test_the_last_deviation_is_that_of_the_answers(files) -> None:
    own, reference = (files[name].read_bytes() for name in ("int8", "float"))
    found, _ = deviations(own, reference, EXAMPLES)
    answers = [interpreter.predict(content, EXAMPLES).astype(np.float64) for content in (own, reference)]
    expected = np.sqrt(((answers[0] - answers[1]) ** 2).sum() / (answers[1] ** 2).sum())
    assert found[-1].layer == "output"
    # without the CPU delegate single values may round to the neighbouring step
    assert found[-1].relative == pytest.approx(expected, rel=0.2)
    assert found[-1].sqnr == pytest.approx(-20 * np.log10(found[-1].relative))
    assert found[0].layer != "output"


def test_results_correspond_by_name_by_what_was_merged_and_by_the_only_one_of_their_kind() -> None:
    reference = [
        Computed(1, "conv/Relu;conv/Conv2D1", "conv", "CONV_2D", (1, 4), "RELU"),
        Computed(2, "net/hidden/MatMul;net/hidden/Relu", "hidden", "FULLY_CONNECTED", (1, 8), "RELU"),
        Computed(3, "net/out/MatMul", "out", "FULLY_CONNECTED", (1, 2)),
        Computed(4, "norm/mul", "norm", "MUL", (1, 8)),
        Computed(5, "norm/mul_1", "norm", "MUL", (1, 8)),
    ]
    own = [
        Computed(7, "conv/Conv2D;conv/Relu", "conv", "CONV_2D", (1, 4), "RELU"),
        Computed(8, "hidden/MatMul", "hidden", "FULLY_CONNECTED", (1, 8), "RELU"),
        Computed(9, "out/add", "out", "FULLY_CONNECTED", (1, 2), "RELU"),
        Computed(10, "norm/other", "norm", "MUL", (1, 8)),
    ]
    found = {b.index: a.index for a, b in corresponding(own, reference)}
    assert found == {1: 7, 2: 8}, "another activation, or one of several alike, is no counterpart"


def test_inside_a_loop_nothing_is_seen_but_the_answers_are(files) -> None:
    content = files["loop_gru"].read_bytes()
    found, _ = deviations(content, content, digits().validation.x[:2].reshape(2, *_shape(content)))
    assert found[-1].layer == "output"


def _shape(content: bytes) -> tuple[int, ...]:
    return tuple(int(d) for d in interpreter.inputs(interpreter.load(content))[0]["shape"][1:])


def test_a_hidden_layer_that_is_called_like_an_output_is_none() -> None:
    import tf_keras

    from optimizers.tf.convert import convert

    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    given = tf_keras.Input((4,))
    hidden = tf_keras.layers.Dense(5, activation="relu", name="output_1")(given)
    model = tf_keras.Model(given, tf_keras.layers.Dense(2, name="last")(hidden))
    found, _ = deviations(convert(model, "int8", representative=x).file, convert(model, "float32").file, x[:8])
    assert [(one.layer, one.output) for one in found] == [("output_1", None), ("output", 0)]
