"""What the app is for, done in a browser: choose, toggle, run, compare, download, and use the file."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from tests.browser.actions import points, settled
from tests.browser.conftest import ROOT

pytestmark = pytest.mark.browser
SAMPLE = "?model=sample:digits_cnn&data=sample:optdigits"


def test_the_whole_job(visitor, compared, tmp_path):
    address, state = compared
    page = visitor(address, state)
    assert len(points(page)) == 4
    assert any("magnitude_pruning" in name and "int8" in name for name in points(page))
    chosen, button = (
        page.get_by_role("combobox", name="Variant"),
        page.get_by_role("button", name=re.compile("Download .tflite")),
    )
    if chosen.input_value() != "int8":
        before = re.escape(button.inner_text())
        chosen.click()
        page.get_by_role("option", name="int8", exact=True).click()
        button.filter(has_not_text=re.compile(before)).wait_for()  # its size is another once it belongs to this file
    settled(page)
    with page.expect_download() as download:
        button.click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "digits_cnn-int8.tflite"
    assert runs_in_litert(file).shape == (1, 10)


def runs_in_litert(file) -> np.ndarray:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_path=str(file))
    interpreter.allocate_tensors()
    given, told = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(told["index"])


@pytest.mark.slow  # the story of Compare clicks on points as well
def test_a_click_on_a_point_shows_its_file(visitor, compared):
    page = visitor(compared[0], viewport={"width": 1280, "height": 900})
    points(page)
    chosen = page.get_by_role("combobox", name="Variant")
    before = chosen.input_value()
    marks = page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace .points path")
    names = set()
    for number in range(4):
        box = marks.nth(number).bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        settled(page)
        names.add(chosen.input_value())
    assert len(names | {before}) > 2


def test_the_link_opens_the_same_comparison_elsewhere(visitor, compared):
    address, state = compared
    mine, elsewhere = visitor(address, state), visitor(address)
    assert points(elsewhere) == points(mine)
    assert "runs=" in elsewhere.url


def test_reloading_keeps_my_runs_and_nobody_else_has_them(visitor, compared):
    mine = visitor("/runs", compared[1])
    mine.get_by_text("3 of 3 finished").wait_for()
    mine.reload()
    settled(mine)
    mine.get_by_text("3 of 3 finished").wait_for()
    visitor("/runs").get_by_text("Nothing has been run in this browser yet").wait_for()


def test_two_browsers_do_not_see_each_others_uploads(visitor):
    arrays = io.BytesIO()
    np.savez(arrays, x=np.zeros((40, 8, 8, 1), np.float32), y=np.arange(40) % 10)
    model = (ROOT / "sample_models/models/digits_cnn.keras").read_bytes()
    expect = pytest.importorskip("playwright.sync_api").expect
    mine, other = visitor("/model"), visitor("/model")
    for page in (mine, other):
        page.get_by_text("Your own model", exact=True).click()
        settled(page)
    for name, content in (("mine.keras", model), ("mine.npz", arrays.getvalue())):
        chooser = mine.locator("input[type=file]").nth(0 if name.endswith("keras") else 1)
        chooser.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})
        box = mine.get_by_role("combobox", name="Model" if name.endswith("keras") else "Data", exact=True)
        expect(box).to_have_value(re.compile(re.escape(name)), timeout=60_000)
        settled(mine)
    assert "model=upload" in mine.url
    address = mine.url
    other.reload()
    settled(other)
    assert other.get_by_text("mine.keras").count() == 0
    other.goto(address)
    other.get_by_text("This file was uploaded in another browser").wait_for()
    mine.reload()
    mine.get_by_text("45,546").first.wait_for()


def test_the_app_forgets_nothing_when_it_is_restarted(visitor, compared, server):
    address, state = compared
    first = visitor(address, state)
    before = points(first)
    first.context.close()
    server.stop()
    server.start()
    page = visitor(address, state)
    assert points(page) == before
    page.goto(server.url + "/runs")
    page.get_by_text("3 of 3 finished").wait_for()


WINDOWS = (1280, "light"), (390, "dark"), (1280, "dark"), (390, "light")


def pages(comparison, search):
    """Addresses of all pages, filled; Compare with limits and with files side by side."""
    query = comparison.partition("?")[2]
    first, second, *_ = query.removeprefix("runs=").replace("%2C", ",").split(",")
    beside = f"&file={first}&beside={second}&limits=size<=60KB"
    own = [f"/{page}?{query}" for page in ("runs", "inspect", "device", "deploy", "report")]
    chosen = [f"/{page}{SAMPLE}" for page in ("model", "optimize", "search")]
    return ["/", *chosen, f"/search?{search}", f"/compare?{query}{beside}", *own]


def views(page, path):
    """What a page shows one after the other, by name; drawn while this goes on."""
    name = path.partition("?")[0]
    yield name
    if name == "/compare":
        page.get_by_role("heading", name="Side by side").wait_for()
        for view in ("3-D", "Parallel", "Bars"):
            page.get_by_text(view, exact=True).click()
            settled(page)
            yield f"{name} {view}"


NOT_OURS = (".token", ".stCode pre")
"""Parts of Streamlit whose colours and keyboard use are not ours: highlighted code, and where it scrolls."""


OF_LOOKS = ("color-contrast", "target-size", "scrollable-region-focusable")
"""Rules that another window or other colours may break; the rest of a page is the same in all."""


def width_of(page, most):
    """Width of a page once its charts have taken their place, which they do a moment after it."""
    for _ in range(20):
        page.wait_for_timeout(500)
        wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        if wide <= most:
            break
    return wide


def barriers(page, name, width, rules=()):
    """What is wrong with a page in a window of some width; by all of axe's rules or by some."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    wide = width_of(page, width)
    if wide > width:
        yield name, f"{wide} pixels wide", []
    told = axe.run(page, context={"exclude": [[part] for part in NOT_OURS]}, options=options).response["violations"]
    for barrier in told:
        if barrier["impact"] in ("serious", "critical"):
            yield name, barrier["id"], [node["html"][:200] for node in barrier["nodes"][:3]]


def test_pages_fit_any_window_and_have_no_serious_barriers(visitor, compared, searched):
    """Wide in light, then narrow in dark, as when a phone is turned or the evening comes."""
    found = []
    for path in pages(compared[0], searched):
        page = visitor(path, compared[1], viewport={"width": 1280, "height": 844}, color_scheme="light")
        for name in views(page, path):
            for (width, scheme), rules in zip(WINDOWS[:2], ((), OF_LOOKS), strict=True):
                page.set_viewport_size({"width": width, "height": 844})
                page.emulate_media(color_scheme=scheme)
                settled(page)
                found += barriers(page, f"{name} {scheme}", width, rules)
        page.context.close()
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_pages_opened_in_a_window_fit_and_have_no_serious_barriers(visitor, compared, searched, width, scheme):
    found = []
    for path in pages(compared[0], searched):
        page = visitor(path, compared[1], viewport={"width": width, "height": 844}, color_scheme=scheme)
        for name in views(page, path):
            found += barriers(page, name, width)
        page.context.close()
    assert found == []
