"""A grid repeated over seeds: put together with few clicks, finished, and told apart by its seeds."""

from __future__ import annotations

import re

import pytest

from tests.browser.actions import RUN_MS, press, settled, toggle

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_three_values_and_two_seeds_are_queued_in_few_clicks_and_finish(visitor):
    page = visitor("/optimize?model=sample:penguins_mlp&data=sample:penguins")
    toggle(page, "Magnitude pruning")
    card = page.locator(".st-key-technique-magnitude_pruning")
    card.get_by_role("spinbutton", name="Epochs").fill("1")
    page.keyboard.press("Enter")
    settled(page)
    card.get_by_text("Try several values").click()
    settled(page)
    card.get_by_role("combobox", name="Settings").click()
    page.get_by_role("option", name="Sparsity", exact=True).click()
    page.keyboard.press("Escape")
    settled(page)
    page.get_by_text("3 recipes").wait_for()
    page.get_by_role("spinbutton", name="Repeats").fill("2")
    page.keyboard.press("Enter")
    settled(page)
    page.get_by_text(re.compile("6 runs, about .* with measuring")).wait_for()
    press(page, "Run 3 variants, 6 runs")
    page.get_by_role("button", name="Compare 6 runs").click(timeout=RUN_MS)
    page.wait_for_url(re.compile("/compare"))
    settled(page)
    page.get_by_role("heading", name="Over seeds").wait_for()
    page.get_by_text(re.compile("separated .*by 2 seeds")).wait_for()


def test_steps_are_moved_with_the_keyboard(visitor):
    page = visitor("/optimize?model=sample:penguins_mlp&data=sample:penguins")
    toggle(page, "Full int8 (weights and activations)")
    toggle(page, "Magnitude pruning")
    chain = page.locator(".st-key-chain")
    chain.get_by_text("These steps can follow one another").wait_for()
    chain.get_by_role("button", name="Move Magnitude pruning down").focus()
    page.keyboard.press("Enter")
    chain.get_by_text("accepts a Keras model, but step 1 (int8) produces a .tflite file").wait_for()
    chain.get_by_role("button", name="Move Magnitude pruning up").focus()
    page.keyboard.press("Enter")
    chain.get_by_text("These steps can follow one another").wait_for()
