"""The story of somebody who comes with a model and data of their own, and has never seen the app."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import httpx
import pytest

from tests.browser.actions import RUN_MS, points, settled

pytestmark = pytest.mark.browser

TRAINING = """
import sys, numpy as np, keras
from sklearn.datasets import load_wine

x, y = load_wine(return_X_y=True)
x = x.astype("float32")
keras.utils.set_random_seed(1)
scale = keras.layers.Normalization()
scale.adapt(x)
model = keras.Sequential([keras.Input((13,)), scale, keras.layers.Dense(64, "relu"), keras.layers.Dense(3, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, y, epochs=20, verbose=0)
model.save(sys.argv[1])
np.savez(sys.argv[2], x=x, y=y)
"""


@pytest.fixture(scope="module")
def brought(tmp_path_factory):
    """A Keras 3 model that tells three kinds of wine apart, and 178 examples, as somebody's own program saves them."""
    folder = tmp_path_factory.mktemp("wine")
    model, data = folder / "wine.keras", folder / "wine.npz"
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    env.pop("TF_USE_LEGACY_KERAS", None)
    subprocess.run([sys.executable, "-c", TRAINING, str(model), str(data)], check=True, env=env, timeout=600)
    return model, data


class Visitor:
    """Somebody in front of a browser, whose clicks are counted; a file dialog takes one."""

    def __init__(self, page) -> None:
        self.page, self.clicks = page, 0

    def presses(self, name) -> None:
        self.page.get_by_role("button", name=name).first.click(timeout=RUN_MS)
        self._clicked()

    def switches_on(self, name) -> None:
        self.page.get_by_text(name, exact=True).first.click()
        self._clicked()

    def chooses_a_file(self, place, file) -> None:
        self.page.locator("input[type=file]").nth(place).set_input_files(file)
        self._clicked()

    def reads(self, words) -> None:
        self.page.get_by_text(words).first.wait_for(timeout=RUN_MS)

    def _clicked(self) -> None:
        self.clicks += 1
        settled(self.page)


def test_a_first_visitor_compares_variants_of_their_own_model_in_at_most_eight_clicks(visitor, brought):
    model, data = brought
    somebody = Visitor(visitor("/"))
    somebody.presses("Load your model")
    somebody.chooses_a_file(0, model)
    somebody.reads("wine.keras")
    somebody.chooses_a_file(1, data)
    somebody.reads("3 classes")
    somebody.presses("Optimize this model")
    somebody.switches_on("Full int8 (weights and activations)")
    somebody.presses(re.compile("^Run "))
    somebody.presses(re.compile("^Compare "))
    somebody.page.wait_for_url(re.compile("/compare"))
    assert somebody.clicks <= 8, somebody.clicks
    assert len(points(somebody.page)) == 2
    assert any("int8" in name for name in points(somebody.page))
    somebody.reads("Accuracy")


@pytest.mark.parametrize("path", ["/", "/runs", "/compare?runs=x"])
def test_every_page_has_the_head_of_the_app(server, path):
    page = httpx.get(server.url + path, headers={"accept-encoding": "gzip", "accept": "text/html"}).text
    assert "<title>Paretoscope</title>" in page
    [source] = re.findall(r'src="([^"]*head.js)"', page)
    assert httpx.get(server.url + source).headers["content-type"].endswith("javascript")


def test_a_page_looks_for_the_server_once(visitor):
    page = visitor("/compare")
    asked = page.evaluate("performance.getEntriesByType('resource').map(found => new URL(found.name).pathname)")
    assert [path for path in asked if path.endswith("/health")] == ["/_stcore/health"], "not below the page as well"
