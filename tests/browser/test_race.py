"""A digit is drawn in Chromium, and the files answer side by side."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from tests.browser.actions import settled
from tests.live.handwriting import STROKES, ink

pytestmark = pytest.mark.browser


def write(page, digit):
    """Draws a digit with the mouse, in the middle of the paper."""
    box = page.locator(".pad canvas").bounding_box()

    def place(x, y):
        return box["x"] + box["width"] * (0.5 + (x - 5) * 0.07), box["y"] + box["height"] * (0.5 + (y - 6) * 0.07)

    for stroke in STROKES[digit]:
        page.mouse.move(*place(*stroke[0]))
        page.mouse.down()
        for corner in stroke[1:]:
            page.mouse.move(*place(*corner), steps=5)
        page.mouse.up()


def answers(page):
    page.locator(".race-card .race-time").nth(1).wait_for()
    return [text.split()[0] for text in page.locator(".race-answer").all_inner_texts()]


def test_a_drawn_digit_is_read_by_every_file_with_confidence_and_time(visitor, finished):
    page = visitor(f"/race?{finished}", viewport={"width": 1280, "height": 1000})
    page.locator(".pad canvas").wait_for()
    for digit in ("4", "7"):
        write(page, digit)
        page.get_by_text(f"Both answer {digit}").wait_for()
        assert answers(page) == [digit, digit]
        page.get_by_role("button", name="Clear", exact=True).click()
        page.get_by_text("The answers appear here").wait_for()
    assert "ask=draw" in page.url


def test_a_picture_is_read(visitor, finished):
    page = visitor(f"/race?{finished}&ask=upload")
    stream = io.BytesIO()
    Image.fromarray(((1 - ink("0")) * 255).astype("uint8")).save(stream, "PNG")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "zero.png", "mimeType": "image/png", "buffer": stream.getvalue()})
    answers(page)
    page.get_by_text("Swap light and dark").click()
    page.get_by_text("Both answer 0").wait_for()
    chooser.set_input_files({"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.get_by_text("not a picture that can be read").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)])
def test_an_example_of_the_data_is_in_the_address_and_fits_the_window(visitor, finished, width, scheme):
    page = visitor(
        f"/race?{finished}&ask=test&example=3", viewport={"width": width, "height": 844}, color_scheme=scheme
    )
    answers(page)
    page.get_by_text("the truth is").wait_for()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    page.get_by_role("button", name="Any").click()
    settled(page)
    answers(page)
    page.wait_for_url(re.compile(r"example=\d+"))
