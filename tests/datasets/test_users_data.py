"""Data as people save them: what is read differently from what they meant, and what they are told."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.datasets import proposals, shape_proposals, vocabulary
from optimizers.datasets.files import load_file
from optimizers.datasets.fit import adapt_dataset, check_fit
from optimizers.datasets.labels_fit import remark
from optimizers.datasets.preparation import parse, prepare
from optimizers.errors import DataRefused
from optimizers.records import InputRange, ModelSummary, TensorSpec

RANDOM = np.random.default_rng(11)


def spec(*shape, dtype="float32"):
    return TensorSpec(name="t", shape=shape, dtype=dtype)


def model(inputs, outputs, activation="", ranges=()):
    return ModelSummary(
        format="keras", keras_version="3", inputs=(inputs,), outputs=(outputs,), layers=(), parameters=1,
        trainable_parameters=1, activation=activation, input_ranges=ranges,
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    """Writes a file and reads it as data."""

    def save(content, query="", name="t.csv"):
        path = tmp_path / name
        if isinstance(content, dict):
            np.savez(path, **content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
        preparation = parse(query) if query else parse("scaling=as_is")
        return prepare(load_file(path, preparation), preparation)

    return save


def rows(template, n=30, words="abc"):
    return "".join(template.format(i=i, word=words[i % len(words)]) + "\n" for i in range(1, n + 1))


def test_codes_with_underscores_are_words(saved):
    text = "a,kind\n" + "".join(f"{i},{('1_0', '10')[i % 2]}\n" for i in range(20))
    assert saved(text).summary.classes == ("10", "1_0")
    features = "code,y\n" + "".join(f"{('1_0', '10')[i % 2]},{i}.5\n" for i in range(20))
    assert saved(features).summary.features == ("code=10", "code=1_0")


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_truth_values_are_one_feature(saved, yes, no):
    data = saved("smokes,y\n" + "".join(f"{yes if i % 3 else no},{i % 2}\n" for i in range(30)))
    assert data.summary.features == ("smokes",)
    assert set(np.unique(data.train.x)) == {0.0, 1.0}
    assert saved("x,y\n" + "".join(f"{i},{yes if i % 3 else no}\n" for i in range(30))).summary.classes == (
        "False",
        "True",
    )


def test_tables_of_other_programs_are_read(saved):
    text = "a, in cm;kind\n" + "".join(f"{i};{i % 2}\n" for i in range(20))
    assert saved(text).summary.features == ("a, in cm",)
    assert saved(text.encode("utf-16")).summary.features == ("a, in cm",)
    trailing = saved("a,b,\n" + "".join(f"{i},{i % 2},\n" for i in range(20)))
    assert (trailing.summary.features, trailing.summary.classes) == (("a",), ("0", "1"))
    commas = saved("a;kind\n" + "".join(f"{i},5;{i % 2}\n" for i in range(20)))
    assert set(np.concatenate([commas.train.x, commas.validation.x, commas.test.x])[:, 0]) == {
        i + 0.5 for i in range(20)
    }
    with pytest.raises(DataRefused, match=r"'a' of t\.csv holds numbers with commas, such as 0,500; save"):
        saved("a,kind\n" + "".join(f'"{i},500",{i % 2}\n' for i in range(20)))


def test_arrays_by_short_names_and_without_labels(saved, tmp_path):
    x, y = RANDOM.random((40, 3)), np.arange(40) % 2
    parts = saved({"X_tr": x[:30], "y_tr": y[:30], "X_te": x[30:], "y_te": y[30:]}, name="t.npz")
    assert (parts.summary.n_test, parts.summary.classes) == (10, ("0", "1"))
    np.save(tmp_path / "alone.npy", x)
    alone = load_file(tmp_path / "alone.npy")
    assert (alone.summary.task, alone.summary.input_shape) == ("fidelity", (3,))
    assert not any("proportion" in note for note in alone.summary.notes)
    assert adapt_dataset(alone, (spec(3),), (spec(3),)).summary.task == "reconstruction"
    damaged = tmp_path / "damaged.npy"
    damaged.write_bytes((tmp_path / "alone.npy").read_bytes()[:-8])
    with pytest.raises(DataRefused, match=r"The array in damaged\.npy is not a readable NumPy array"):
        load_file(damaged)


def test_a_classifier_names_the_column_that_it_tells(saved):
    data = saved("sl,sw,species,pl,pw\n" + rows("{i}.5,{i},{word},{i}.25,0.{i}")).summary
    flower = model(spec(4), spec(3), "softmax")
    assert shape_proposals.targets_wanted(flower, data) == {"target": "species"}
    with pytest.raises(DataRefused, match=r"if another column is predicted: add target=species\."):
        check_fit(flower.inputs, flower.outputs, data, activation="softmax")
    other = model(spec(4), spec(3), "linear")
    assert shape_proposals.targets_wanted(other, data) == {"target": "sw,pl,pw"}


def test_shares_after_a_softmax_are_columns_to_predict(saved):
    text = "a,b,p,q,r\n" + "".join(f"{i},{i}.5,0.2,0.{3 + i % 2},0.{5 - i % 2}\n" for i in range(30))
    data = saved(text).summary
    assert shape_proposals.targets_wanted(model(spec(2), spec(3), "softmax"), data) == {"target": "p,q,r"}


def test_words_of_a_table_that_does_not_fit_are_counted(saved):
    data = saved("colour,size,y\n" + rows("{word},{i}%,{i}", words=["red", "blue"])).summary
    with pytest.raises(DataRefused, match=r"\(columns of words have a feature for each word: 'colour' 2, 'size' 30\)"):
        check_fit((spec(2),), (spec(1),), data)


@pytest.mark.parametrize("activation", ["linear", "relu", "softplus", "exponential", ""])
def test_one_unit_estimates_whole_numbers(saved, activation):
    data = saved({"x": RANDOM.random((70, 3)), "y": np.arange(70) % 7}, name="t.npz").summary
    assert check_fit((spec(3),), (spec(1),), data, activation=activation) == "regression"


def test_a_count_that_occurs_once_may_be_a_number(saved):
    y = np.append(np.arange(69) % 7, 12)
    with pytest.raises(DataRefused, match=r"class '12'; .*add task=regression\.") as refused:
        saved({"x": RANDOM.random((70, 3)), "y": y}, name="t.npz")
    wanted = shape_proposals.reading_wanted
    assert wanted(model(spec(3), spec(1), "softplus"), refused.value.code) == {"task": "regression"}
    assert wanted(model(spec(3), spec(13), "softmax"), refused.value.code) == {}


def test_two_classes_below_zero_are_numbered_for_a_sigmoid(saved):
    x, y = RANDOM.random((70, 3)), np.arange(70) % 2 * 2 - 1
    with pytest.raises(DataRefused, match="holds the label -1") as refused:
        saved({"x": x, "y": y}, name="t.npz")
    wanted = shape_proposals.reading_wanted
    assert wanted(model(spec(3), spec(1), "sigmoid"), refused.value.code) == {"labels": "ranked"}
    assert wanted(model(spec(3), spec(1), "tanh"), refused.value.code) == {"task": "regression"}
    decimal = saved({"x": x, "y": y.astype(np.float32)}, name="u.npz").summary
    found = shape_proposals.task_wanted(model(spec(3), spec(1), "sigmoid"), decimal)
    assert found == {"task": "classification", "labels": "ranked"}


def test_classes_saved_as_decimal_numbers_are_proposed_to_be_classes(saved):
    data = {"x": RANDOM.random((70, 3)), "y": (np.arange(70) % 7).astype(np.float32)}
    read = saved(data, name="t.npz").summary
    assert read.task == "regression"
    assert shape_proposals.task_wanted(model(spec(3), spec(1), "linear"), read) == {}
    found = shape_proposals.task_wanted(model(spec(3), spec(9), "softmax"), read)
    assert found == {"task": "classification"}
    assert saved(data, "task=classification", name="t.npz").summary.classes == tuple("0123456")
    with pytest.raises(DataRefused, match="task=classification takes"):
        check_fit((spec(3),), (spec(7),), read)


def test_fewer_names_than_classes_are_told(saved):
    named = saved("a,kind\n" + rows("{i},n{word}", words="015")).summary
    told = remark((spec(10),), named, "classification")
    assert told.startswith("The data name 3 classes and the model tells 10 apart: in alphabetical order")
    assert remark((spec(3),), named, "classification") == ""
    numbered = saved("a,kind\n" + rows("{i},{word}", words="015")).summary
    assert remark((spec(10),), numbered, "classification") == ""


def test_numbers_that_a_table_does_not_hold_are_refused_and_made_to_fit(saved):
    x = RANDOM.integers(0, 60, (80, 12))
    x[:, 9:] = -1
    y = np.arange(80) % 2
    reader = model(spec(12, dtype="int32"), spec(1), "sigmoid", (InputRange(low=0, high=49, whole=True, strict=True),))
    data = saved({"x": x, "y": y}, name="t.npz")
    with pytest.raises(DataRefused, match=r"numbers from 0 to 49 up in a table, but t holds -1; .*words=50"):
        vocabulary.check_summary(reader, data.summary, "t")
    assert shape_proposals.fitting(reader, data.summary) == {"words": 50}
    fitted = saved({"x": x, "y": y}, "words=50", name="t.npz")
    vocabulary.check_summary(reader, fitted.summary, "t")
    vocabulary.check_examples(reader, fitted, "t")
    assert (fitted.train.x.min(), fitted.train.x.max()) == (0, 49)
    lax = reader.model_copy(update={"input_ranges": (InputRange(low=0, high=49, whole=True),)})
    vocabulary.check_examples(lax, data, "t")


def test_pixels_may_be_decimal_numbers():
    image = RANDOM.integers(0, 256, (20, 16, 16, 3)).astype(np.float32)
    tried = set(proposals.candidates(image))
    assert {("signed", "pixels"), ("unit", "pixels"), ("torch", "pixels")} <= tried
    table = {scaling for scaling, _ in proposals.candidates(np.linspace(0, 200, 60, dtype=np.float32).reshape(20, 3))}
    assert table == {"as_is", "min_max", "standardize"}


def test_a_series_that_looks_like_an_image_may_be_scaled_column_by_column(saved):
    x = RANDOM.random((50, 24, 14)).astype(np.float32) * 10.0 ** np.arange(14)
    content = {"x": x, "y": RANDOM.random(50)}
    assert {"standardize", "standardize_columns"} <= {scaling for scaling, _ in proposals.candidates(x)}
    series, image = (saved(content, f"scaling={way}", name="t.npz") for way in ("standardize_columns", "standardize"))
    assert series.train.x.std(axis=(0, 1)) == pytest.approx(np.ones(14), rel=1e-3)
    assert image.train.x.std() == pytest.approx(1, rel=1e-3)
    assert "Every feature has mean 0" in series.summary.notes[-1]
    assert "All of an image's pixels" in image.summary.notes[-1]
