"""Corruptions: repeatable, worse with severity, relative to the train part, and nothing at severity 0."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.datasets.corruptions import SEVERITIES, World, corrupted, corruptions, without, world
from optimizers.datasets.pictures import Album, form_of
from optimizers.engine import origins

RNG = np.random.default_rng(2)
X = {
    "image": RNG.random((20, 12, 12, 1)).astype(np.float32),
    "table": RNG.normal(size=(40, 5)).astype(np.float32),
    "sequence": RNG.normal(size=(30, 16, 3)).astype(np.float32),
    "words": RNG.integers(0, 50, (25, 30)).astype(np.int32),
}
CASES = [(form, kind) for form, x in X.items() for kind in corruptions(x)]


def around(form: str) -> World:
    width = X[form].shape[-1]
    return World(X[form], tuple((i,) for i in range(width)), frozenset())


@pytest.mark.parametrize(("form", "kind"), CASES, ids=lambda v: v if isinstance(v, str) else v.name)
def test_every_corruption(form, kind) -> None:
    x, here = X[form], around(form)
    before = x.copy()
    assert form_of(x) == form
    assert corrupted(x, kind, 0, here, 1) is x
    moved = []
    for severity in SEVERITIES:
        worse = corrupted(x, kind, severity, here, 1)
        assert (worse.dtype, worse.shape) == (x.dtype, x.shape)
        np.testing.assert_array_equal(worse, corrupted(x, kind, severity, here, 1))
        moved.append(float((worse != x).mean() if form == "words" else np.abs(worse - x).mean()))
    assert 0 < moved[0] < moved[1] < moved[2]
    np.testing.assert_array_equal(x, before)


def test_noise_has_the_strength_that_is_told() -> None:
    noise = next(kind for kind in corruptions(X["table"]) if kind.name == "Noise")
    x = np.zeros((4000, 5), np.float32)
    found = corrupted(x, noise, 3, around("table"), 0).std(axis=0)
    assert found == pytest.approx(0.6 * X["table"].std(axis=0), rel=0.06)
    assert noise.told(3) == "60% of each feature's standard deviation"


def test_missing_values_are_the_mean_of_the_train_part_and_columns_fall_out_together() -> None:
    data = origins.load_dataset("sample:penguins")
    here = world(data)
    island = next(group for group in here.groups if len(group) == 3)
    kind = next(kind for kind in corruptions(data.validation.x) if kind.name == "Missing values")
    worse = corrupted(data.validation.x, kind, 3, here, 0)
    lost = (worse[:, island] != data.validation.x[:, island]).any(axis=1)
    assert 0.3 < lost.mean() < 0.7
    means = data.train.x[:, island].mean(axis=0)
    np.testing.assert_allclose(worse[np.ix_(lost, island)], np.tile(means, (lost.sum(), 1)), rtol=1e-5)
    dead = without(data.validation.x, island, here)
    np.testing.assert_allclose(dead[:, island], np.tile(means, (len(dead), 1)), rtol=1e-5)
    others = [i for i in range(dead.shape[1]) if i not in island]
    np.testing.assert_array_equal(dead[:, others], data.validation.x[:, others])


def test_noise_leaves_categories_alone() -> None:
    data = origins.load_dataset("sample:penguins")
    here = world(data)
    noise = next(kind for kind in corruptions(data.validation.x) if kind.name == "Noise")
    worse = corrupted(data.validation.x, noise, 3, here, 0)
    told = sorted(here.categories)
    np.testing.assert_array_equal(worse[:, told], data.validation.x[:, told])
    assert len(told) == 5


def test_filling_is_no_word() -> None:
    kind = corruptions(X["words"])[0]
    worse = corrupted(X["words"], kind, 3, around("words"), 0)
    assert ((worse == 0) == (X["words"] == 0)).all()


def test_rows_are_shown_in_the_values_of_the_file() -> None:
    """The first penguin of the train part, as the CSV file has it."""
    data = origins.load_dataset("sample:penguins")
    album = Album(data)
    assert album.columns == tuple(data.summary.preview["columns"][:-1])
    shown = [album.cells(x) for x in data.train.x]
    wanted = [row[:-1] for row in data.summary.preview["rows"]]
    assert all(list(row) in [list(cells.values()) for cells in shown] for row in wanted)


def test_images_are_shown_pixel_by_pixel() -> None:
    import base64
    from io import BytesIO

    from PIL import Image

    data = origins.load_dataset("sample:optdigits")
    address = Album(data).picture(data.test.x[0])
    pixels = np.asarray(Image.open(BytesIO(base64.b64decode(address.split(",")[1]))))
    assert pixels.shape == (64, 64)
    np.testing.assert_array_equal(pixels[::8, ::8], np.rint(data.test.x[0, ..., 0] * 255))


def test_sequences_are_small_line_charts() -> None:
    data = origins.load_dataset("sample:occupancy")
    album = Album(data)
    assert album.form == "sequence"
    assert album.picture(data.test.x[0]).startswith("data:image/png;base64,")
    assert album.picture(data.test.x[0]) != album.picture(data.test.x[-1])
    assert f"{data.summary.features[0]} blue, {data.summary.features[1]} orange" in album.legend
