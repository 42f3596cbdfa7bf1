"""Files with an array for every input of a model: read as one data set, and put in the model's order by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizers.datasets import preparation
from optimizers.datasets.files import load_file
from optimizers.datasets.fit import adapt_dataset, open_shape
from optimizers.datasets.several import arrays_of
from optimizers.errors import DataRefused
from optimizers.records import TensorSpec

N = 100
Y = np.arange(N) % 3
IMAGE = np.arange(N * 16, dtype=np.float64).reshape(N, 4, 4)
WORDS = np.arange(N)[:, None] * np.ones(5, np.int64)
IMAGES, TOKENS = (
    TensorSpec(name="image", shape=(4, 4, 1), dtype="float32"),
    TensorSpec(name="words", shape=(None,), dtype="int32"),
)
ONE = (TensorSpec(name="kind", shape=(3,), dtype="float32"),)


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def test_rows_of_all_inputs_stay_together_and_come_in_the_models_order(tmp_path: Path) -> None:
    data = load_file(saved(tmp_path, x_words=WORDS, x_image=IMAGE, y=Y))
    assert data.summary.task == "classification"
    assert [(spec.name, spec.shape, spec.dtype) for spec in data.summary.inputs] == [
        ("image", (4, 4), "float32"), ("words", (5,), "int32")]  # fmt: skip
    preview = data.summary.preview
    assert (preview["kind"], preview["input"], len(preview["windows"])) == ("sequences", "image", 2)
    for inputs in ((TOKENS, IMAGES), (IMAGES, TOKENS)):
        fitted = adapt_dataset(data, inputs, ONE)
        assert fitted.summary.task == "classification"
        assert len(fitted.train) + len(fitted.validation) + len(fitted.test) == N
        found = dict(zip((spec.name for spec in inputs), arrays_of(fitted.test.x), strict=True))
        rows = found["words"][:, 0]
        np.testing.assert_array_equal(found["image"], IMAGE[rows][..., None])
        np.testing.assert_array_equal(fitted.test.y, Y[rows])
    assert open_shape((TOKENS, IMAGES), data.summary) == ((5,), (4, 4, 1))


def test_parts_of_the_file_are_kept_and_labels_may_be_missing(tmp_path: Path) -> None:
    file = saved(tmp_path, x_train_a=IMAGE, x_train_b=WORDS, x_test_a=IMAGE[:7] + 1, x_test_b=WORDS[:7])
    data = load_file(file)
    assert (data.summary.task, len(data.test), len(data.train) + len(data.validation)) == ("fidelity", 7, N)
    assert not any("also in the training part" in note for note in data.summary.notes)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_a": IMAGE, "x_b": WORDS[:9], "y": Y}, "x_a and x_b in data.npz differ in length; every example needs all"),
        ({"x_a": IMAGE[:9], "x_b": WORDS[:9], "y": Y}, "has 9 examples, but y has 100 labels"),
        ({"x_a": IMAGE, "x_b": np.array(3.0)}, "differ in length"),
        ({"x_a": IMAGE, "x_b": WORDS, "more/x_b": WORDS}, "data.npz has x_b twice; keep one of them."),
        ({"x_a": np.zeros((1, 1 << 27), bool), "x_b": WORDS[:1]}, "x_a and x_b in data.npz is too large"),
        ({"x_a": IMAGE[:0], "x_b": WORDS[:0], "y": Y[:0]}, "are empty; add examples"),
        ({"x_a": IMAGE, "x_b": np.full((N, 2), np.nan), "y": Y}, "x_b in data.npz has 200 NaN values"),
        (
            {"x_train_a": IMAGE, "x_train_b": WORDS, "x_test_a": IMAGE[:9], "x_test_c": WORDS[:9]},
            "The examples in data.npz differ in shape",
        ),
    ],
)
def test_arrays_that_do_not_go_together(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataRefused) as caught:
        load_file(saved(tmp_path, **arrays))
    assert message in caught.value.message


def test_names_decide_and_are_told(tmp_path: Path) -> None:
    data = load_file(saved(tmp_path, x_picture=IMAGE, x_words=WORDS, y=Y))
    with pytest.raises(
        DataRefused, match=r"are called x_picture, x_words; call them x_image, x_words, after the model"
    ):
        adapt_dataset(data, (IMAGES, TOKENS), ONE)
    with pytest.raises(DataRefused, match=r"used as they are, but for scalings; prepare them"):
        preparation.prepare(data, preparation.parse("scaling=unit"))
    assert preparation.prepare(data, preparation.parse("task=classification")) is data
    with pytest.raises(DataRefused, match="no input 'sound' to scale; choose among picture, words"):
        preparation.prepare(data, preparation.parse("scalings=sound:unit"))
    scaled = preparation.prepare(data, preparation.parse("scalings=picture:signed:pixels"))
    np.testing.assert_allclose(scaled.train.x["picture"], data.train.x["picture"] / 127.5 - 1, atol=1e-5)
    np.testing.assert_array_equal(scaled.train.x["words"], data.train.x["words"])
    assert "picture: values from 0 to 255 were scaled to -1 to 1." in scaled.summary.notes
    lone = load_file(saved(tmp_path, x=IMAGE, y=Y))
    with pytest.raises(DataRefused, match="have one input; give scaling"):
        preparation.prepare(lone, preparation.parse("scalings=x:unit"))
