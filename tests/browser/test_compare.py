"""The page Compare in a browser: limits dim and name the best, chart and table select the same files, side by side."""

from __future__ import annotations

import pytest

from tests.browser.actions import settled

pytestmark = pytest.mark.browser

OPACITY = """
() => {
    const plot = document.querySelector(".js-plotly-plot");
    const files = (plot?.data ?? []).filter(trace => trace.customdata);
    return files.length ? files.map(trace => trace.opacity ?? 1) : null;
}
"""

TWO_RINGS = """
() => document.querySelector(".js-plotly-plot").data.filter(t => t.marker?.symbol === "circle-open").length === 2
"""


def opacities(page):
    """How faint the files are in the first chart, once it is drawn."""
    return sorted(page.wait_for_function(OPACITY).json_value())


def arrives(page, words):
    """Whether the address holds something within a while; a machine that runs other tests may need seconds."""
    for _ in range(150):
        if words in page.url:
            settled(page)
            return True
        page.wait_for_timeout(100)
    return False


def test_limits_chart_and_table_work_together_and_the_address_brings_it_all_back(visitor, finished):
    page = visitor(f"/compare?{finished}", viewport={"width": 1280, "height": 1600})
    assert opacities(page) == [1, 1]
    page.get_by_role("textbox", name="Limits").fill("at most 100 KB, at most 5 points worse")
    page.keyboard.press("Enter")
    settled(page)
    page.get_by_text("is the best that keeps all limits").wait_for()
    page.wait_for_function("() => document.querySelector('.js-plotly-plot').data.some(t => t.opacity < 0.5)")
    assert opacities(page) == [0.18, 1]

    variant = page.get_by_role("combobox", name="Variant")
    assert variant.input_value() == "int8"
    marks = page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace .points path")
    for number in [*range(marks.count())] * 3:  # the chart selects in the list and in the table; it may be drawn anew
        box = marks.nth(number).bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        if arrives(page, "file=baseline"):
            break
    page.wait_for_function("list => list.value === 'baseline'", arg=variant.element_handle())  # it follows the address
    assert "file=baseline" in page.url

    table = page.get_by_test_id("stDataFrame").first  # the table selects in the chart: its second row is int8
    table.scroll_into_view_if_needed()
    corner = table.bounding_box()
    page.mouse.click(corner["x"] + 17, corner["y"] + 88)
    settled(page)
    page.get_by_role("heading", name="Side by side").wait_for()
    assert page.get_by_test_id("stTable").get_by_text("Types of the layers").count() == 1
    page.wait_for_function(TWO_RINGS)

    elsewhere = visitor(page.url.partition("/compare")[1] + page.url.partition("/compare")[2])
    elsewhere.get_by_role("heading", name="Side by side").wait_for()
    assert elsewhere.get_by_role("combobox", name="Variant").input_value() == "baseline"
    assert opacities(elsewhere) == [0.18, 1]
