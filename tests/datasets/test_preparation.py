from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from optimizers.datasets import preparation as prep
from optimizers.datasets.preparation import NOTHING, Preparation
from optimizers.engine import origins
from optimizers.errors import DataRefused
from optimizers.params import fields

RANDOM = np.random.default_rng(0)


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npz"
    x = RANDOM.integers(0, 256, (40, 12, 10, 3), np.uint8)
    x[0], x[1] = 0, 255
    np.savez(path, x=x, y=np.arange(40) % 2)
    return path


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "cars.csv"
    rows = [f"{i},{i * i},{('red', 'blue')[i % 2]},{i / 7}" for i in range(60)]
    path.write_text("\n".join(["weight,price,colour,speed", *rows]))
    return path


def choices(field):
    if field.choices:
        return st.sampled_from(field.choices)
    if field.kind == "int":
        return st.integers(int(field.low), int(field.high))
    return st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.fixed_dictionaries({f.name: choices(f) for f in fields(Preparation)}))
def test_every_preparation_comes_back_from_its_query(given_):
    try:
        wanted = Preparation(**given_)
    except ValidationError:
        return
    bare, found = prep.split(prep.join("sample:optdigits", wanted))
    assert (bare, found) == ("sample:optdigits", wanted)
    assert found.query == wanted.query


@given(st.text(max_size=60))
def test_any_query_is_understood_or_refused_in_one_sentence(query):
    try:
        prep.parse(query)
    except DataRefused as error:
        assert error.message.endswith(".")  # noqa: PT017


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "are written like ?target=price&scaling=unit, not ''"),
        ("scaling", "are written like"),
        ("scaling=unit&scaling=unit", "The option 'scaling' of the data is given twice"),
        ("scale=unit", "preparation has no parameter 'scale'; it takes: target, task"),
        ("scaling=half", "preparation.scaling must be one of as_is, unit"),
        ("height=9999&width=1", "preparation.height must be a whole number in [0, 2048]"),
        ("height=9", "height and width go together"),
        ("scaling=caffe&channels=bgr", "puts blue first by itself"),
        ("scalings=image", "write an input, a colon and one of as_is, unit"),
        ("scalings=image:half", "such as image:unit, got 'image:half'"),
        ("scalings=:unit:pixels", "write an input"),
        ("scalings=a:unit,a:signed", "the input 'a' is given twice"),
    ],
)
def test_bad_queries_are_refused(query, message):
    with pytest.raises(DataRefused) as caught:
        prep.parse(query)
    assert message in caught.value.message


def test_queries_are_canonical_and_defaults_leave_everything_as_it_was(images):
    assert prep.parse("width=4&scaling=unit&height=4&values=pixels").query == "height=4&scaling=unit&width=4"
    plain = origins.resolve_dataset(str(images))
    assert origins.resolve_dataset(f"file:{images}?scaling=as_is") == plain
    unit, again, other = (
        origins.resolve_dataset(f"{images}?{q}") for q in ("scaling=unit", "scaling=unit&task=auto", "scaling=signed")
    )
    assert unit == again
    assert unit.uri == f"file:{images}?scaling=unit"
    assert len({plain.digest, unit.digest, other.digest}) == 3
    assert origins.resolve_dataset(unit.uri) == unit


def test_a_path_may_hold_question_marks(images):
    odd = images.with_name("what?scaling=unit")
    odd.write_bytes(images.read_bytes())
    assert origins.load_dataset(str(odd)).train.x.dtype == np.uint8
    data = origins.load_dataset(f"file:{odd}?scaling=signed")
    assert (data.train.x.min(), data.train.x.max()) == (-1, 1)


@pytest.mark.parametrize(
    ("query", "low", "high"), [("unit", 0, 1), ("signed", -1, 1), ("pixels", 0, 255), ("min_max", 0, 1)]
)
def test_scalings_of_pixels(images, query, low, high):
    raw, data = origins.load_dataset(str(images)), origins.load_dataset(f"{images}?scaling={query}")
    everything = np.concatenate([data.train.x, data.validation.x, data.test.x])
    np.testing.assert_allclose([everything.min(), everything.max()], [low, high], atol=1e-6)
    np.testing.assert_allclose(data.test.x, raw.test.x / 255 * (high - low) + low, rtol=1e-5, atol=2e-5 * high)
    assert (data.summary.input_dtype, data.summary.input_shape) == ("float32", (12, 10, 3))


@pytest.mark.parametrize(("values", "factor", "offset"), [("unit", 255, 0), ("signed", 127.5, 127.5)])
def test_the_reverse_ways_lead_back_to_pixels(tmp_path, images, values, factor, offset):
    pixels = origins.load_dataset(str(images)).train.x.astype(np.float32)
    path = tmp_path / "scaled.npz"
    with np.load(images) as raw:
        np.savez(path, x=(raw["x"] - offset) / factor, y=raw["y"])
    data = origins.load_dataset(f"{path}?scaling=pixels&values={values}")
    np.testing.assert_allclose(data.train.x, pixels, atol=1e-4)


def test_the_modes_of_keras_applications(images):
    from keras.src.applications.imagenet_utils import preprocess_input

    raw = origins.load_dataset(str(images)).test.x.astype(np.float32)
    for mode in ("caffe", "torch"):
        found = origins.load_dataset(f"{images}?scaling={mode}").test.x
        expected = preprocess_input(raw.copy(), mode=mode, data_format="channels_last")
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_tables_are_standardized_by_the_training_part_and_their_preview_tells_how(table):
    raw = origins.load_dataset(f"{table}?target=price")
    data = origins.load_dataset(f"{table}?target=price&scaling=standardize")
    assert raw.summary.features == data.summary.features == ("weight", "colour=blue", "colour=red", "speed")
    assert data.summary.task == "regression"
    np.testing.assert_array_equal(data.test.y, raw.test.y)
    np.testing.assert_array_equal(data.train.x[:, 1:3], raw.train.x[:, 1:3])
    mean, std = raw.train.x[:, 0].mean(), raw.train.x[:, 0].std()
    np.testing.assert_allclose(data.test.x[:, 0], (raw.test.x[:, 0] - mean) / std, rtol=1e-4)
    weight, red = data.summary.preview["encoding"][0], data.summary.preview["encoding"][1]
    assert (weight["mean"], weight["std"]) == (pytest.approx(mean), pytest.approx(std))
    assert (red["mean"], red["std"]) == (0.0, 1.0)


def test_targets_and_tasks_are_chosen(table):
    assert origins.load_dataset(f"{table}?target=colour").summary.classes == ("blue", "red")
    with pytest.raises(DataRefused, match=r"has no column 'size' to predict; it has: weight, price, colour, speed\."):
        origins.load_dataset(f"{table}?target=size")
    with pytest.raises(DataRefused, match="leave target out"):
        origins.load_dataset("sample:optdigits?target=x")
    assert origins.load_dataset("sample:optdigits?channels=rgb").summary.input_shape == (8, 8, 3)


def test_channels_size_and_layout(tmp_path, images):
    raw = origins.load_dataset(str(images)).train.x
    grey = origins.load_dataset(f"{images}?channels=grey").train.x
    np.testing.assert_array_equal(grey[..., 0], np.rint(raw @ [0.299, 0.587, 0.114]).astype(np.uint8))
    np.testing.assert_array_equal(origins.load_dataset(f"{images}?channels=bgr").train.x, raw[..., ::-1])
    small = origins.load_dataset(f"{images}?height=6&width=5").train.x
    assert small.shape[1:] == (6, 5, 3)
    np.testing.assert_allclose(small.mean(), raw.mean(), rtol=0.02)
    first = tmp_path / "first.npz"
    with np.load(images) as arrays:
        np.savez(first, x=arrays["x"].transpose(0, 3, 1, 2), y=arrays["y"])
    np.testing.assert_array_equal(origins.load_dataset(f"{first}?layout=channels_last").train.x, raw)
    with pytest.raises(DataRefused, match="more than 4 GiB"):
        origins.load_dataset("sample:fashion_mnist?height=2000&width=2000")


def test_token_ids_keep_their_end_and_lose_rare_words(tmp_path):
    path = tmp_path / "words.npz"
    np.savez(path, x=np.tile([1, 14, 7, 900], (20, 1)), y=np.arange(20) % 2)
    assert origins.load_dataset(f"{path}?length=2&words=100").train.x[0].tolist() == [7, 2]
    assert origins.load_dataset(f"{path}?length=6").train.x[0].tolist() == [0, 0, 1, 14, 7, 900]


def test_nothing_is_the_default():
    assert NOTHING.query == ""
    assert NOTHING.given == {}
