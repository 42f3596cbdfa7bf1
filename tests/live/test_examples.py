"""What a visitor gives arrives as the models know it from their data."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from optimizers.engine import origins
from optimizers.errors import DataRefused
from optimizers.live import examples
from optimizers.live.given import SIDE, Drawing, Numbered, Picture, Row, checked
from tests.live.handwriting import STROKES, drawing, ink

DIGITS = "sample:optdigits"


def seen(given, uri=DIGITS):
    return examples.seen(given, uri, origins.resolve_dataset(uri).digest)


def nearest(x):
    """Label of the training digit that is most alike; knows nothing of how drawings are placed."""
    data = origins.load_dataset(DIGITS).train
    distances = ((data.x - x) ** 2).sum(axis=(1, 2, 3))
    return int(data.y[distances.argmin()])


@pytest.mark.parametrize("how", [{}, {"size": 0.6, "right": 15}, {"pen": 0.06}, {"pen": 0.14, "right": -15}])
def test_drawn_digits_look_like_those_of_the_data(how):
    answers = [nearest(seen(drawing(digit, **how)).x) for digit in STROKES]
    assert sum(answer == int(digit) for digit, answer in zip(STROKES, answers, strict=True)) >= 9


def test_a_drawing_has_the_papers_tone_and_the_range_of_the_data():
    light_on_dark = np.zeros((50, 12, 12), np.uint8)
    light_on_dark[:, 2:10, 3:9] = 200
    x = examples.placed(ink("0"), light_on_dark)
    y = examples.placed(ink("0"), 255 - light_on_dark)
    assert (x.dtype, x.shape) == (np.uint8, (1, 12, 12))
    assert (x.min(), x[0, 0, 0], y[0, 0, 0]) == (0, 0, 255)
    assert x.max() > 150
    np.testing.assert_allclose(x.astype(float) / 200, (255 - y.astype(float)) / 200, atol=0.01)


def test_ink_fills_the_box_that_the_data_fill_wherever_it_was_drawn():
    like = np.zeros((50, 28, 28), np.float32)
    like[:, 4:24, 6:22] = 1.0
    for how in ({"size": 0.4, "right": 25}, {"size": 1.0}):
        x = examples.placed(ink("0", **how), like)[0] > 0.25
        rows, columns = np.flatnonzero(x.any(axis=1)), np.flatnonzero(x.any(axis=0))
        assert 3 <= rows[0] <= 5
        assert 22 <= rows[-1] <= 24
        assert abs((columns[0] + columns[-1]) / 2 - 13.5) <= 1


def test_empty_paper_is_told():
    with pytest.raises(DataRefused, match="nothing on the paper"):
        seen(Drawing(ink="00" * SIDE * SIDE))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Colour pictures from 0 to 255, in a file."""
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 9, 12, 3), np.uint8)
    x[0, 0, 0], x[0, 0, 1] = 0, 255
    np.savez(path, x=x, y=np.arange(60) % 3)
    return path


@pytest.mark.parametrize("scaling", ["as_is", "unit", "signed", "standardize", "min_max", "caffe", "torch"])
def test_a_picture_is_prepared_exactly_as_the_data_are(photos, scaling):
    uri = f"file:{photos}" + ("" if scaling == "as_is" else f"?scaling={scaling}")
    data, raw = origins.load_dataset(uri), origins.load_dataset(f"file:{photos}")
    same = Picture(width=12, height=9, rgb=base64.b64encode(raw.test.x[2].tobytes()).decode())
    np.testing.assert_allclose(seen(same, uri).x[0], data.test.x[2], atol=1e-5)


def test_a_picture_of_another_size_is_cut_and_resized(photos):
    wide = Image.new("RGB", (300, 100), (0, 0, 255))
    wide.paste((255, 0, 0), (100, 0, 200, 100))
    stream = io.BytesIO()
    wide.save(stream, "PNG")
    x = seen(examples.decode(stream.getvalue(), "wide.png"), f"file:{photos}").x[0]
    assert x.shape == (9, 12, 3)
    assert tuple(x[4, 6]) == (255, 0, 0)
    inverted = examples.decode(stream.getvalue(), "wide.png").model_copy(update={"inverted": True})
    assert tuple(seen(inverted, f"file:{photos}").x[0][4, 6]) == (0, 255, 255)


@pytest.mark.parametrize("uri", ["sample:penguins", "sample:auto_mpg", "sample:penguins?scaling=standardize"])
def test_a_row_of_raw_values_becomes_the_models_features(uri):
    data = origins.load_dataset(uri)
    preview = data.summary.preview
    for raw in preview["rows"]:
        x = seen(Row(values=dict(zip(preview["columns"][:-1], raw[:-1], strict=True))), uri).x
        assert np.abs(data.train.x - x).max(axis=1).min() < 1e-4


def test_a_row_without_a_number_says_which_is_missing():
    with pytest.raises(DataRefused, match="horsepower"):
        seen(Row(values={"cylinders": 8, "displacement": 300.0}), "sample:auto_mpg")


def test_what_does_not_suit_the_data_is_refused():
    with pytest.raises(DataRefused, match="no rows"):
        seen(Row(values={}))
    with pytest.raises(DataRefused, match="no pictures"):
        seen(drawing("1"), "sample:penguins")
    with pytest.raises(DataRefused, match="counted from 0"):
        seen(Numbered(number=10**6))
    with pytest.raises(DataRefused, match="do not agree"):
        seen(Picture(width=5, height=5, rgb="AAAA"))


@settings(max_examples=150, deadline=None)
@drawn(
    st.dictionaries(
        st.sampled_from(["kind", "number", "ink", "values", "rgb", "width", "height"]),
        st.none() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["test", "drawing", "picture"])
        | st.dictionaries(st.text(max_size=5), st.floats() | st.text(max_size=5)),
    )
)  # fmt: skip
def test_whatever_is_sent_is_answerable_or_refused(sent):
    try:
        found = checked(sent)
    except DataRefused:
        return
    try:
        assert np.isfinite(seen(found).x).all()
    except DataRefused:
        return


@settings(max_examples=150, deadline=None)
@drawn(st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff\xe0"]))
def test_a_file_that_is_no_picture_is_refused(content, start):
    try:
        assert examples.decode(start + content, "x").width
    except DataRefused:
        return


def test_a_bomb_of_pixels_is_refused_before_it_is_unpacked():
    stream = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(stream, "PNG")
    with pytest.raises(DataRefused):
        examples.decode(stream.getvalue(), "bomb.png")
