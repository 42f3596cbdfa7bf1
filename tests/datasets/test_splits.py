from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.datasets import splits
from optimizers.errors import DataRefused
from optimizers.records import digest_of


def test_a_split_is_fixed_for_ever():
    labels = np.array([0, 1, 2, 0, 1, 0, 0, 1, 2, 2] * 20)
    split = splits.stratified(labels, validation=0.2, test=0.2)
    golden = "2ea805dc7cf375032caf466911507355f61abb76cdd70d2284802502695e1add"
    assert digest_of([part.tolist() for part in split]) == golden


@given(
    st.lists(st.integers(0, 4), min_size=10, max_size=200),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
    st.integers(0, 2**31 - 1),
)
def test_parts_are_disjoint_complete_and_proportional(labels, validation, test, seed):
    y = np.array(labels)
    aside = round(validation * len(y)) + round(test * len(y))
    if aside > len(y) - len(set(labels)):
        with pytest.raises(DataRefused, match="too few"):
            splits.stratified(y, validation=validation, test=test, seed=seed)
        return
    split = splits.stratified(y, validation=validation, test=test, seed=seed)
    assert sorted(np.concatenate(split).tolist()) == list(range(len(y)))
    assert (len(split.validation), len(split.test)) == (round(validation * len(y)), round(test * len(y)))
    assert set(y[split.train]) == set(labels)
    for part, share in ((split.validation, validation), (split.test, test)):
        for label in set(labels):
            expected = share * np.sum(y == label)
            assert abs(np.sum(y[part] == label) - expected) <= 3


def test_exact_counts_and_empty_parts():
    y = np.repeat([0, 1], 50)
    split = splits.stratified(y, validation=7, test=0)
    assert [len(part) for part in split] == [93, 7, 0]
    assert split.test.dtype == np.int64


def test_too_few_examples_are_refused():
    with pytest.raises(DataRefused, match="4 examples of 2 classes are too few"):
        splits.stratified(np.array([0, 0, 1, 1]), validation=2, test=1)


def test_target_bands_are_ordered_and_equally_filled():
    y = np.random.default_rng(0).normal(size=100)
    bands = splits.target_bands(y)
    assert np.bincount(bands).tolist() == [10] * 10
    assert all(y[bands == low].max() <= y[bands == low + 1].min() for low in range(9))
    assert splits.target_bands(np.arange(3.0)).tolist() == [0, 0, 0]


def test_windows_hold_consecutive_rows_and_the_last_label():
    x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    cut, labels = splits.windows(x, y, 3)
    assert cut.shape == (3, 3, 2)
    assert labels.tolist() == [2, 3, 4]
    np.testing.assert_array_equal(cut[1], x[1:4])
