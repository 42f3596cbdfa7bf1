"""Several inputs and outputs keep their order everywhere: in the model, its summary, calibration and the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers.datasets.several import arrays_of, joined
from optimizers.errors import ConversionWrong, NotApplicable
from optimizers.litert import interpreter, latency
from optimizers.litert.file import LiteRtFile
from optimizers.tf import verify
from optimizers.tf.convert import check, convert
from optimizers.tf.outputs import outputs
from optimizers.tf.shapes import with_input_shape
from optimizers.tf.summary import summarize

L = tf_keras.layers
RNG = np.random.default_rng(0)


def test_each_input_is_calibrated_with_its_own_examples() -> None:
    inputs = [tf_keras.Input((6,)) for _ in range(11)]
    heads = [L.Dense(3)(tensor) for tensor in reversed(inputs)]
    model = tf_keras.Model(inputs, list(reversed(heads)))
    x = joined([(RNG.random((60, 6)) * 2.0**n).astype(np.float32) for n in range(11)])
    want = outputs(model, x)
    file = convert(model, "int8", representative=x, examples=x[:8]).file
    error = np.abs(interpreter.predict(file, x) - want).reshape(60, 11, 3)
    relative = error.max(axis=(0, 2)) / np.abs(want).reshape(60, 11, 3).max(axis=(0, 2))
    assert relative.max() < 0.03, "an input with another one's range would saturate or lose all its digits"
    assert interpreter.output_shapes(file) == ((3,),) * 11


def two_inputs() -> tf_keras.Model:
    frames, extra = tf_keras.Input((None, 4), name="frames"), tf_keras.Input((4,), name="extra")
    state = L.LSTM(8)(frames)
    return tf_keras.Model([extra, frames], [L.Dense(3)(L.Concatenate()([state, extra])), L.Dense(3)(state)])


def test_open_dimensions_of_one_of_several_inputs_are_fixed() -> None:
    model = with_input_shape(two_inputs(), ((4,), (10, 4)))
    assert [tuple(tensor.shape[1:]) for tensor in model.inputs] == [(4,), (10, 4)]
    x = joined([RNG.standard_normal((7, 4), np.float32), RNG.standard_normal((7, 10, 4), np.float32)])
    file = convert(model, "float32").file
    np.testing.assert_allclose(interpreter.predict(file, x), outputs(model, x), atol=1e-5)
    with pytest.raises(NotApplicable, match="set recurrent to 'unrolled'"):
        check(model, "int8", "fused")


def test_outputs_in_another_order_are_found_out() -> None:
    x = tf_keras.Input((4,))
    small, large = L.Dense(3)(x), L.Rescaling(100.0)(L.Dense(3)(x))
    content = convert(tf_keras.Model(x, [small, large]), "float32").file
    turned = tf_keras.Model(x, [large, small])
    with pytest.raises(ConversionWrong, match="is off by"):
        verify.against_model(turned, content, "float32", verify.random_inputs(turned, 0))


def test_inputs_and_outputs_by_name_keep_ranges_names_and_answers(tmp_path: Path) -> None:
    import keras

    image, words = keras.Input((8, 8, 1), name="zebra"), keras.Input((5,), dtype="int32", name="ant")
    both = keras.layers.Concatenate()(
        [keras.layers.Flatten()(image), keras.layers.Flatten()(keras.layers.Embedding(50, 2)(words))]
    )
    heads = {"y": keras.layers.Dense(4, name="four")(both), "c": keras.layers.Dense(1, name="one")(both)}
    original = keras.Model({"zebra": image, "ant": words}, heads)
    original.save(tmp_path / "named.keras")
    summary = summarize(tmp_path / "named.keras")
    assert [(spec.name, spec.shape) for spec in summary.inputs] == [("ant", (5,)), ("zebra", (8, 8, 1))]
    assert [(spec.name, spec.shape) for spec in summary.outputs] == [("one", (1,)), ("four", (4,))]
    assert summary.input_ranges[0] is not None
    assert (summary.input_ranges[0].high, summary.input_ranges[1]) == (49, None)
    from optimizers.tf.build import load_working

    x = joined([RNG.integers(0, 50, (6, 5)).astype(np.int32), RNG.random((6, 8, 8, 1), np.float32)])
    answers = original(dict(zip(("ant", "zebra"), arrays_of(x), strict=True)))
    want = np.concatenate([answers["c"], answers["y"]], axis=1)
    model = load_working(tmp_path / "named.keras")
    np.testing.assert_allclose(outputs(model, x), want, atol=1e-5)
    np.testing.assert_allclose(interpreter.predict(convert(model, "float32").file, x), want, atol=1e-5)


def test_a_file_that_was_brought_is_described_in_the_order_in_which_it_is_run(tmp_path: Path) -> None:
    specs = [tf.TensorSpec([1, 4], tf.float32, name="zebra"), tf.TensorSpec([1, 3], tf.int32, name="ant")]
    table = tf.constant(RNG.random((20, 4)), tf.float32)
    function = tf.function(lambda zebra, ant: zebra @ tf.eye(4) + tf.reduce_sum(tf.gather(table, ant), axis=1))
    content = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(*specs)]).convert()
    file = LiteRtFile(content)
    assert [tensor.shape[1:] for tensor in file.inputs] == [(3,), (4,)]
    assert [shown and shown.high for shown in file.input_ranges] == [19, None]
    x = joined([np.array([[1, 2, 3]] * 9, np.int32), np.ones((9, 4), np.float32)])
    want = 1 + np.asarray(table)[1:4].sum(axis=0)
    np.testing.assert_allclose(interpreter.predict(content, x), np.tile(want, (9, 1)), rtol=1e-5)
    interpreter.invoke(interpreter.load(content), file.random_inputs(0, 1)[0])
    (tmp_path / "brought.tflite").write_bytes(content)
    path = tmp_path / "brought.tflite"
    found = latency.time_in_turn([path], path, example=x[:1], seconds=0.01)[0]
    assert len(found.times_ms) >= 3
