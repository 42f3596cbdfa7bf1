"""Columns of an input that share a scale of 8 bits."""

from __future__ import annotations

import numpy as np
import tf_keras

from optimizers.tf.convert import convert
from optimizers.tf.levels import lost_columns

RNG = np.random.default_rng(0)
COLUMNS = RNG.normal(size=500), RNG.uniform(0, 1000, 500), RNG.integers(0, 2, 500), RNG.normal(0, 300, 500)
WIDE = np.column_stack(COLUMNS)


def test_narrow_columns_beside_wide_ones_are_named() -> None:
    (told,) = lost_columns(WIDE.astype(np.float32))
    assert "2 of 4 (number 1, 3)" in told
    both = np.zeros(500, [("a", np.float32, (4,)), ("b", np.float32, (4,))])
    both["a"], both["b"] = (WIDE - WIDE.mean(axis=0)) / WIDE.std(axis=0), WIDE
    assert ["input b" in sentence for sentence in lost_columns(both)] == [True]


def test_nothing_is_said_of_columns_of_one_range_of_pictures_and_of_words() -> None:
    alike = (WIDE - WIDE.mean(axis=0)) / WIDE.std(axis=0)
    for examples in (
        alike.astype(np.float32),
        RNG.random((20, 8, 8, 3)).astype(np.float32),
        RNG.integers(0, 9, (20, 5)),
    ):
        assert list(lost_columns(examples)) == []
    constant = np.column_stack([np.full(50, 3.0), np.linspace(0, 1e5, 50)]).astype(np.float32)
    assert list(lost_columns(constant)) == []


def test_a_conversion_tells_it_where_it_counts() -> None:
    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.BatchNormalization(), tf_keras.layers.Dense(3)])
    for mode, told in (("int8", 1), ("int16x8", 0)):
        done = convert(model, mode, representative=WIDE.astype(np.float32), examples=WIDE[:20].astype(np.float32))
        assert sum("share one scale" in note for note in done.notes) == told
