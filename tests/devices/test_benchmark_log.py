"""Logs of benchmarks: as the tools print them, cut, mixed up and invented."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.devices import benchmark_log, imported
from optimizers.devices.benchmark_log import Benchmark, parse
from optimizers.errors import DataRefused, ParetoscopeError, UserError

# As TensorFlow Lite's benchmark_model prints on a phone and on a board, and through Android's log.
PHONE = """STARTING!
Log parameter values verbosely: [0]
Min num runs: [50]
Num threads: [4]
Graph: [/data/local/tmp/digits_cnn-int8.tflite]
Use gpu: [0]
#threads used for CPU inference: [4]
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
The input model file size (MB): 0.054688
Initialized session in 17.187ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=1 curr=3512391

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, Inference (avg): 2.95034e+06
Memory footprint delta from the start of the tool (MB): init=4.21094 overall=46.0859
Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
AllocateTensors	    0.000	    1.356	    1.356	100.000%	100.000%	     0.000	        1	AllocateTensors/0
"""
ANDROID = """08-12 10:11:12.130  4242  4242 I tflite  : Graph: [/data/local/tmp/a.tflite]
08-12 10:11:12.130  4242  4242 I tflite  : Use gpu: [1]
08-12 10:11:12.131  4242  4242 I tflite  : count=4 first=200000 curr=199000 min=190000 max=250000 avg=211669 std=9000
08-12 10:11:13.131  4242  4242 I tflite  : count=25 first=187533 curr=140990 min=140071 max=195121 avg=145528 \
std=13583 p5=140545 median=141253 p95=187533
08-12 10:11:13.132  4242  4242 I tflite  : Inference timings in us: Init: 92318, First inference: 187533, \
Warmup (avg): 211669, Inference (avg): 145528
"""
LITERT = """2026-11-25 03:48:22 INFO benchmark_litert_model: Model:           C:\\work\\digits_cnn-int8.tflite
2026-11-25 03:48:22 INFO benchmark_litert_model: Model size:      0.05 MB
2026-11-25 03:48:22 INFO benchmark_litert_model: Accelerators:    NPU | CPU
2026-11-25 03:48:22 INFO benchmark_litert_model: Num threads:     2
========================================
 BENCHMARK RESULTS
========================================
Model initialization:  1.24 ms
Warmup (avg):          9.04 ms (5 runs)
Inference (avg):       4.25 ms (500 runs)
Inference (min):       4.01 ms
Inference (median):    4.20 ms
Inference (std):       0.15 ms
Inference (p95):       4.62 ms
"""


def only(text: str) -> Benchmark:
    (found,) = parse(text.encode())
    return found


def test_benchmark_model_tells_runs_mean_and_spread_but_no_median():
    found = only(PHONE)
    assert (found.tool, found.count, found.threads, found.accelerator) == ("benchmark_model", 50, 4, "CPU")
    assert (found.mean_ms, found.std_ms, found.median_ms) == (2950.34, 109.798, None)
    assert found.file_size.low <= 54_688 <= found.file_size.high


def test_lines_of_androids_log_are_read_with_median_and_gpu():
    found = only(ANDROID)
    assert (found.count, found.mean_ms, found.median_ms, found.accelerator) == (25, 145.528, 141.253, "GPU")


def test_text_and_json_of_litert_benchmark_are_read_alike():
    found = only(LITERT)
    told = {"model": "digits_cnn-int8.tflite", "model_size_mb": 0.05, "accelerators": ["NPU", "CPU"], "num_threads": 2}
    latency = {"avg_ms": 4.25, "median_ms": 4.2, "std_ms": 0.15, "num_runs": 500, "p5_ms": 4.1}
    other = only(json.dumps({**told, "latency": latency}))
    assert found.model_copy(update={"model": other.model}) == other
    assert (found.tool, found.accelerator, found.count) == ("litert-benchmark", "NPU+CPU", 500)


def test_several_benchmarks_in_one_file_stay_apart():
    found = parse((PHONE + ANDROID + LITERT).encode())
    assert [b.mean_ms for b in found] == [2950.34, 145.528, 4.25]
    assert [b.threads for b in found] == [4, 0, 2]


def test_a_log_without_its_last_line_is_read_where_runs_and_warm_up_can_be_told_apart():
    lines = ANDROID.splitlines()
    assert only("\n".join(lines[:-1])).count == 25
    with pytest.raises(DataRefused, match="no finished benchmark"):
        parse("\n".join(lines[:3]).encode())


@pytest.mark.parametrize(
    "text",
    ["", "hello", "{}", "[]", "[1]", "{", "[" * 100_000, "count=5 avg=1", '{"latency": {"avg_ms": NaN, "num_runs": 1}}',
     LITERT.replace("4.25 ms", "0.00 ms"), PHONE.replace("2.95034e+06", "0"), "Inference (avg): 1 ms",
     '{"latency": {"avg_ms": -1, "num_runs": 1}}', '{"latency": {"avg_ms": 1e300, "num_runs": 0}}'],
)  # fmt: skip
def test_what_is_no_benchmark_is_refused_in_words(text):
    with pytest.raises(DataRefused):
        parse(text.encode())


def test_a_file_that_is_too_large_is_refused():
    with pytest.raises(DataRefused, match="5 MB"):
        parse(b"x" * (benchmark_log.MOST_BYTES + 1))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_nothing_but_a_refusal_comes_out_of_noise(content):
    try:
        found = parse(content)
    except ParetoscopeError:
        return
    assert all(math.isfinite(b.mean_ms) and b.mean_ms > 0 for b in found)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from((PHONE + ANDROID + LITERT).splitlines()), max_size=40))
def test_lines_in_any_order_give_possible_benchmarks_or_a_refusal(lines):
    try:
        found = parse("\n".join(lines).encode())
    except ParetoscopeError:
        return
    assert all(b.mean_ms in (2950.34, 145.528, 4.25, 211.669, 3512.391) for b in found)


@settings(max_examples=100, deadline=None)
@given(count=st.integers(2, 10_000), mean=st.floats(1, 1e8), spread=st.floats(0, 1))
def test_what_benchmark_model_would_print_is_read_back(count, mean, spread):
    printed, std = f"{mean:g}", int(mean * spread)
    stats = f"count=1 curr=7\ncount={count} first=1 curr=2 min=1 max=3 avg={printed} std={std}\n"
    summary = f"Inference timings in us: Init: 1, First inference: 7, Warmup (avg): 7, Inference (avg): {printed}\n"
    found = only(stats + summary)
    assert (found.count, found.mean_ms, found.std_ms) == (count, float(printed) / 1e3, std / 1e3)


def test_the_mean_has_students_interval_and_the_median_none():
    mean, median = imported.measurements(only(ANDROID), "a" * 64, "Pixel 8")
    assert (mean.metric, mean.n, mean.source) == ("latency_mean_ms", 25, "import")
    assert mean.device == "Pixel 8 · benchmark_model, GPU"
    assert mean.high - mean.value == pytest.approx(2.0639 * 13.583 / 5, rel=1e-3)
    assert (median.metric, median.value, median.low, median.high) == ("latency_ms", 141.253, None, None)


def test_digits_that_were_rounded_away_widen_the_interval():
    coarse = only(LITERT.replace("4.25 ms", "0.01 ms").replace("4.20 ms", "0.01 ms").replace("0.15 ms", "0.00 ms"))
    mean, _ = imported.measurements(coarse, "a" * 64, "x")
    assert mean.low <= 0.005
    assert mean.high >= 0.015


def test_a_file_is_recognised_by_its_size_or_its_name():
    files = {"a": ("digits_cnn-int8.tflite", 54_688), "b": ("digits_cnn-float32.tflite", 190_000)}
    assert imported.recognised(only(PHONE), files) == "a"
    assert imported.recognised(only(PHONE.replace("0.054688", "0.19")), files) == "b"
    assert imported.recognised(only(ANDROID), files) is None
    named = only(ANDROID.replace("a.tflite", "digits_cnn-float32 (1).tflite"))
    assert imported.recognised(named, files) == "b"
    alike = {"a": ("digits_cnn-int8.tflite", 54_688), "b": ("other.tflite", 54_000)}
    assert imported.recognised(only(LITERT), alike) == "a"


def test_a_device_needs_a_name():
    with pytest.raises(UserError, match="name"):
        imported.measurements(only(PHONE), "a" * 64, " \n\u202e ")


def test_what_litert_benchmark_really_writes_is_read(tmp_path, float_file):
    words = ["--model", str(float_file), "--num_runs", "60", "--result_json", str(tmp_path / "r.json")]
    command = [sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("litert-benchmark does not run here")
    texts = (done.stderr + done.stdout, (tmp_path / "r.json").read_text())
    for text in texts:
        try:
            found = only(text)
        except DataRefused:
            assert "Inference (avg):       0.00 ms" in done.stdout  # faster than the tool can tell
            continue
        assert (found.count, found.threads) == (60, 1)
        assert found.file_size.low <= float_file.stat().st_size <= found.file_size.high
