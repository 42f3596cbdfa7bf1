from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.forecast import (
    REFERENCE_SECONDS_PER_STEP,
    Forecast,
    StepForecast,
    Trained,
    speed,
    timed,
    training_steps,
)
from optimizers.recipe import Step, parse


def test_steps_follow_from_epochs_batches_and_the_least_number_of_steps() -> None:
    def steps(examples: int, **given: object) -> int:
        return training_steps(Step.of("magnitude_pruning", **given).params, examples)

    assert steps(3200, epochs=4, min_steps=0) == 400
    assert steps(3201, epochs=4, min_steps=0) == 404
    assert steps(32, epochs=4, min_steps=50) == 50
    assert training_steps(Step.of("int8").params, 100) == 0


def test_without_a_past_the_reference_machine_speaks() -> None:
    assert speed([]) == REFERENCE_SECONDS_PER_STEP


@given(st.floats(1e-3, 0.1), st.floats(1e-10, 1e-8))
def test_a_machine_is_known_by_its_past(fixed: float, each: float) -> None:
    steps = 1_000_000  # so many that the seconds beside training do not count
    past = [
        Trained(steps=steps, macs=macs, batch=32, seconds=6.0 + steps * (fixed + each * macs))
        for macs in (10_000, 3_000_000, 40_000_000)
    ]
    assert speed(past) == pytest.approx((fixed, each), rel=0.01, abs=1e-11)


def test_nothing_is_ever_faster_than_nothing() -> None:
    past = [
        Trained(steps=1000, macs=1_000_000, batch=32, seconds=60),
        Trained(steps=1000, macs=9_000_000, batch=32, seconds=20),
    ]
    assert min(speed(past)) >= 0


def test_every_round_of_training_takes_time() -> None:
    recipe = parse("magnitude_pruning+int8")

    def told(rounds: float) -> float:
        step = StepForecast(technique="magnitude_pruning", rounds=rounds, macs=1_000_000)
        forecast = Forecast(steps=(step,), size_bytes=1, compressed_bytes=1, parameters=1, macs=1)
        found = timed(forecast, recipe, 3000, [])
        assert len(found.step_seconds) == 2
        return sum(found.step_seconds)

    assert told(3) - told(1) == pytest.approx(2 * (told(1) - told(0)))
