"""What a browser may send, what becomes of it, and who sees it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.devices import browser, measuring, names
from optimizers.engine.versions import device as this_machine
from optimizers.errors import UserError
from optimizers.history.devices import devices
from optimizers.history.frames import comparison, measurements_of
from optimizers.records import Measurement

PHONE = (
    "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
)


def report(**changes):
    rng = np.random.default_rng(0)
    timed = {
        "digest": "b" * 64, "accelerator": "wasm", "times": list(2.0 + rng.exponential(0.05, 200)),
        "baseline_times": list(6.0 + rng.exponential(0.05, 200)), "instances": [i // 50 for i in range(200)],
        "repeat": 1, "max_difference": 0.001, "largest": 1.0,
    }  # fmt: skip
    whole = {"user_agent": PHONE, "litertjs": "2.5.3", "tick_ms": 0.1, "timed": [timed | changes], "problems": []}
    return browser.read(whole)


def test_times_become_measurements_by_the_usual_metrics(history, run):
    browser.store(report(), "Anna's phone", [run], history)
    frame = comparison(history, [run.id], "Anna's phone · Chrome 142 on Android, WebAssembly")
    baseline, variant = frame.iloc[0], frame.iloc[1]
    assert variant["speedup"] == pytest.approx(3.0, rel=0.02)
    assert variant["speedup_low"] < 3.0 < variant["speedup_high"]
    assert variant["speed"] == "faster"
    assert variant["latency_ms_change"] == pytest.approx(1 / variant["speedup"] - 1)
    assert (baseline["latency_ms"], variant["latency_ms_n"]) == (pytest.approx(6.0, rel=0.02), 200)
    assert set(frame["source"]) == {"browser"}


def test_means_of_several_predictions_tell_no_tail(history, run):
    known = {m.metric for m in browser.store(report(repeat=40, baseline_repeat=9), "x", [run], history)}
    assert "latency_ms" in known
    assert not any(name.startswith("latency_p") for name in known)
    assert any(m.metric == "latency_p90_ms" for m in browser.store(report(), "y", [run], history))


def test_a_new_measurement_leaves_nothing_of_the_old_one(history, run):
    (device,) = {m.device for m in browser.store(report(), "x", [run], history)}
    assert "latency_p90_ms" in measurements_of(history, run, device)
    browser.store(report(repeat=40, baseline_repeat=20), "x", [run], history)
    assert "latency_p90_ms" not in measurements_of(history, run, device)


def test_this_machine_is_shown_unless_another_device_is_chosen(history, run):
    own = Measurement(artifact_digest="b" * 64, metric="latency_ms", version="3", value=0.5, unit="ms", n=100,
                      device=this_machine(), threads=1)  # fmt: skip
    history.record([own])
    browser.store(report(), "Anna's phone", [run], history)
    assert measurements_of(history, run)["latency_ms"].value == 0.5
    assert comparison(history, [run.id])["latency_ms"].tolist()[1:] == [0.5]
    assert [(d.source, d.files) for d in devices(history, [run.id])] == [("host", 1), ("browser", 2)]


def test_only_whoever_knows_the_run_sees_what_its_devices_measured(history, run):
    other = run.model_copy(update={"id": "r2"})
    history.add([other])
    browser.store(report(), "Anna's phone", [run], history)
    assert measurements_of(history, run)
    assert not measurements_of(history, other)
    assert devices(history, ["r2"]) == []


@pytest.mark.parametrize(
    "changes",
    [{"times": []}, {"times": [0.0] * 200}, {"times": [-1.0] * 200}, {"times": [float("nan")] * 200},
     {"times": [float("inf")] * 200}, {"times": [1.0] * 2001}, {"times": ["x"] * 200}, {"repeat": 0},
     {"baseline_times": [6.0] * 20}, {"instances": [0] * 199}, {"instances": [-1] * 200}, {"instances": [0.5] * 200},
     {"digest": "../../etc/passwd"}, {"accelerator": "cpu"}, {"max_difference": float("nan")}, {"more": 1}],
)  # fmt: skip
def test_timings_that_cannot_be_are_refused(changes):
    with pytest.raises(UserError, match="make no sense"):
        report(**changes)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_whatever_is_sent_is_a_report_or_refused(sent):
    with pytest.raises(UserError):
        browser.read(sent)


def test_timings_of_files_that_were_not_offered_are_refused(history, run):
    with pytest.raises(UserError, match="not in this comparison"):
        browser.store(report(digest="c" * 64), "x", [run], history)


def test_the_interval_holds_how_workers_differ(history, run):
    """Each worker by itself is far more certain than they are together."""
    factors = np.repeat([1.0, 1.1, 0.9, 1.05], 50)
    browser.store(report(times=list(2.0 * factors), baseline_times=[6.0] * 200), "x", [run], history)
    found = measurements_of(history, run)
    assert found["speedup"].low < 6 / 2.2
    assert found["speedup"].high > 6 / 1.9
    assert found["latency_ms"].low <= 1.9
    assert found["latency_ms"].high >= 2.1


def test_a_run_keeps_a_limited_number_of_devices(history, run):
    for number in range(measuring.MOST_DEVICES):
        browser.store(report(), f"device {number}", [run], history)
    browser.store(report(), "device 0", [run], history)
    with pytest.raises(UserError, match="20 other devices"):
        browser.store(report(), "one more", [run], history)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_a_devices_name_is_one_short_printable_line(text):
    try:
        name = names.device_name(text)
    except UserError:
        return
    assert 0 < len(name) <= 60
    assert name.isprintable()
    assert "·" not in name
    assert name == names.device_name(name)


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        (PHONE, "Chrome 142 on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 "
         "Mobile/15E148 Safari/604.1", "Safari 18 on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox 145 on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
         "Safari/537.36 Edg/142.0.0.0", "Edge 142 on Windows"),
        ("<script>", "a browser"),
    ],
)  # fmt: skip
def test_browsers_are_told_in_short(agent, told):
    assert names.browser(agent) == told
