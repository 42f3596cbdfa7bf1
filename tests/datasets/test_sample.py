from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from optimizers import registry
from optimizers.datasets import sample
from optimizers.errors import UnknownName
from optimizers.records import digest_of
from sample_models import DATA

NAMES = sample.ORIGIN.list()

GOLDEN = {
    "optdigits": "9da77e41a37ea69683262146036e97fe38bf75b917f1773f681977f93d8c5567",
    "fashion_mnist": "016345ea67307c562d8f5e794d4dcd138d6dfea8517bd3cb9c4100ee68983130",
    "occupancy": "7ea9e8f039bbc3ca4efb0f593252f22cf72259a7de16c17d3c3696762ea0da13",
    "penguins": "1f7acd7cc2764debca36176340a1e5a84b1501fe0e62c4bd280c14b1078ecff8",
    "auto_mpg": "b0bbe3bdfd8e28736a4c4719db3c609958921fa74354c643a242227ef545edc4",
}


@pytest.fixture(scope="module")
def loaded():
    return {name: sample.load(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_arrays_are_as_declared(loaded, name):
    data = loaded[name]
    for part, n in zip(
        (data.train, data.validation, data.test),
        (data.summary.n_train, data.summary.n_validation, data.summary.n_test),
        strict=True,
    ):
        assert len(part) == len(part.y) == n > 0
        assert part.x.shape[1:] == data.summary.input_shape
        assert str(part.x.dtype) == data.summary.input_dtype == "float32"
        assert np.isfinite(part.x).all()
        assert part.y.dtype == (np.float32 if data.summary.task == "regression" else np.int64)
        if data.summary.classes:
            assert set(part.y.tolist()) == set(range(len(data.summary.classes)))


@pytest.mark.parametrize("name", NAMES)
def test_the_summary_is_complete_and_plain_json(loaded, name):
    summary = loaded[name].summary
    assert summary.licence
    assert summary.source
    assert summary.notes
    assert all(note.endswith(".") for note in summary.notes)
    assert summary.preview["kind"] in {"images", "table", "sequences"}
    json.dumps(summary.model_dump(mode="json"), allow_nan=False)
    assert (summary.task == "regression") == (not summary.classes) == bool(summary.target_unit)


@pytest.mark.parametrize("name", NAMES)
def test_the_division_is_fixed_for_ever(loaded, name):
    data = loaded[name]
    rounded = [
        [np.round(part.x.astype(np.float64).reshape(len(part), -1).sum(axis=1), 2).tolist(), part.y.tolist()]
        for part in (data.train, data.validation, data.test)
    ]
    assert digest_of(rounded) == GOLDEN[name]


@pytest.mark.parametrize("name", ["optdigits", "fashion_mnist", "penguins"])
def test_classes_are_in_proportion(loaded, name):
    data = loaded[name]
    whole = np.concatenate([data.train.y, data.validation.y])
    expected = np.bincount(whole) * data.summary.n_validation / len(whole)
    np.testing.assert_allclose(np.bincount(data.validation.y), expected, atol=1)


@pytest.mark.parametrize("name", ["optdigits", "fashion_mnist", "penguins", "auto_mpg"])
def test_no_example_is_in_two_parts(loaded, name):
    data = loaded[name]
    rows = [{row.tobytes() for row in part.x} for part in (data.train, data.validation, data.test)]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]


def test_the_digits_test_part_is_the_official_one(loaded):
    with np.load(DATA / "optdigits.npz") as arrays:
        np.testing.assert_array_equal(loaded["optdigits"].test.x[..., 0] * 16, arrays["x_test"])
        np.testing.assert_array_equal(loaded["optdigits"].test.y, arrays["y_test"])


def test_no_minute_is_in_two_parts_of_occupancy(loaded):
    data = loaded["occupancy"]
    minutes = (data.summary.n_train + 15) + (data.summary.n_validation + 15)
    with np.load(DATA / "occupancy.npz") as arrays:
        assert minutes == len(arrays["x_train"])
        assert data.summary.n_test + 15 == len(arrays["x_test"])
        last = len(arrays["x_train"]) * 4 // 5
        np.testing.assert_array_equal(data.train.y, arrays["y_train"][15:last])
        np.testing.assert_array_equal(data.validation.y, arrays["y_train"][last + 15 :])


def test_scaling_is_learnt_on_the_training_part_only(loaded):
    table = loaded["auto_mpg"]
    numeric = [i for i, feature in enumerate(table.summary.preview["encoding"]) if "category" not in feature]
    np.testing.assert_allclose(table.train.x[:, numeric].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(table.train.x[:, numeric].std(axis=0), 1, atol=1e-5)
    assert np.abs(table.validation.x[:, numeric].mean(axis=0)).max() > 1e-3


def test_the_encoding_turns_previewed_rows_into_training_examples(loaded):
    data = loaded["penguins"]
    preview = data.summary.preview
    row = dict(zip(preview["columns"], preview["rows"][0], strict=True))
    encoded = [
        float(row[f["column"]] == f["category"]) if "category" in f else (row[f["column"]] - f["mean"]) / f["std"]
        for f in preview["encoding"]
    ]
    assert np.isclose(data.train.x, np.float32(encoded), atol=1e-5).all(axis=1).any()
    assert "species" not in {f["column"] for f in preview["encoding"]}


def test_incomplete_cars_are_left_out_and_said(loaded):
    summary = loaded["auto_mpg"].summary
    assert summary.n_train + summary.n_validation + summary.n_test == 392
    assert summary.notes[0] == "6 of 398 rows lack the horsepower and are left out."


def test_references_differ_and_unknown_names_are_refused():
    refs = [registry.dataset_origins()["sample"].resolve(name) for name in NAMES]
    assert len({ref.digest for ref in refs}) == len(NAMES)
    assert refs[0].uri == "sample:optdigits"
    with pytest.raises(UnknownName, match="There is no sample data set 'mnist'; known are: optdigits, "):
        sample.resolve("mnist")
    with pytest.raises(UnknownName):
        sample.load("mnist")


def test_listing_imports_neither_pandas_nor_tensorflow():
    code = (
        "import sys; from optimizers.datasets import sample; from optimizers.models import sample as m; m.manifest();"
        "[sample.resolve(n) for n in sample.ORIGIN.list()];"
        "assert not {'tensorflow', 'keras', 'tf_keras', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
