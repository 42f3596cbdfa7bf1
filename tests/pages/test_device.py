"""The page This device, as far as it goes without a browser."""

from __future__ import annotations

import pytest

from optimizers.devices import browser, imported
from optimizers.devices.benchmark_log import Benchmark
from tests.pages.conftest import healthy, shown
from tests.pages.test_pages import OTHER, TOKEN, ran

LOG = b"""Graph: [/data/local/tmp/digits_cnn-int8.tflite]
count=1 curr=9000
count=50 first=8000 curr=8000 min=7000 max=9000 avg=8000 std=100
Inference timings in us: Init: 1, First inference: 8000, Warmup (avg): 9000, Inference (avg): 8000
"""


def timed(queue, run_id, name, accelerator="wasm"):
    """What the visitor's browser would have sent."""
    run = queue.history.run(run_id)
    entry = {"digest": run.artifact_digest, "accelerator": accelerator, "times": [2.0] * 50, "repeat": 30,
             "baseline_times": [6.0] * 50, "instances": [i // 10 for i in range(50)], "baseline_repeat": 10,
             "max_difference": 0.0, "largest": 1.0}  # fmt: skip
    agent = "Mozilla/5.0 (Linux; Android 15) Chrome/142.0.0.0 Mobile Safari/537.36"
    report = browser.read({"user_agent": agent, "litertjs": "2.5.3", "tick_ms": 0.1, "timed": [entry]})
    return browser.store(report, name, [run], queue.history)


@pytest.fixture
def run_id(queue):
    return ran(queue, "int8")[0]


def test_without_a_finished_run_the_page_says_what_to_do(visit):
    assert "no finished file to time" in shown(healthy(visit("device")))


def test_the_page_offers_the_files_of_the_address_to_whoever_has_it(visit, run_id):
    app = healthy(visit("device", token=OTHER, runs=run_id))
    assert app.multiselect[0].value
    assert [box.label for box in app.text_input][:1] == ["Name of this device"]


def test_times_of_a_phone_are_shown_as_measured_in_a_browser_to_whoever_has_the_link(visit, queue, run_id):
    timed(queue, run_id, "Anna's phone")
    app = healthy(visit("device", token=OTHER, runs=run_id, device="Anna's phone · Chrome 142 on Android, WebAssembly"))
    assert "measured in a browser" in shown(app)
    assert "3.0x faster" in shown(app)


def test_compare_lets_one_choose_the_device_and_starts_with_this_machine(visit, queue, run_id):
    timed(queue, run_id, "Anna's phone")
    app = healthy(visit("compare", token=TOKEN, runs=run_id))
    box = app.selectbox(key="timed_on")
    assert len(box.options) == 2
    assert "500" in shown(app)  # µs, what the stand-in for this machine measured
    box.set_value(next(name for name in (m.device for m in timed(queue, run_id, "Anna's phone"))))
    app.run()
    assert "3.0x faster" in shown(healthy(app))
    assert "Anna" in str(app.query_params["device"])


def test_an_address_that_names_an_unknown_device_shows_this_machine(visit, queue, run_id):
    timed(queue, run_id, "Anna's phone")
    app = healthy(visit("compare", token=TOKEN, runs=run_id, device="nobody's"))
    assert "device" not in app.query_params
    assert "500" in shown(app)


def test_one_device_leaves_no_choice(visit, run_id):
    app = healthy(visit("compare", token=TOKEN, runs=run_id))
    assert "timed_on" not in [box.key for box in app.selectbox]


def test_a_log_is_recognised_named_and_joins_the_charts(visit, run_id):
    app = healthy(visit("device", token=TOKEN, runs=run_id))
    app.file_uploader[0].upload("phone.txt", LOG, "text/plain").run() if hasattr(app, "file_uploader") else pytest.skip(
        "this Streamlit cannot upload in tests"
    )
    box = next(box for box in healthy(app).selectbox if box.label == "This is the file")
    assert box.value is not None
    app.text_input(key="imported_name").set_value("Pixel 8").run()
    app.button(key="keep_import").click().run()
    assert "Pixel 8" in shown(healthy(app))
    assert "imported from a log" in shown(app)


def test_names_and_logs_of_others_are_shown_as_text(visit, queue, run_id):
    run = queue.history.run(run_id)
    benchmark = Benchmark(tool="benchmark_model", count=5, mean_ms=1.0, std_ms=0.1)
    (kept,) = imported.store(benchmark, run.artifact_digest, "**bold** <b>x</b> [a](http://x)", [run], queue.history)
    app = healthy(visit("device", token=TOKEN, runs=run_id, device=kept.device))
    assert "**bold**" not in "".join(c.value for c in app.caption)
