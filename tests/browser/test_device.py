"""Files are really timed by LiteRT.js in Chromium, with nothing from elsewhere, and the times join the charts."""

from __future__ import annotations

import re

import pytest

from tests.browser.actions import settled
from tests.browser.conftest import ROOT

pytestmark = pytest.mark.browser
MEASURING_MS = 240_000

# What a browser without relaxed SIMD, such as Safari, answers to the question whether it has it.
NO_RELAXED_SIMD = """
const real = WebAssembly.instantiate;
WebAssembly.instantiate = (code, imports) =>
    code.byteLength < 1000 ? Promise.reject(new WebAssembly.CompileError("invalid")) : real(code, imports);
"""
LOG = """Graph: [/data/local/tmp/digits_cnn-int8.tflite]
count=50 first=8000 curr=8000 min=7000 max=9000 avg=8000 std=100
Inference timings in us: Init: 1, First inference: 8000, Warmup (avg): 9000, Inference (avg): 8000
"""


def measure(page, name):
    """Times what is chosen, as quickly as can be, under a name."""
    page.get_by_label("Name of this device").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="How long").click()
    page.get_by_role("option", name=re.compile("Quick")).click()
    settled(page)
    page.get_by_role("button", name=re.compile("Measure 1 file")).click()
    page.get_by_text("The times were kept").wait_for(timeout=MEASURING_MS)
    settled(page)


@pytest.mark.parametrize(
    ("features", "told"),
    [
        pytest.param("", "relaxed SIMD", id="relaxed"),
        pytest.param(NO_RELAXED_SIMD, "WebAssembly with SIMD", id="plain", marks=pytest.mark.slow),
    ],
)
def test_files_are_timed_and_the_times_shown_on_compare(visitor, finished, features, told):
    page = visitor(init=features)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page.url + f"device?{finished}")
    page.get_by_text(told).wait_for()
    settled(page)
    measure(page, f"Tester {told}")
    build = "litert_wasm_compat_internal.wasm.gz" if features else "litert_wasm_internal.wasm.gz"
    assert {url.rpartition("/")[2] for url in asked if url.endswith(".wasm.gz")} == {build}
    page.get_by_text("For the same example the answers are those of this app").wait_for()
    table = page.locator("table").first.inner_text()
    assert len(re.findall(r"[\d.]+\s(?:µs|ms)", table)) >= 4
    address = page.url
    page.goto(address.replace("/device?", "/compare?"))
    settled(page)
    shown = page.get_by_role("combobox", name="Times of")
    assert f"Tester {told} · Chrome" in (shown.input_value() or shown.inner_text())


def test_where_nothing_can_run_the_page_says_so(visitor, finished):
    page = visitor(f"/device?{finished}", init="delete window.WebAssembly;")
    page.get_by_text("nothing can be timed here").wait_for()
    assert page.get_by_role("button", name=re.compile("Measure")).is_disabled()


def test_a_measurement_can_be_stopped_and_keeps_nothing(visitor, finished):
    page = visitor(f"/device?{finished}")
    page.get_by_text("This browser: WebAssembly").wait_for()
    settled(page)
    page.get_by_role("button", name=re.compile("Measure 1 file")).click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped; nothing was kept").wait_for()
    assert page.get_by_role("button", name=re.compile("Measure 1 file")).is_enabled()


def test_a_log_from_a_phone_joins_the_charts(visitor, finished):
    page = visitor(f"/device?{finished}")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "phone.txt", "mimeType": "text/plain", "buffer": LOG.encode()})
    page.get_by_label("Name of that device").fill("Pixel 8")
    page.keyboard.press("Enter")
    settled(page)
    page.get_by_role("button", name="Add to the charts").click()
    page.wait_for_url(re.compile("device=Pixel"))
    page.get_by_role("table").get_by_text("8.00 ms").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)])
def test_nothing_is_wider_than_the_window(visitor, finished, width, scheme):
    page = visitor(f"/device?{finished}", viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.get_by_text("This browser: WebAssembly").wait_for()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width


def test_every_file_of_the_runtime_is_the_one_in_the_manifest():
    import hashlib

    folder = ROOT / "static/litertjs"
    lines = (folder / "MANIFEST").read_text(encoding="utf-8").splitlines()
    told = dict(reversed(line.split()) for line in lines if re.match("[0-9a-f]{64} ", line))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert {name: digest for name, digest in found.items() if name != "MANIFEST"} == told
