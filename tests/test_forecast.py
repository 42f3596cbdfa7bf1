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
    assert speed([])[1:] == pytest.approx(REFERENCE_SECONDS_PER_STEP)


@pytest.mark.parametrize(
    ("beside", "fixed", "steps"),
    [(1.0, 5e-3, (300, 300, 300)), (9.0, 1e-2, (17, 17, 35)), (9.0, 1e-2, (17, 300, 2000))],
)
def test_short_trainings_do_not_mislead_about_long_ones(beside: float, fixed: float, steps: tuple[int, ...]) -> None:
    past = [Trained(steps=n, macs=50_000, batch=32, seconds=beside + n * fixed) for n in steps]
    found = speed(past)
    for wanted in (300, 2000, 4000):
        told = found[0] + wanted * (found[1] + found[2] * 50_000)
        assert 0.5 < told / (beside + wanted * fixed) < 2


@given(st.floats(1e-3, 0.1), st.floats(1e-10, 1e-8))
def test_a_machine_is_known_by_its_past(fixed: float, each: float) -> None:
    steps = 1_000_000  # so many that the seconds beside training do not count
    past = [
        Trained(steps=steps, macs=macs, batch=32, seconds=6.0 + steps * (fixed + each * macs))
        for macs in (10_000, 3_000_000, 40_000_000)
    ]
    _, found_fixed, found_each = speed(past)
    for training in past:
        told = found_fixed + found_each * training.macs
        assert told == pytest.approx(fixed + each * training.macs, rel=0.2)


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
