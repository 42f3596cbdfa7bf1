"""Stateful layers remember from one call to the next what they do in Keras, in every form of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from optimizers.models.reader import read
from optimizers.tf.build import build_keras3, build_tf_keras, save_keras3, save_working
from optimizers.tf.check import agreement_of, run
from tests.tf.zoo import randomized

L = keras.layers
_CLOSE = 1e-5


def stacked(x: Any) -> Any:
    return L.GRU(2, stateful=True)(L.LSTM(3, stateful=True, return_sequences=True)(x))


def both_ways(x: Any) -> Any:
    return L.Bidirectional(L.LSTM(3, stateful=True))(x)


def cells(x: Any) -> Any:
    return L.RNN([L.LSTMCell(3), L.GRUCell(2)], stateful=True)(x)


def called_twice(x: Any) -> Any:
    """The second call goes on from what the first one left."""
    layer = L.GRU(4, stateful=True, return_sequences=True)
    return layer(layer(x))


NETWORKS: dict[str, Callable[[Any], Any]] = {
    "LSTM": lambda x: L.LSTM(3, stateful=True)(x),
    "GRU": lambda x: L.GRU(3, stateful=True, reset_after=False)(x),
    "SimpleRNN": lambda x: L.SimpleRNN(3, stateful=True, return_sequences=True)(x),
    "backwards": lambda x: L.LSTM(3, stateful=True, go_backwards=True)(x),
    "ConvLSTM1D": lambda x: L.ConvLSTM1D(2, 2, stateful=True)(L.Reshape((5, 4, 1))(x)),
    **{network.__name__: network for network in (stacked, both_ways, cells, called_twice)},
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "stacked" else pytest.mark.slow) for n in NETWORKS])
def test_calls_in_a_row_answer_as_in_keras(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    start = keras.Input(batch_shape=(2, 5, 4))
    randomized(keras.Model(start, NETWORKS[name](start))).save(tmp_path / "source.keras")
    native, spec = keras.models.load_model(tmp_path / "source.keras"), read(tmp_path / "source.keras")
    parts = list(np.random.default_rng(0).normal(size=(3, 2, 5, 4)).astype("float32"))
    wanted = [run(native, [part])[0] for part in parts]
    assert np.abs(wanted[1] - run(keras.models.load_model(tmp_path / "source.keras"), [parts[1]])[0]).max() > 1e-3
    bridged = build_tf_keras(spec)
    save_working(bridged, tmp_path / "working.keras")
    save_keras3(tmp_path / "working.keras", tmp_path / "out.keras")
    others = (bridged, build_keras3(spec), build_tf_keras(read(tmp_path / "working.keras")))
    for model in (*others, keras.models.load_model(tmp_path / "out.keras")):
        answers = [run(model, [part])[0] for part in parts]
        assert agreement_of(wanted, answers).relative < _CLOSE
