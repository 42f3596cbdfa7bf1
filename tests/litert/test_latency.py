from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from optimizers.errors import NotApplicable
from optimizers.litert import latency, rounds, stopwatch, strain
from optimizers.litert.ratio import PRECISION, paired_ratio, trimmed_interval


class Machine:
    """A simulated machine: each process is off by a factor, runs are now and then longer, and time passes by itself.

    It changes between two speeds, as a machine does that others share; slow, the two files take 23% and 36% longer.
    """

    def __init__(
        self, seed: int, ratio: float, spread: float, *, disturbed: float = 0.0, drift: float = 0.0, slow: float = 0.5
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.ratio, self.spread, self.disturbed, self.drift = ratio, spread, disturbed, drift
        self.now, self.last, self.turns = 0.0, self.rng.normal(0, spread), list[bool]()
        self.share, self.slow = slow, self.rng.random() < slow

    def clock(self) -> float:
        return self.now

    def take(self, files: Sequence[int], *, seconds: float, backwards: bool, calm: float) -> list[np.ndarray]:
        self.now += 0.25
        self.turns.append(backwards)
        fresh = self.rng.normal(0, self.spread * np.sqrt(1 - self.drift**2))
        self.last = self.drift * self.last + fresh
        off = self.last + (self.rng.random() < self.disturbed) * abs(self.rng.normal(0, 8 * self.spread))
        slow = []
        for _ in range(100):
            if self.rng.random() < 0.02:
                self.slow = self.rng.random() < self.share
            slow.append(self.slow)
        one, other = 1 + self.rng.exponential(0.03, (2, 100))
        return [one * np.where(slow, 1.23, 1), other * np.where(slow, 1.36, 1) * self.ratio * np.exp(off)]


def times_covered(measurements: int, spread: float, **more: float) -> tuple[float, float]:
    """Shares of measurements whose interval holds the truth, and which became precise in ten seconds."""
    found = []
    for seed in range(measurements):
        machine = Machine(seed, 1.3, spread, **more)
        timing = latency.until_precise(machine.take, 10.0, machine.clock)[0]
        found.append((timing.ratio.low <= 1.3 <= timing.ratio.high, timing.precise))
    covered, precise = np.mean(found, axis=0)
    return float(covered), float(precise)


@pytest.mark.parametrize(("spread", "often"), [(0.003, 0.9), (0.01, 0.9), (0.02, 0.2)])
def test_stopping_early_leaves_the_interval_honest(spread: float, often: float) -> None:
    covered, precise = times_covered(150, spread)
    assert covered >= 0.94
    assert precise >= often


def test_disturbed_processes_and_a_drifting_machine_leave_the_interval_honest() -> None:
    assert times_covered(150, 0.01, disturbed=0.1)[0] >= 0.93
    assert times_covered(150, 0.01, drift=0.3)[0] >= 0.92


@pytest.mark.parametrize("slow", [0.0, 0.3, 0.7])
def test_a_machine_that_changes_its_speed_does_not_change_the_ratio(slow: float) -> None:
    covered, precise = times_covered(150, 0.005, slow=slow)
    assert covered >= 0.94
    assert precise >= 0.8


def test_timing_ends_when_the_ratio_is_known_and_not_before_the_first_look() -> None:
    quiet = Machine(0, 2.0, 0.001)
    found = latency.until_precise(quiet.take, 600.0, quiet.clock)[0]
    assert found.precise
    assert found.ratio.width < PRECISION
    assert len(quiet.turns) == latency.FIRST_LOOK
    assert quiet.turns[:4] == [False, True, False, True]
    assert found.times_ms.shape == found.baseline_times_ms.shape == found.instances.shape
    assert found.instances.max() == latency.FIRST_LOOK - 1


def test_timing_ends_when_time_is_up_and_says_that_it_is_not_precise() -> None:
    loud = Machine(0, 2.0, 0.5)
    found = latency.until_precise(loud.take, 5.0, loud.clock)[0]
    assert not found.precise
    assert loud.now == pytest.approx(5.0)
    hasty = Machine(0, 2.0, 0.5)
    assert latency.until_precise(hasty.take, 0.05, hasty.clock)[0].ratio.n == 4


def test_an_interval_is_the_one_of_a_trimmed_mean() -> None:
    from scipy.stats import mstats

    values = np.random.default_rng(1).standard_normal(40)
    values = (
        values[np.argsort(np.abs(values))][::-1] * np.tile([1, -1], 20) + 3
    )  # neighbours do not resemble each other
    centre, half = trimmed_interval(values)
    low, high = mstats.trimmed_mean_ci(values, (0.2, 0.2), alpha=0.02)
    apart = values - values.mean()
    assert centre == pytest.approx((low + high) / 2)
    if apart[1:] @ apart[:-1] < 0:
        assert half == pytest.approx((high - low) / 2, rel=0.02)


def test_one_disturbed_process_of_ten_does_not_count() -> None:
    instances = np.repeat(np.arange(10), 20)
    times = np.ones(200)
    baseline = np.where(instances == 3, 40.0, 2.0)
    found = paired_ratio(times, baseline, instances)
    assert found.value == pytest.approx(2.0)
    with pytest.raises(ValueError, match="needs 4 processes, got 3"):
        paired_ratio(times[:60], baseline[:60], instances[:60])


def test_real_files_are_timed_in_processes_of_their_own(files: dict[str, Path]) -> None:
    found = latency.time_in_turn([files["int8"]], files["float"], seconds=0.05)[0]
    assert set(found.instances) >= set(range(4))
    assert (found.times_ms > 0).all()
    assert (found.baseline_times_ms > 0).all()
    assert len(found.times_ms) == len(found.baseline_times_ms) == len(found.instances)


def test_letting_others_go_first_takes_nothing_from_the_time_of_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(stopwatch, "monotonic", lambda: now[0])
    watch = stopwatch.Stopwatch()

    def told(step: int) -> None:
        now[0] += 5.0
        if step > 1:
            raise NotApplicable("The run was cancelled.")

    tell = watch.stopped(told)
    now[0] += 1.0
    tell(1)
    now[0] += 2.0
    with pytest.raises(NotApplicable):
        tell(2)
    assert watch.seconds() == pytest.approx(3.0)


def test_recurrent_files_can_be_timed(files: dict[str, Path]) -> None:
    assert latency.time_in_turn([files["fused_lstm"]], files["loop_gru"], seconds=0.05)[0].ratio.value > 0


def test_a_turn_is_long_enough_for_the_caches_of_the_fastest_file(files: dict[str, Path]) -> None:
    """Run by run, each would find the other's weights in the caches; the slowest must not be waited for too long."""
    assert rounds.runs_in_a_row([1e5, 5e5]) == 50
    assert rounds.runs_in_a_row([1e6, 10e6]) == 5
    assert rounds.runs_in_a_row([20e6, 90e6]) == 1
    with rounds.Rounds([files["float"], files["int8"]]) as both:
        own, other = both.round(threads=1, batch=1, seconds=0.001, backwards=False)
    assert len(own) == len(other) > 2


def test_a_batch_takes_longer_than_one_example(files: dict[str, Path]) -> None:
    with rounds.Rounds([files["float"]]) as several:
        alone = several.round(threads=1, batch=1, seconds=0.02, backwards=False)[0]
        many = several.round(threads=1, batch=64, seconds=0.02, backwards=True)[0]
    assert np.median(many) > 2 * np.median(alone)


def test_memory_is_what_the_file_takes(files: dict[str, Path], tmp_path: Path) -> None:
    """Twenty megabytes behind the model are read into memory with it, and nothing else becomes more."""
    longer = tmp_path / "longer.tflite"
    longer.write_bytes(files["float"].read_bytes() + np.random.default_rng(0).bytes(20_000_000))
    with rounds.Rounds([files["float"], longer]) as several:
        own, other, again = (several.memory(number, threads=1) for number in (0, 1, 0))
    assert other.added - own.added == pytest.approx(20_000_000, abs=300_000)
    assert again.added == pytest.approx(own.added, abs=300_000)
    assert 0 < own.added < own.peak
    found = latency.time_in_turn([files["float"]], files["int8"], seconds=0.05)[0]
    assert [memory.added for memory in found.memory] == pytest.approx([own.added] * 6, abs=300_000)


def test_a_file_that_does_not_run_is_refused_and_the_next_round_goes_on(files: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(struct.pack("<I4s", 8, b"TFL3") + bytes(64))
    with rounds.Rounds([broken]) as several:
        for _ in range(2):
            with pytest.raises(NotApplicable, match="LiteRT"):
                several.round(threads=1, batch=1, seconds=0.01, backwards=False)


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
    drawn = rounds.in_range(np.random.default_rng(0), detail)
    assert drawn.dtype == dtype
    assert drawn.shape == (1, 1000)
    assert low <= drawn.min()
    assert drawn.max() <= high
    np.testing.assert_array_equal(drawn, rounds.in_range(np.random.default_rng(0), detail))


def test_copies_of_one_process_do_not_share_the_error_of_a_peak(files: dict[str, Path], tmp_path: Path) -> None:
    """The kernel counts pages in batches: six copies once agreed to 0.1% and were 4% off those of the next process."""
    longer = tmp_path / "longer.tflite"
    longer.write_bytes(files["float"].read_bytes() + bytes(5_000_000))
    with rounds.Rounds([longer]) as one:
        looks = {one.memory(0, threads=1).added for _ in range(12)}
    assert len(looks) > 2
    assert max(looks) - min(looks) < 1_000_000


class Shared(Machine):
    """A simulated machine whose cores others use for seconds: the probe sees it, and the second file takes 50% more."""

    def __init__(self, seed: int, share: float) -> None:
        super().__init__(seed, 2.0, 0.003, slow=0.0)
        self.disturbed_until, self.often = 0.0, share

    def take(self, files: Sequence[int], *, seconds: float, backwards: bool, calm: float) -> list[np.ndarray]:
        if self.now >= self.disturbed_until and self.rng.random() < 0.1:
            self.busy = self.rng.random() < self.often
            self.disturbed_until = self.now + self.rng.exponential(3.0)
        busy = self.now < self.disturbed_until and self.busy
        self.strain = (1.6 if busy else 1.0) * self.rng.uniform(0.98, 1.05)
        own, base = super().take(files, seconds=seconds, backwards=backwards, calm=calm)
        return [own, base * (1.5 if busy else 1.0)]


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_core_that_others_share_for_seconds_does_not_change_the_ratio(share: float) -> None:
    covered, told = [], []
    for seed in range(100):
        machine, calm = Shared(seed, share), strain.Calm()
        calm.learn(np.random.default_rng(seed).uniform(0.98, 1.05, 30).tolist())
        found = latency.until_precise(
            machine.take, 10.0, machine.clock, strain=lambda machine=machine: machine.strain, calm=calm
        )[0]
        told.append(found.disturbed)
        if found.disturbed < 1:
            covered.append(found.ratio.low <= 2.0 <= found.ratio.high)
        else:
            assert not found.precise
    assert np.mean(covered) >= 0.94
    assert len(covered) >= 90
    assert any(0 < one < 1 for one in told)


def test_a_machine_that_is_disturbed_all_the_time_is_told() -> None:
    machine, calm = Machine(0, 2.0, 0.003, slow=0.0), strain.Calm()
    calm.learn([1.0] * 30)
    found = latency.until_precise(machine.take, 5.0, machine.clock, strain=lambda: 1.6, calm=calm)[0]
    assert found.disturbed == 1
    assert not found.precise
    assert found.ratio.width < PRECISION
    assert machine.now == pytest.approx(10.0), "it is waited twice as long"


def test_a_turn_waits_for_an_undisturbed_moment_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = iter([1.6, 1.6, 1.0, 1.6])
    monkeypatch.setattr(rounds.strain, "measure", lambda: next(probes))
    rounds._until_calm(1.2)
    assert next(probes) == 1.6, "the turn begins with the first quiet probe"
    monkeypatch.setattr(rounds.strain, "measure", lambda: 1.6)
    rounds._until_calm(1.2)


def test_what_is_learned_of_a_machine_is_kept_and_the_latest_counts(tmp_path: Path) -> None:
    file = tmp_path / "machine" / "one.json"
    calm = strain.Calm(file)
    assert calm.limit() == float("inf")
    calm.learn([2.0] * 15 + [3.0] * 15)
    again = strain.Calm(file)
    assert 2.0 < again.limit() == calm.limit() < 2.5
    again.learn([5.0] * 2000)
    assert strain.Calm(file).limit() > 5.0
    for broken in ("", "{", '["a"]', "null", "[NaN, -3]"):
        file.write_text(broken, encoding="utf-8")
        assert strain.Calm(file).limit() == float("inf")


def test_probes_stand_in_a_plausible_range() -> None:
    assert all(0 < strain.measure() < 100 for _ in range(20))
