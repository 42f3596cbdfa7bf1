"""Labels of several outputs: read by their names, each by the rules of its own, and fitted to a model by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizers.datasets import by_output, several
from optimizers.datasets.files import load_file
from optimizers.datasets.fit import adapt_dataset, check_fit, targets_of
from optimizers.declarations import Dataset
from optimizers.errors import DataRefused
from optimizers.records import TensorSpec

N = 60
X = np.random.default_rng(0).random((N, 6)).astype(np.float32)
KIND = np.arange(N) % 3
LABELS = {
    "kind": KIND,
    "large": np.where(X.sum(axis=1) > 3, "yes", "no"),
    "size": X.sum(axis=1),
    "tags": (X[:, :4] > 0.5).astype(int),
    "mask": (X > 0.3).astype(int)[:, :, None] + np.zeros((1, 1, 2), int),
}


def spec(name: str, *shape: int | None, activation: str = "") -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype="float32", activation=activation)


INPUTS = (spec("x", 6),)
OUTPUTS = (
    spec("size", 1, activation="linear"),
    spec("kind", 3, activation="softmax"),
    spec("large", 1, activation="sigmoid"),
)


def saved(tmp_path: Path, **arrays: np.ndarray) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def read(tmp_path: Path, **arrays: np.ndarray) -> Dataset:
    return load_file(saved(tmp_path, **arrays))


def labelled(*names: str) -> dict[str, np.ndarray]:
    return {f"y_{name}": LABELS[name] for name in names}


def test_each_outputs_labels_are_read_by_the_rules_of_their_own(tmp_path: Path) -> None:
    data = read(tmp_path, x=X, **labelled(*LABELS))
    told = {one.name: (one.task, one.classes, one.label_shape) for one in data.summary.targets}
    assert data.summary.task == "several"
    assert told == {
        "kind": ("classification", ("0", "1", "2"), ()),
        "large": ("binary", ("no", "yes"), ()),
        "size": ("regression", (), ()),
        "tags": ("multilabel", ("0", "1", "2", "3"), (4,)),
        "mask": ("segmentation", ("0", "1"), (6, 2)),
    }
    assert sum(map(len, (data.train, data.validation, data.test))) == N
    for part in (data.train, data.validation, data.test):  # labels went with their examples
        np.testing.assert_allclose(part.y["size"], part.x.sum(axis=1), rtol=1e-6)
        np.testing.assert_array_equal(part.y["large"], part.x.sum(axis=1) > 3)
    counts = np.bincount(data.test.y["kind"], minlength=3)
    assert counts.max() - counts.min() <= 1, "classes are divided in proportion"


def test_positions_of_an_output_need_not_count_be_they_pixels_or_words() -> None:
    words = np.where(X > 0.9, -100, (X > 0.5).astype(int))
    labels = {"kind": KIND, "words": words, "mask": LABELS["mask"], "tags": LABELS["tags"]}
    found = by_output.read(several.named(labels), "data.npz", ranked=False, ignore="-100")
    assert ((found.y["words"] < 0) == (words == -100)).all()
    assert {one.name: one.task for one in found.each} == {
        "kind": "classification", "words": "segmentation", "mask": "segmentation", "tags": "multilabel"}  # fmt: skip
    with pytest.raises(DataRefused, match=r"No output in data.npz has labels of positions.*leave ignore out"):
        by_output.read(several.named({"kind": KIND, "tags": LABELS["tags"]}), "data.npz", ranked=False, ignore="9")


def test_parts_have_labels_for_the_same_outputs(tmp_path: Path) -> None:
    whole = {f"y_{part}_{name}": LABELS[name][cut] for name in ("kind", "size")
             for part, cut in (("train", slice(40)), ("val", slice(40, 50)), ("test", slice(50, None)))}  # fmt: skip
    xs = {"x_train": X[:40], "x_val": X[40:50], "x_test": X[50:]}
    data = read(tmp_path, **xs, **whole)
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 10, 10)
    np.testing.assert_array_equal(data.test.y["kind"], KIND[50:])
    del whole["y_test_size"]
    with pytest.raises(DataRefused, match=r"Not every part of data.npz has labels for the output size"):
        read(tmp_path, **xs, **whole)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_kind": KIND, "y_size": X.sum(axis=1)[:50]}, "y_kind has 60, y_size has 50; every example needs all"),
        ({"y_kind": KIND[:50], "y_size": X.sum(axis=1)[:50]}, "x in data.npz has 60 examples"),
        ({"y_kind": KIND, "y_size": np.ones(N)}, r"All values of y_size in data.npz are equal|All labels in y_size"),
        ({"y_kind": KIND, "y_size": np.full(N, np.nan)}, "y_size in data.npz has 60 NaN values"),
    ],
)
def test_what_cannot_be_understood_is_told_by_its_name(tmp_path: Path, arrays, message: str) -> None:
    with pytest.raises(DataRefused, match=message):
        read(tmp_path, x=X, **arrays)


def test_a_task_cannot_be_named_for_all(tmp_path: Path) -> None:
    from optimizers.datasets.preparation import of

    path = saved(tmp_path, x=X, **labelled("kind", "size"))
    with pytest.raises(DataRefused, match="each with a task of its own; leave task out"):
        load_file(path, of({"task": "regression"}))


def test_labels_come_in_the_order_of_the_model_whatever_that_of_the_file(tmp_path: Path) -> None:
    data = read(tmp_path, x=X, **labelled("kind", "large", "size"))
    adapted = adapt_dataset(data, INPUTS, OUTPUTS)
    assert adapted.test.y.dtype.names == ("size", "kind", "large")
    assert [(one.name, one.task, one.output) for one in adapted.summary.targets] == [
        ("size", "regression", (1,)), ("kind", "classification", (3,)), ("large", "binary", (1,)),
    ]  # fmt: skip
    assert adapted.summary.task == "several"


def test_an_output_without_labels_is_compared_with_the_original(tmp_path: Path) -> None:
    adapted = adapt_dataset(read(tmp_path, x=X, **labelled("kind")), INPUTS, OUTPUTS)
    assert [one.task for one in adapted.summary.targets] == ["fidelity", "classification", "fidelity"]
    assert adapted.train.y.dtype.names == ("kind",)


def test_names_that_are_no_outputs_are_refused_and_one_plain_label_is_for_none(tmp_path: Path) -> None:
    summary = read(tmp_path, x=X, y_kinds=KIND, y_size=LABELS["size"]).summary
    with pytest.raises(DataRefused, match=r"The labels y_kinds of .* its outputs want y_size, y_kind, y_large"):
        check_fit(INPUTS, OUTPUTS, summary)
    plain = read(tmp_path, x=X, y=KIND).summary
    assert check_fit(INPUTS, OUTPUTS, plain) == "fidelity"
    assert targets_of(OUTPUTS, plain, "data") == ()


def test_labels_that_do_not_suit_their_output_are_told_with_its_name(tmp_path: Path) -> None:
    summary = read(tmp_path, x=X, y_large=KIND, y_size=LABELS["size"]).summary
    with pytest.raises(DataRefused, match=r"1 output unit, but y_large of .* has 3 classes"):
        check_fit(INPUTS, OUTPUTS, summary)


def test_a_model_with_one_output_takes_the_labels_named_after_it_or_the_only_ones(tmp_path: Path) -> None:
    data = read(tmp_path, x=X, **labelled("kind", "size"))
    adapted = adapt_dataset(data, INPUTS, OUTPUTS[:1])
    assert (adapted.summary.task, adapted.test.y.dtype, adapted.summary.targets) == ("regression", np.float32, ())
    with pytest.raises(DataRefused, match="has the labels y_kind, y_size; call those that are meant y_large"):
        adapt_dataset(data, INPUTS, OUTPUTS[2:])
    only = adapt_dataset(read(tmp_path, x=X, **labelled("kind")), INPUTS, (spec("dense_7", 3),))
    assert (only.summary.task, only.summary.classes) == ("classification", ("0", "1", "2"))


def test_open_dimensions_of_an_output_are_those_of_its_labels(tmp_path: Path) -> None:
    summary = read(tmp_path, x=X, **labelled("mask", "size")).summary
    outputs = (spec("mask", None, 2, 1, activation="sigmoid"), spec("size", 1))
    assert targets_of(outputs, summary, "data")[0].output == (6, 2, 1)
    with pytest.raises(DataRefused, match="The output 'other' has shape"):
        targets_of((*outputs, spec("other", None, 4)), summary, "data")


def test_the_best_constant_answer_is_what_it_says() -> None:
    from sklearn.dummy import DummyClassifier
    from sklearn.metrics import log_loss

    chances = DummyClassifier(strategy="prior").fit(X, KIND % 2).predict_proba(X)
    assert by_output.constant_loss(KIND % 2, "binary") == pytest.approx(log_loss(KIND % 2, chances))
    size = LABELS["size"]
    assert by_output.constant_loss(size, "regression") == pytest.approx(np.square(size - size.mean()).mean())
    assert by_output.constant_loss(np.eye(1, N, dtype=int)[0], "binary") == 0.1, "rare ones do not outweigh all else"
