from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizers.errors import NotApplicable
from optimizers.litert.sweep import Place, Point, estimate, sweep


def test_every_place_is_passed_as_often_as_the_others(files: dict[str, Path]) -> None:
    places = [Place(1, 1), Place(16, 1), Place(16, 1, copies=2)]
    told: list[float] = []
    found = sweep([files["float"], files["int8"]], places, seconds=0.1, told=told.append)
    assert [point.place for point in found] == places
    assert all(point.rates.shape == point.run_ms.shape == (4, 2) for point in found)
    assert all((point.rates > 0).all() for point in found)
    assert told == sorted(told)
    assert told[-1] == 1.0
    one = found[0]
    np.testing.assert_allclose(one.rates, 1e3 / one.run_ms)


def test_a_file_that_does_not_run_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\x08\x00\x00\x00TFL3" + bytes(64))
    with pytest.raises(NotApplicable, match="LiteRT"):
        sweep([broken], [Place(1, 1), Place(2, 1)], seconds=0.1)


def test_cores_of_all_copies_are_paid_for() -> None:
    point = Point(Place(8, 2, copies=3), np.full((4, 1), 600.0), np.ones((4, 1)))
    np.testing.assert_allclose(point.core_seconds(), 1e6 * 6 / 600)


def test_an_estimate_lies_between_its_bounds_and_what_is_far_off_does_not_count() -> None:
    found = estimate(np.array([100.0, 101, 99, 100, 102, 98, 100, 3]))
    assert found.value == pytest.approx(100, rel=0.01)
    assert 95 < found.low < found.value < found.high < 105
    assert found.n == 8
