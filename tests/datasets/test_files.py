from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optimizers import registry
from optimizers.datasets.files import load_file
from optimizers.datasets.formats.arrays import read_arrays
from optimizers.errors import DataRefused
from optimizers.records import digest_of_path

RANDOM = np.random.default_rng(0)
X = RANDOM.random((50, 8, 8))
Y = np.arange(50) % 5


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture
def table(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "data.csv"
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return path

    return write


def refusal(path, **arguments):
    with pytest.raises(DataRefused) as caught:
        load_file(path, **arguments)
    assert caught.value.message.endswith(".")
    return caught.value


def test_parts_that_are_given_are_kept(npz):
    data = load_file(npz(X_train=X, Y_train=Y, x_val=X[:10], y_val=Y[:10], x_test=X[10:40], y_test=Y[10:40]))
    assert (len(data.train), len(data.validation), len(data.test)) == (50, 10, 30)
    np.testing.assert_array_equal(data.test.x, X[10:40].astype(np.float32))
    assert data.summary.task == "classification"
    assert "30 of 30 test examples are also in the training part, which makes the test too easy." in data.summary.notes


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("x_train", "y_train")])
def test_missing_parts_are_set_aside_in_proportion(npz, names):
    path = npz(**dict(zip(names, (X, Y), strict=True)))
    data, again = load_file(path), load_file(path)
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 10)
    assert np.bincount(data.test.y).tolist() == [2] * 5
    np.testing.assert_array_equal(data.test.x, again.test.x)
    told = "The file has no validation and no test part: 10 for validation and 10 for the test were set aside, "
    assert any(note.startswith(told) for note in data.summary.notes)


def test_only_what_is_missing_is_set_aside(npz):
    data = load_file(npz(x_train=X, y_train=Y, x_test=X, y_test=Y))
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 10, 50)
    data = load_file(npz(x_train=X, y_train=Y, x_valid=X, y_valid=Y))
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 50, 10)


@pytest.mark.parametrize(
    ("dtype", "loaded"),
    [("uint8", "uint8"), ("int64", "int32"), ("float64", "float32"), ("float16", "float32"), ("bool", "float32")],
)
def test_dtypes(npz, dtype, loaded):
    data = load_file(npz(x=(X * 200).astype(dtype), y=Y))
    assert data.train.x.dtype == data.test.x.dtype == loaded == data.summary.input_dtype


def test_regression_words_and_vectors(npz):
    data = load_file(npz(x=X[:, 0], y=RANDOM.random(50)))
    assert (data.summary.task, data.train.y.dtype) == ("regression", np.float32)
    assert data.summary.preview["kind"] == "table"
    data = load_file(npz(x=X[:, 0, 0], y=np.array(["no", "yes"])[Y % 2]))
    assert (data.summary.task, data.summary.classes, data.summary.input_shape) == ("binary", ("no", "yes"), (1,))


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((8, 8), "images"), ((8, 8, 3), "images"), ((16, 5), "sequences"), ((4,), "table"), ((2, 2, 2, 2), "none")],
)
def test_previews_are_plain_json_of_training_examples(npz, shape, kind):
    preview = load_file(npz(x=RANDOM.random((20, *shape)), y=np.arange(20) % 2)).summary.preview
    assert preview["kind"] == kind
    json.dumps(preview, allow_nan=False)


def nan_at(*where):
    x = X.copy()
    x[where] = np.nan
    return x


@pytest.mark.parametrize(
    ("arrays", "code", "message"),
    [
        (
            {"x": X, "y": Y[:40]},
            "lengths-differ",
            "x in data.npz has 50 examples, but y has 40 labels; they must be as many.",
        ),
        (
            {"x": nan_at(0, 0), "y": Y},
            "not-finite",
            "x in data.npz has 8 NaN values; correct or remove these examples.",
        ),
        ({"x": X * np.inf, "y": Y}, "not-finite", "x in data.npz has 3200 infinite values; correct or"),
        ({"x": X * 1e300, "y": Y}, "not-finite", "x in data.npz has numbers beyond the range of float32; scale them."),
        ({"x": X, "y": Y * np.nan}, "not-finite", "y in data.npz has 50 NaN values"),
        ({"x": X, "x_test": X, "y_test": Y}, "no-labels", "data.npz has x but no labels; add an array y."),
        ({"y": Y}, "no-examples", "data.npz has y but no examples; add an array x."),
        (
            {"a": X, "b": Y},
            "no-examples",
            "data.npz has no examples to train on; name its arrays x_train and y_train, or",
        ),
        ({"x_test": X, "y_test": Y}, "no-examples", "data.npz has no examples to train on"),
        (
            {"x": X, "y": Y - 1},
            "numbered-otherwise",
            "y in data.npz holds the label -1; number the classes 0, 1, 2 and so on,",
        ),
        ({"x": X[:9], "y": Y[:9]}, "too-few", "data.npz has 9 examples; at least 10 are needed."),
        (
            {"x": X, "y": (np.arange(50) == 3) * 1},
            "lone-class",
            "data.npz has one example of class '1'; every class needs",
        ),
        ({"x": X[:0], "y": Y[:0]}, "too-few", "x in data.npz is empty"),
        ({"x": X[:, :0], "y": Y}, "too-few", "have shape (0, 8), which is empty"),
        (
            {"x": X.astype(object), "y": Y},
            "pickled",
            "x in data.npz holds pickled Python objects, which are not opened",
        ),
        ({"x": X, "y": Y.astype(object)}, "pickled", "y in data.npz holds pickled"),
        ({"x": X.astype(complex), "y": Y}, "odd-dtype", "x in data.npz has dtype complex128"),
        ({"x": X.astype(str), "y": Y}, "odd-dtype", "x in data.npz holds words; save it as numbers."),
        ({"x": np.float32(1), "y": Y}, "bad-labels", "x or y in data.npz is a single value"),
        ({"x": X, "X": X, "y": Y}, "ambiguous-arrays", "data.npz has both X and x; keep one of them."),
        (
            {"x_train": X, "y_train": Y, "x_val": X, "y_val": Y, "x_valid": X, "y_valid": Y},
            "ambiguous-arrays",
            "data.npz has both x_val and x_valid; keep one of them.",
        ),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, 0], "y_test": Y},
            "shapes-differ",
            "The examples in data.npz differ in shape: x_train (8, 8), x_test (8,); make them alike.",
        ),
        (
            {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y.astype(str)},
            "bad-labels",
            "The labels of the parts of data.npz differ in kind or shape; make them alike.",
        ),
        ({f"a{i}": Y for i in range(65)}, "too-many-arrays", "data.npz holds 65 arrays, more than 64"),
    ],
)
def test_bad_arrays_are_refused_in_one_clear_sentence(npz, arrays, code, message):
    error = refusal(npz(**arrays))
    assert error.code == code
    assert message in error.message


def test_damaged_and_foreign_files_are_refused(npz, tmp_path):
    path = npz(x=X, y=Y)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(path).code == "damaged"
    broken = bytearray(whole)
    broken[500] ^= 255
    path.write_bytes(broken)
    assert refusal(path).code == "damaged"
    path.write_bytes(b"")
    assert refusal(path).message == "data.npz is empty; choose a file with examples."
    path.write_bytes(b"\x89HDF\r\n\x1a\n\0\0")
    assert refusal(path).message.startswith("data.npz is in no format that is read here; choose one of: NumPy arrays,")
    assert refusal(tmp_path / "none.npz").code == "missing-file"


def test_large_files_are_refused(npz):
    error = refusal(npz(x=X, y=Y), max_bytes=1 << 14, name="mine.npz")
    assert error.code == "too-large"
    assert error.message.startswith("mine.npz has ")


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + b"12345678")
    with pytest.raises(DataRefused, match=r"x in data.npz is not a readable NumPy array"):
        read_arrays(path, "data.npz")


def csv_rows(row, n=20):
    return "\n".join(row.format(i=i, odd=i % 2, word=("red", "blue")[i % 2], part=i / 7) for i in range(n))


def test_a_table_with_words_becomes_one_hot(table):
    data = load_file(table("size,colour,label\n" + csv_rows("{part},{word},{odd}")))
    assert data.summary.features == ("size", "colour=blue", "colour=red")
    assert (data.summary.task, data.summary.n_train) == ("binary", 12)
    assert set(data.train.x[:, 1:].sum(axis=1)) == {1.0}
    assert data.summary.preview["rows"][1] == [pytest.approx(1 / 7), "blue", 1]
    assert "The column to predict is 'label'." in data.summary.notes


@pytest.mark.parametrize("separator", [",", ";", "\t", "   "])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_separators_endings_and_byte_order_marks(table, separator, ending):
    text = ("Class,a\n" + csv_rows("{word},{i}")).replace(",", separator).replace("\n", ending)
    data = load_file(table(text, "utf-8-sig"))
    assert data.summary.classes == ("blue", "red")
    assert data.summary.features == ("a",)


def test_the_last_column_is_the_target_unless_another_is_named_so(table):
    data = load_file(table("a,b,c\n" + csv_rows("{i},{word},{part}")))
    assert data.summary.task == "regression"
    data = load_file(table("a,Target,c\n" + csv_rows("{i},{word},{part}")))
    assert data.summary.classes == ("blue", "red")


def test_years_and_numbered_pixels_are_names(table):
    data = load_file(table("label,0,1,2\n" + csv_rows("{word},{i},{i},{part}")))
    assert data.summary.features == ("0", "1", "2")


def test_row_numbers_of_pandas_are_left_out(table):
    data = load_file(table(",a,y\n" + csv_rows("{i},{part},{word}")))
    assert data.summary.features == ("a",)
    assert "The nameless first column counts the rows and was left out." in data.summary.notes


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("\n\n", "no-header", "data.csv has no column names in its first line; add them."),
        ("1,2,3\n" + csv_rows("{i},{i},{odd}"), "no-header", "holds numbers instead of column names"),
        ('18.0   8   307.0   130.0\t"chevrolet malibu"\n' + csv_rows("{i}"), "no-header", "numbers instead of column"),
        (
            "5.1,3.5,1.4,0.2,Iris-setosa\n" + csv_rows("{i},{i},{i},{i},{word}"),
            "no-header",
            "numbers instead of column",
        ),
        (
            'mpg  year\tname\n18.0  70\t"chevrolet malibu"\n?  71\t"buick"',
            "not-finite",
            "Column 'mpg' of data.csv has 1 missing value; fill",
        ),
        ("a,b,y", "too-few", "data.csv has column names but no rows; add examples."),
        ("a,y\n1,2,3", "not-csv", "Line 2 of data.csv has 3 values, but the header has 2; correct it."),
        ("a,y\n1", "not-csv", "Line 2 of data.csv has 1 values"),
        ('a,y\n"1,2', "not-csv", "is not valid CSV"),
        (
            "a,y\n" + csv_rows("{i},{odd}") + "\n,1\n,0",
            "not-finite",
            "Column 'a' of data.csv has 2 missing values; fill",
        ),
        ("a,y\ninf,1\n" + csv_rows("{i},{odd}"), "not-finite", "Column 'a' of data.csv has 1 infinite value; correct"),
        ("a,y\n1e300,1\n" + csv_rows("{i},{odd}"), "not-finite", "beyond the range of float32"),
        (
            "a,a,y\n" + csv_rows("{i},{i},{odd}"),
            "doubled-column",
            "data.csv has several columns named 'a'; rename them.",
        ),
        (",a,y\n" + csv_rows("7,{i},{odd}"), "no-header", "The first column of data.csv has no name"),
        ("y\n" + csv_rows("{odd}"), "no-labels", "data.csv has one column"),
        (
            "n,y\n" + csv_rows("car {i},{odd}", 200),
            "too-many-words",
            "Column 'n' of data.csv holds 200 different words",
        ),
        ("n,y\n" + csv_rows("{i} " + "long" * 100 + ",{odd}"), "too-many-words", "holds a text of"),
        ("a,y\n" + csv_rows("{i},{odd}", 9), "too-few", "data.csv has 9 examples; at least 10 are needed."),
        ("a,y\n" + csv_rows("{i},1"), "bad-labels", "All labels in column 'y' of data.csv are equal"),
        ("ä,y\n".encode("latin-1"), "unknown-format", "is not text in UTF-8"),
        (b"PK\x03\x04a,y\n1,2\n", "damaged", "is damaged or was not copied completely"),
    ],
)
def test_bad_tables_are_refused_in_one_clear_sentence(table, text, code, message):
    error = refusal(table(text))
    assert message in error.message
    assert error.code == code


def test_the_origin_names_files_by_path_and_digest(npz):
    origin = registry.dataset_origins()["file"]
    path = npz(x=X, y=Y)
    ref = origin.resolve(str(path))
    assert (ref.uri, ref.name, ref.scope) == (f"file:{path}", "data.npz", "local")
    assert ref.digest == digest_of_path(path)
    assert origin.list() == ()
    assert origin.load(str(path)).summary.n_train == 30
    with pytest.raises(DataRefused, match="There is no file"):
        origin.resolve("/nowhere/data.npz")


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def only_refuses(path):
    try:
        data = load_file(path)
    except DataRefused:
        return
    assert min(len(data.train), len(data.validation), len(data.test)) > 0
    assert np.isfinite(data.train.x).all()
    json.dumps(data.summary.model_dump(mode="json"), allow_nan=False)


cells = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=4),
    st.sampled_from(["0", "1", "a", '"', "", "1e999"]),
)


@FUZZ
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_loaded_or_refused(table, content):
    only_refuses(table(content))


@FUZZ
@given(st.lists(st.text(max_size=3), min_size=1, max_size=4), st.data(), st.sampled_from(",;\t"))
def test_any_table_is_loaded_or_refused(table, header, data, separator):
    lines = data.draw(st.lists(st.lists(cells, min_size=len(header), max_size=len(header)), max_size=25))
    only_refuses(table("\n".join(separator.join(line) for line in [header, *lines])))


@FUZZ
@given(
    hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(max_dims=3, max_side=14)),
    hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(max_dims=2, max_side=14)),
    st.integers(1, 20),
)
def test_any_arrays_are_loaded_or_refused(npz, x, y, repeat):
    only_refuses(npz(x=np.tile(x, (repeat,) + (1,) * (x.ndim - 1)), y=np.tile(y, (repeat,) + (1,) * (y.ndim - 1))))


@FUZZ
@given(st.data())
def test_any_change_to_a_good_file_is_loaded_or_refused(npz, data):
    path = npz(x=X[:12], y=Y[:12] % 2)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    only_refuses(path)


def test_examples_without_labels_are_split_alike_and_claim_no_labels(npz):
    data = load_file(npz(x=X))
    assert (data.summary.task, data.summary.classes, data.summary.drawn) == ("fidelity", (), False)
    assert [part.y.shape for part in (data.train, data.validation, data.test)] == [(30, 0), (10, 0), (10, 0)]
    assert set(data.summary.preview["labels"]) == {""}
    assert len(data.summary.preview["labels"]) == len(data.summary.preview["images"])
    np.testing.assert_array_equal(data.test.x, load_file(npz(x=X)).test.x)
