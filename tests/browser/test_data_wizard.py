"""A visitor brings a model, and data that do not fit it as they are."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from optimizers.engine import origins
from tests.browser.actions import settled

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def brought(tmp_path_factory):
    """A model, its digits as a ZIP file of coloured pictures of several sizes, and as two arrays from 0 to 16."""
    folder = tmp_path_factory.mktemp("brought")
    model = folder / "mine.keras"
    model.write_bytes(origins.resolve_model("sample:digits_cnn")[0].read_bytes())
    data = origins.load_dataset("sample:optdigits").validation
    x, y = data.x[:300], data.y[:300]
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        for number, (pixels, label) in enumerate(zip(x, y, strict=True)):
            side, content = 20 + number % 5, io.BytesIO()
            image = Image.fromarray((pixels[..., 0] * 255).astype(np.uint8)).resize((side, side))
            image.convert("RGB").save(content, "PNG")
            archive.writestr(f"digits/{label}/{number}.png", content.getvalue())
    np.save(folder / "x.npy", (x * 16).astype(np.uint8))
    np.save(folder / "y.npy", y + 1)
    return model, [folder / "digits.zip"], [folder / "x.npy", folder / "y.npy"]


def test_data_that_do_not_fit_are_prepared_as_proposed(visitor, brought):
    model, pictures, arrays = brought
    page = visitor("/model")
    page.get_by_text("Your own model").click()
    settled(page)
    page.locator("input[type=file]").nth(0).set_input_files(model)
    page.get_by_text("no accuracy can be measured").wait_for()
    settled(page)
    page.locator("input[type=file]").nth(1).set_input_files(pictures)
    page.get_by_text("differ in size").wait_for()
    page.get_by_text("made grey, resized to 8 × 8, values scaled to 0 to 1").wait_for()
    settled(page)
    page.get_by_role("button", name="Prepare the data like this").click()
    page.wait_for_url(re.compile("scaling%3Dunit"))
    page.get_by_role("button", name="Optimize this model").wait_for()
    settled(page)
    page.locator("input[type=file]").nth(1).set_input_files(arrays)
    page.get_by_text("labels are numbered from 0, values scaled to lowest 0, highest 1").wait_for()
    settled(page)
    page.get_by_role("button", name="Prepare the data like this").first.click()
    page.wait_for_url(re.compile("labels%3Dranked"))
    settled(page)
    page.get_by_role("button", name="Optimize this model").click()
    page.wait_for_url(re.compile("/optimize.*labels%3Dranked"))
    settled(page)
    assert page.get_by_text("Full int8").first.is_visible()
