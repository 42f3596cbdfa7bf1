"""The rows of the architecture table: what feeds a layer, and what it computes."""

from __future__ import annotations

import keras
import pytest

from optimizers.models import sample
from optimizers.tf.summary import summarize

L = keras.layers


def by_name(summary):
    names = [row.name for row in summary.layers]
    return {row.name: (row, {names[i] for i in row.inputs}) for row in summary.layers}


def test_rows_tell_what_feeds_them_and_what_they_compute(tmp_path):
    start = keras.Input((8, 8, 3), name="start")
    conv = L.Conv2D(4, 3, padding="same", name="conv")(start)
    joined = L.Add(name="joined")([L.Conv2D(4, 1, name="short")(start), L.ReLU(name="relu")(conv)])
    keras.Model(start, L.Dense(2, name="out")(L.Flatten(name="flat")(joined))).save(tmp_path / "m.keras")
    rows = by_name(summarize(tmp_path / "m.keras"))
    assert {name: feeding for name, (_, feeding) in rows.items()} == {
        "start": set(),
        "conv": {"start"},
        "short": {"start"},
        "relu": {"conv"},
        "joined": {"short", "relu"},
        "flat": {"joined"},
        "out": {"flat"},
    }
    assert rows["conv"][0].macs == 8 * 8 * 9 * 3 * 4
    assert rows["out"][0].macs == 8 * 8 * 4 * 2
    assert not rows["flat"][0].macs


@pytest.mark.parametrize("name", ["digits_cnn", "digits_transformer"])
def test_rows_of_samples_are_joined_from_input_to_output(name):
    summary = summarize(sample.resolve(name)[0])
    fed = [row for row in summary.layers if row.kind != "InputLayer"]
    assert fed
    assert all(row.inputs for row in fed)
    assert all(0 <= i < len(summary.layers) for row in summary.layers for i in row.inputs)
