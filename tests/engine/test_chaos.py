"""kill -9 of children, workers, scheduler and app during a sweep: nothing is lost, nothing is there twice."""

from __future__ import annotations

import pytest

from tests.chaos import sweep


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_sweep_survives_whatever_is_killed(tmp_path, seed):
    found = sweep(tmp_path, runs=100, kills=12, real=2, seed=seed)
    assert found.kills.total() == 12
    assert found.states == {"done": 102}
    assert found.lost == []
    assert found.twice == 0
    assert found.problems == []
