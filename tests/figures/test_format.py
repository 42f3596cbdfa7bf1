"""Numbers are written in one way everywhere."""

from __future__ import annotations

import pytest

from optimizers.figures import format as fmt
from optimizers.registry import metric

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.00 KB"),
        (55_012, "55.0 KB"),
        (999_900, "1000 KB"),
        (4.3e6, "4.30 MB"),
    ],
)
def test_sizes(value, text):
    assert fmt.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0798, "79.8 µs"), (1.5, "1.50 ms"), (2500, "2.50 s"), (0.0005, "0.500 µs")]
)
def test_times(value, text):
    assert fmt.milliseconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(4.21, "4.2 s"), (42.4, "42 s"), (185, "3 min 5 s"), (4800, "1 h 20 min")])
def test_elapsed(value, text):
    assert fmt.elapsed(value) == text


def test_values_carry_their_unit_and_absence_is_told():
    assert fmt.value(metric("accuracy"), 0.9951) == "99.5%"
    assert fmt.value(metric("speedup"), 0.99996) == "1.00x"
    assert fmt.value(metric("size_bytes"), NAN) == "not measured"
    assert fmt.value(metric("latency_ms"), None) == "not measured"


@pytest.mark.parametrize(
    ("name", "difference", "speedup", "text"),
    [
        ("size_bytes", -0.75, None, "4.0x smaller"),
        ("size_bytes", 0.5, None, "1.5x larger"),
        ("size_bytes", 0.001, None, "same"),
        ("latency_ms", -0.5, (1.9, 2.1), "2.0x faster"),
        ("latency_ms", 11.0, (0.08, 0.09), "12.0x slower"),
        ("latency_ms", -0.02, (0.99, 1.05), "indistinguishable from the baseline"),
        ("accuracy", -0.003, None, "−0.3 points"),
        ("accuracy", 0.0001, None, "±0.0 points"),
        ("mae", 0.25, None, "+0.250 target units"),
        ("mae", -0.00012, None, "−0.000120 target units"),
        ("speedup", 1.0, None, ""),
        ("accuracy", NAN, None, ""),
        ("accuracy", None, None, ""),
    ],
)
def test_differences_to_the_baseline(name, difference, speedup, text):
    assert fmt.change(metric(name), difference, speedup) == text


@pytest.mark.parametrize(
    ("name", "low", "high", "text"),
    [
        ("accuracy", -0.0044, 0.0016, "−0.4 to +0.2"),
        ("auc", -0.000848, 0.000113, "−0.00085 to +0.00011"),
        ("mae", 0.0, 0.0, "±0 to ±0"),
        ("mae", -12.34, 5.6, "−12 to +6"),
        ("mae", None, 1.0, ""),
        ("mae", NAN, 1.0, ""),
    ],
)
def test_intervals_of_differences_have_as_many_decimals_on_both_sides(name, low, high, text):
    assert fmt.change_interval(metric(name), low, high) == text


def test_an_axis_uses_the_largest_unit_that_its_largest_value_fills():
    assert fmt.scale(metric("size_bytes"), [500.0, 60_000.0]).unit == "KB"
    assert fmt.scale(metric("latency_ms"), [0.2, NAN]).unit == "µs"
    assert fmt.scale(metric("accuracy"), []).unit == "%"
    assert fmt.scale(metric("size_bytes"), [None]).unit == "bytes"


def test_an_exact_value_has_no_interval():
    assert fmt.interval(metric("size_bytes"), NAN, NAN) == ""
    assert fmt.interval(metric("accuracy"), 0.95, 0.97) == "95.0% to 97.0%"


@pytest.mark.parametrize(
    ("ratio", "low", "high", "text"),
    [
        (2.5, 2.4, 2.6, "2.50x faster"),
        (0.8, 0.79, 0.81, "1.25x slower"),
        (1.02, 0.99, 1.05, "indistinguishable from the baseline"),
        (1.02, 1.0, 1.05, "indistinguishable from the baseline"),
        (1.02, None, None, "1.02x faster"),
    ],
)
def test_speed_in_words(ratio, low, high, text):
    assert fmt.speed(ratio, low, high) == text


def test_how_well_a_speed_up_is_known():
    assert fmt.precision(2.0, 1.98, 2.02) == "speed-up known to ±1.0%"
    assert fmt.precision(2.0, 1.9, 2.1) == "speed-up known to ±5.0% only: time was up before ±1.5%"
    assert fmt.precision(2.0, None, None) == fmt.precision(2.0, NAN, NAN) == ""


def test_an_end_of_an_interval_that_is_not_zero_does_not_look_like_it():
    assert fmt.change_interval(metric("r2"), -0.017, -0.00041) == "−0.0170 to −0.0004"
    assert fmt.change_interval(metric("r2"), -0.017, 0.0) == "−0.017 to ±0.000"
    assert fmt.change_interval(metric("accuracy"), -0.004, 0.0002) == "−0.40 to +0.02"


def test_the_spread_of_a_percentage_is_in_points():
    assert fmt.spread(metric("accuracy"), 0.00125) == "0.12 points"
    assert fmt.spread(metric("size_bytes"), 2048) == "2.05 KB"


def test_a_figure_just_below_one_does_not_read_as_perfect():
    assert fmt.value(metric("r2"), 0.99976) == "0.9998"
    assert fmt.value(metric("accuracy"), 0.99976) == "99.98%"
    assert fmt.value(metric("accuracy"), 1.0) == "100.0%"
