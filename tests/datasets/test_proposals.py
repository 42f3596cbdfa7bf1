"""How data are to be prepared for a model: found from shapes, and by trying scalings on the model itself."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.datasets import fit, proposals, shape_proposals
from optimizers.datasets.preparation import NOTHING, parse, prepare, split
from optimizers.datasets.several import arrays_of, inputs_of, joined
from optimizers.datasets.targets import read_targets
from optimizers.declarations import Dataset, Part
from optimizers.engine import origins
from optimizers.errors import DataRefused
from optimizers.records import DatasetSummary, InputRange, ModelSummary, TensorSpec

RANDOM = np.random.default_rng(5)


def model(shape, units=3, dtype="float32", known=None, activation="softmax"):
    return ModelSummary(
        format="made", keras_version="", layers=(), parameters=0, trainable_parameters=0, activation=activation,
        inputs=(TensorSpec(name="in", shape=shape, dtype=dtype),),
        outputs=(TensorSpec(name="out", shape=(units,), dtype="float32"),),
        input_ranges=(known,),
    )  # fmt: skip


def described(shape, dtype="uint8", task="classification", classes=("0", "1", "2"), high=255.0, n_labels=0):
    return DatasetSummary(
        task=task, input_shape=shape, input_dtype=dtype, n_train=1, n_validation=1, n_test=1, classes=classes,
        values=InputRange(low=0, high=high, whole=True), n_labels=n_labels or len(classes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "shape", "found"),
    [
        ((28, 28, 1), (28, 28), {}),
        ((32, 32, 3), (28, 28), {"channels": "rgb", "height": 32, "width": 32}),
        ((28, 28, 1), (32, 32, 3), {"channels": "grey", "height": 28, "width": 28}),
        ((32, 32, 3), (3, 32, 32), {"layout": "channels_last"}),
        ((None, None, 3), (40, 50), {"channels": "rgb"}),
        ((784,), (32, 32, 3), {"channels": "grey", "height": 28, "width": 28}),
        ((64,), (8, 8), {}),
        ((5,), (7,), {}),
        ((96, 64, 3), (120, 160, 3), {"height": 96, "width": 64}),
    ],
)
def test_shapes_tell_layout_channels_and_size(wanted, shape, found):
    assert shape_proposals.fitting(model(wanted), described(shape)) == found


def test_token_ids_get_the_length_and_the_vocabulary_of_the_model():
    words = model((80,), dtype="int32", known=InputRange(low=0, high=999, whole=True))
    data = described((200,), "int32", high=20_000)
    assert shape_proposals.fitting(words, data) == {"length": 80, "words": 1000}
    assert shape_proposals.fitting(words, described((80,), "int32", high=500)) == {}


def test_labels_that_do_not_count_from_zero_are_renumbered():
    from_one = described((8, 8), classes=("0", "1", "2", "3"), n_labels=3)
    assert shape_proposals.labels_wanted(model((8, 8, 1)), from_one) == {"labels": "ranked"}
    assert shape_proposals.labels_wanted(model((8, 8, 1), units=4), from_one) == {}
    assert shape_proposals.labels_wanted(model((8, 8, 1)), described((8, 8))) == {}


def table(folder, titles):
    """A CSV file with these columns of numbers, or words where the title is in capitals."""
    rows = [[f"{'low' if i % 2 else 'high'}" if t.isupper() else f"{i * n % 7 + n}.5" for n, t in enumerate(titles, 1)]
            for i in range(40)]  # fmt: skip
    file = folder / "table.csv"
    file.write_text("\n".join(",".join(row) for row in [titles, *rows]))
    return origins.load_dataset(str(file)).summary


@pytest.mark.parametrize(
    ("titles", "taken", "given", "found"),
    [
        ("a b c d e", 3, 2, "d,e"),
        ("y1 a y2 b c", 3, 2, "y1,y2"),
        ("a target b c d", 3, 2, "d,target"),
        ("Target_x a b c target-y", 3, 2, "Target_x,target-y"),
        ("y1 y2 y3 a b", 3, 2, "a,b"),
        ("a K b c d e", 5, 2, "d,e"),
        ("a b c d e", 4, 2, ""),
        ("a b c d e", 4, 1, ""),
        ("a b c d e", 3, 3, ""),
        ("a b c d K", 3, 2, ""),
    ],
)
def test_columns_to_predict_follow_from_what_the_model_takes_and_gives(titles, taken, given, found, tmp_path):
    data = table(tmp_path, titles.split())
    asked = model((taken,), units=given, activation="linear")
    assert shape_proposals.targets_wanted(asked, data) == ({"target": found} if found else {})
    if found:
        with pytest.raises(DataRefused, match=f"{taken} numbers and gives {given}.*for example target={found}"):
            fit.check_fit(asked.inputs, asked.outputs, data)


@pytest.mark.parametrize(
    ("output", "activation", "present", "found"),
    [
        ((6, 6, 3), "softmax", [0, 1, 2, 255], {"ignore": "255"}),
        ((6, 6, 1), "sigmoid", [0, 1, 255], {"ignore": "255"}),
        ((6, 6), "sigmoid", [0, 1, -1], {"ignore": "-1"}),
        ((6, 6, 19), "softmax", [0, 5, 18, -1, 255], {"ignore": "255,-1"}),
        ((6, 6, 256), "softmax", [0, 1, 2, 255], {}),
        ((6, 6, 4), "softmax", [0, 1, 2, 255], {}),
        ((6, 6, 1), "sigmoid", [0, 255], {}),
        ((6, 6, 1), "sigmoid", [0, 128, 255], {}),
        ((6, 6, 21), "softmax", [0, 15, 255], {"ignore": "255"}),
        ((6, 6, 3), "softmax", [0, 1, 2, 3], {}),
        ((6, 6), "linear", [0, 1, 5, -1], {}),
        ((3,), "softmax", [0, 1, 255], {}),
    ],
)
def test_labels_that_are_no_classes_of_the_model_are_proposed_not_to_count(output, activation, present, found):
    labels = np.resize(present, (4, 6, 6))
    told = read_targets(labels, "y")
    data = described((6, 6)).model_copy(
        update={
            "label_shape": (6, 6),
            "far_labels": told.far,
            "other_labels": told.others,
            "n_labels": len(present),
            "task": told.task,
        }
    )
    one = TensorSpec(name="out", shape=output, dtype="float32")
    asked = model((6, 6, 1), activation=activation).model_copy(update={"outputs": (one,)})
    assert shape_proposals.ignored(asked, data) == found


def images(n=600, low=0, high=255, dtype=np.uint8):
    """Bright or dark images of 8 x 8 pixels."""
    y = np.arange(n) % 2
    x = RANDOM.uniform(low, (low + high) / 2, (n, 8, 8)) + y[:, None, None] * (high - low) / 2
    x, y = x.astype(dtype), y.astype(np.int64)
    cuts = (n // 2, n * 3 // 4)
    parts = [Part(a, b) for a, b in zip(np.split(x, cuts), np.split(y, cuts), strict=True)]
    summary = described((8, 8), str(x.dtype), "binary", ("dark", "bright"))
    return Dataset(*parts, summary)


def threshold(limit, slope=40.0):
    """A model that says bright above a mean value: probability of shape (n, 1)."""
    return lambda x: 1 / (1 + np.exp(-np.clip(slope * (x.mean(axis=(1, 2, 3)) - limit), -60, 60)))[:, None]


BINARY = model((8, 8, 1), units=1, activation="sigmoid")


@pytest.mark.parametrize(
    ("data", "limit", "scaling"),
    [
        ({}, 0.5, "unit"),
        ({}, 0.0, "signed"),
        ({}, 127.5, "as_is"),
        ({"high": 1.0, "dtype": np.float32}, 127.5, "pixels"),
        ({"low": -1.0, "high": 1.0, "dtype": np.float32}, 0.5, "unit"),
    ],
)
def test_the_scaling_under_which_the_model_is_right_is_proposed(data, limit, scaling):
    found = proposals.propose(images(**data), "file:x", {}, BINARY, threshold(limit))
    uri, preparation = split(found.uri)
    assert (uri, preparation.scaling) == ("file:x", scaling)
    best = next(trial for trial in found.trials if trial.scaling == scaling)
    assert best.score > 0.95
    wrong = {trial.scaling for trial in found.trials if trial.score < 0.6}
    assert wrong
    assert all(trial.worse < 0.001 for trial in found.trials if trial.scaling in wrong)


def test_data_stay_as_they_are_where_nothing_is_proven_better():
    bright = proposals.propose(
        images(), "file:x", {}, BINARY, lambda x: x.reshape(len(x), -1).mean(axis=1)[:, None] > 1
    )
    assert split(bright.uri)[1].scaling in ("as_is", "standardize")
    constant = proposals.propose(images(), "file:x", {}, BINARY, lambda x: np.full((len(x), 1), 0.5))
    assert split(constant.uri)[1] == NOTHING
    assert "commonest class" in constant.notes[0]


def test_a_scaling_under_which_the_model_still_knows_nothing_is_not_proposed():
    """It answers the wrong way round, and less wrong where inputs are scaled so that it answers at random."""
    backwards = proposals.propose(images(), "file:x", {}, BINARY, lambda x: 1.0 - threshold(0.5)(x))
    assert any(trial.scaling != "as_is" for trial in backwards.trials)
    assert split(backwards.uri)[1] == NOTHING
    assert any("Values stay as they are" in note for note in backwards.notes)


@pytest.mark.parametrize("tokens", [False, True])
def test_each_of_several_inputs_gets_the_scaling_that_it_needs(tokens):
    """A model that adds up what an image from 0 to 1 and a table of deviations tell; either alone tells half."""
    y = np.arange(600) % 4
    image = RANDOM.integers(0, 120, (600, 8, 8, 1)) + 130 * (y % 2)[:, None, None, None]
    rows = (RANDOM.normal(0, 1, (600, 3)) + 4 * (y // 2)[:, None]) * [5, 50, 500] + 1000
    rows = (RANDOM.integers(0, 9, (600, 3)) + 9 * (y // 2)[:, None]) if tokens else rows.astype(np.float32)
    x = joined([image.astype(np.uint8), rows], ("image", "rows"))
    parts = [Part(a, b) for a, b in zip(np.split(x, [300, 500]), np.split(y, [300, 500]), strict=True)]
    inputs = inputs_of(x)
    data = Dataset(*parts, described((8, 8, 1), classes=tuple("0123")).model_copy(update={"inputs": inputs}))
    wanted = tuple(
        spec.model_copy(update={"dtype": "int32" if tokens and spec.name == "rows" else "float32"}) for spec in inputs
    )
    asked = model((8, 8, 1), units=4).model_copy(update={"inputs": wanted, "input_ranges": (None, None)})

    def answer(x):
        image, rows = arrays_of(x)
        bright = np.clip(40 * (0.2 - np.abs(image.mean(axis=(1, 2, 3)) - 0.75)), -30, 30)
        large = np.clip(rows.mean(axis=1) - 8.5 if tokens else 6 * rows.mean(axis=1), -30, 30)
        p, q = (1 / (1 + np.exp(-v)) for v in (bright, large))
        return np.stack([(1 - p) * (1 - q), p * (1 - q), (1 - p) * q, p * q], axis=1)

    found = proposals.propose(data, "file:x", {}, asked, answer)
    assert split(found.uri)[1].each_scaling == {"image": ("unit", "pixels")} | (
        {} if tokens else {"rows": ("standardize", "pixels")}
    )
    assert {trial.input for trial in found.trials} == ({"image"} if tokens else {"image", "rows"})
    best = next(trial for trial in found.trials if (trial.input, trial.scaling) == ("image", "unit"))
    assert best.score > 0.9
    prepared = prepare(data, split(found.uri)[1])
    assert prepared.train.x["image"].max() <= 1
    assert prepared.train.x.dtype["rows"].base == (np.int64 if tokens else np.float32)
    assert [spec.dtype for spec in prepared.summary.inputs] == ["float32", "int64" if tokens else "float32"]


def test_an_input_that_drowns_another_does_not_hide_what_that_needs():
    """As they are the model sees the stronger input alone, and with only that one scaled the weaker one alone."""
    image = np.repeat(RANDOM.integers(0, 256, (600, 1, 2, 1)), 4, axis=2) * np.ones((1, 8, 1, 1))
    rows = RANDOM.normal(0, 30, (600, 1))

    def lighter(image):
        return image[:, :, :4].mean(axis=(1, 2, 3)) - image[:, :, 4:].mean(axis=(1, 2, 3))

    y = (4 * lighter(image) / 255 + rows[:, 0] / 30 > 0).astype(np.int64)
    x = joined([image.astype(np.uint8), rows.astype(np.float32)], ("image", "rows"))
    parts = [Part(a, b) for a, b in zip(np.split(x, [300, 500]), np.split(y, [300, 500]), strict=True)]
    summary = described((8, 8, 1), task="binary", classes=("0", "1")).model_copy(update={"inputs": inputs_of(x)})
    wanted = tuple(spec.model_copy(update={"dtype": "float32"}) for spec in inputs_of(x))
    asked = model((8, 8, 1), units=1, activation="sigmoid").model_copy(
        update={"inputs": wanted, "input_ranges": (None, None)}
    )

    def answer(x):
        image, rows = arrays_of(x)
        logit = 5 * (4 * lighter(image) + rows[:, 0])
        return 1 / (1 + np.exp(-np.clip(logit, -30, 30)))[:, None]

    found = proposals.propose(Dataset(*parts, summary), "file:x", {}, asked, answer)
    assert split(found.uri)[1].each_scaling == {"image": ("unit", "pixels"), "rows": ("standardize", "pixels")}


def test_test_examples_are_never_looked_at():
    data = images()
    spoilt = Dataset(data.train, data.validation, Part(data.test.x[:0], data.test.y[:0]), data.summary)
    with_test = proposals.propose(data, "file:x", {}, BINARY, threshold(0.5))
    assert proposals.propose(spoilt, "file:x", {}, BINARY, threshold(0.5)) == with_test


def test_without_labels_nothing_is_tried():
    data = images()
    parts = [Part(p.x, np.zeros((len(p), 0), np.float32)) for p in (data.train, data.validation, data.test)]
    bare = Dataset(*parts, data.summary.model_copy(update={"task": "fidelity", "classes": ()}))
    found = proposals.propose(bare, "file:x", {}, BINARY, threshold(0.5))
    assert found.trials == ()
    assert "nothing to compare" in found.notes[0]


def test_a_real_model_gets_its_digits_back_whatever_was_done_to_them(queue, tmp_path):
    data = origins.load_dataset("sample:optdigits")
    x, y = np.concatenate([data.train.x, data.test.x]), np.concatenate([data.train.y, data.test.y])
    np.savez(tmp_path / "sixteen.npz", x=(x * 16).round().astype(np.uint8), y=y + 1)
    found = queue.driver.propose("sample:digits_cnn", f"file:{tmp_path}/sixteen.npz")
    assert (found.given["scaling"], found.given["labels"]) == ("min_max", "ranked")
    assert found.trials[0].score > 0.97
    assert queue.driver.inspect_dataset(found.uri)[1].classes[0] == "1"
    colour = np.repeat((x * 255).astype(np.uint8), 3, axis=-1).repeat(2, 1).repeat(2, 2).transpose(0, 3, 1, 2)
    np.savez(tmp_path / "colour.npz", x=colour, y=y)
    found = queue.driver.propose("sample:digits_cnn", f"{tmp_path}/colour.npz?scaling=torch")
    shape = {"layout": "channels_last", "channels": "grey", "height": 8, "width": 8}
    assert {name: found.given.get(name) for name in shape} == shape
    assert found.given["scaling"] in ("unit", "min_max")
    np.savez(tmp_path / "wrong.npz", x=x[:, 0], y=y)
    with pytest.raises(DataRefused, match="expects inputs of shape"):
        queue.driver.propose("sample:digits_cnn", f"{tmp_path}/wrong.npz")


def test_labels_that_are_refused_or_read_otherwise_are_mended(queue, tmp_path):
    data = origins.load_dataset("sample:optdigits")
    np.savez(tmp_path / "decimal.npz", x=data.train.x, y=data.train.y.astype(np.float32))
    found = queue.driver.propose("sample:digits_cnn", f"{tmp_path}/decimal.npz")
    assert {"task": "classification", "labels": "ranked"}.items() <= found.given.items()
    assert found.trials[0].score > 0.97
    miles = origins.load_dataset("sample:auto_mpg")
    few = np.where(np.arange(len(miles.train)) % 2, 3, 4)
    few[0] = 9  # one of few whole numbers that occurs once
    np.savez(tmp_path / "few.npz", x=miles.train.x, y=few)
    found = queue.driver.propose("sample:mpg_mlp", f"{tmp_path}/few.npz")
    assert (found.task, found.given["task"]) == ("regression", "regression")


def test_ranked_labels_may_be_any_whole_numbers(tmp_path):
    np.savez(tmp_path / "a.npz", x=RANDOM.random((40, 3)), y=np.where(np.arange(40) % 2, 1, -1))
    with pytest.raises(DataRefused, match="labels=ranked"):
        origins.load_dataset(f"{tmp_path}/a.npz")
    found = origins.load_dataset(f"{tmp_path}/a.npz?labels=ranked")
    assert (found.summary.classes, set(found.train.y.tolist())) == (("-1", "1"), {0, 1})
    assert parse("labels=ranked").reading == {"labels": "ranked"}
