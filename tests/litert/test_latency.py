from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizers.litert import latency


def test_pairs_are_counted_and_positive(files: dict[str, Path]) -> None:
    ours, baseline = latency.time_interleaved(files["int8"], files["float"], seconds=0, min_runs=7, max_runs=100)
    assert ours.shape == baseline.shape == (7,)
    assert (ours > 0).all()
    assert (baseline > 0).all()


def test_there_is_an_upper_bound_and_a_file_may_race_itself(files: dict[str, Path]) -> None:
    one, other = latency.time_interleaved(files["float"], files["float"], seconds=60, min_runs=3, max_runs=9)
    assert len(one) == len(other) == 9


def test_recurrent_files_can_be_timed(files: dict[str, Path]) -> None:
    ours, _ = latency.time_interleaved(files["fused_lstm"], files["loop_gru"], seconds=0, min_runs=2)
    assert len(ours) == 2


@pytest.mark.parametrize(
    ("dtype", "quantization", "low", "high"),
    [
        (np.int8, (0.1, 3), -128, 127),
        (np.int32, (0.0, 0), 0, 1),
        (np.uint8, (0.0, 0), 0, 255),
        (np.float32, (0.0, 0), -9, 9),
    ],
)
def test_inputs_are_in_range_and_repeat(dtype: type, quantization: tuple[float, int], low: int, high: int) -> None:
    detail = {"dtype": dtype, "quantization": quantization, "shape": np.array([1, 1000])}
    drawn = latency._in_range(np.random.default_rng(0), detail)
    assert drawn.dtype == dtype
    assert drawn.shape == (1, 1000)
    assert low <= drawn.min()
    assert drawn.max() <= high
    np.testing.assert_array_equal(drawn, latency._in_range(np.random.default_rng(0), detail))
