"""Formats of data files: what each understands and what it refuses."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from optimizers import registry
from optimizers.datasets import preparation
from optimizers.datasets.files import load_file
from optimizers.engine import origins
from optimizers.errors import DataRefused

RANDOM = np.random.default_rng(3)
X = RANDOM.integers(0, 255, (40, 8, 8)).astype(np.uint8)
Y = np.arange(40) % 4


def refused(path: Path, query: str = "") -> DataRefused:
    with pytest.raises(DataRefused) as caught:
        load_file(path, preparation.parse(query) if query else preparation.NOTHING)
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value


def png(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind)
    return buffer.getvalue()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_every_format_is_found_by_its_folder_and_asked_in_order_of_rank():
    formats = registry.data_formats()
    folder = Path(origins.__file__).parents[1] / "datasets" / "formats"
    assert len(formats) == len([file for file in folder.glob("*.py") if file.stem != "__init__"])
    assert list(formats)[-1] == "csv"
    assert all(not f.recognises(Path("none"), b"") for f in formats.values() if f.name != "csv")


@pytest.mark.parametrize(
    ("x", "y"),
    [("x", "y"), ("X_train", "y_train"), ("images", "labels"), ("train_images", "train_labels"), ("trainX", "trainY"),
     ("digits-features", "digits-targets"), ("data", "target")],
)  # fmt: skip
def test_arrays_are_found_by_the_usual_names(x, y, tmp_path):
    np.savez(tmp_path / "a.npz", **{x: X, y: Y})
    data = load_file(tmp_path / "a.npz")
    assert (data.summary.task, data.summary.input_shape, len(data.train)) == ("classification", (8, 8), 24)
    folder = tmp_path / "pair"
    folder.mkdir()
    np.save(folder / f"{x}.npy", X)
    np.save(folder / f"{y}.npy", Y)
    pair = load_file(folder)
    np.testing.assert_array_equal(pair.test.x, data.test.x)
    np.testing.assert_array_equal(pair.test.y, data.test.y)
    assert origins.load_dataset(f"file:{folder}").summary.classes == data.summary.classes


def test_other_arrays_beside_x_and_y_do_not_matter(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y, x_mean=X.mean(axis=0), note=np.array("hello"))
    assert load_file(tmp_path / "a.npz").train.x.shape == (24, 8, 8)


def test_fortran_order_and_big_endian_numbers_come_out_right(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.asfortranarray(X.astype(">f8")), y=Y.astype(">i4"))
    np.savez(tmp_path / "b.npz", x=X.astype(np.float32), y=Y)
    one, other = load_file(tmp_path / "a.npz"), load_file(tmp_path / "b.npz")
    np.testing.assert_array_equal(one.train.x, other.train.x)
    np.testing.assert_array_equal(one.train.y, other.train.y)


def test_a_parquet_table_is_read_as_the_same_csv_table(tmp_path):
    frame = pd.DataFrame(
        {
            "size": RANDOM.random(30),
            "rooms": RANDOM.integers(1, 6, 30),
            "colour": np.array(["red", "blue", "green"])[np.arange(30) % 3],
            "class": np.array(["cheap", "dear"])[np.arange(30) % 2],
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.astype({"colour": "category"}).to_parquet(tmp_path / "t.parquet")
    text, parquet = load_file(tmp_path / "t.csv"), load_file(tmp_path / "t.parquet")
    assert parquet.summary.classes == ("cheap", "dear")
    assert parquet.summary.features == text.summary.features
    np.testing.assert_array_equal(parquet.train.y, text.train.y)
    np.testing.assert_allclose(parquet.train.x, text.train.x, rtol=1e-6)
    prices = load_file(tmp_path / "t.parquet", preparation.of({"target": "size"}))
    assert prices.summary.task == "regression"
    assert "no column 'price'" in refused(tmp_path / "t.parquet", "target=price").message


def test_truth_values_of_a_parquet_table_are_features_and_labels(tmp_path):
    frame = pd.DataFrame({"lit": np.arange(20) % 3 == 0, "n": np.arange(20), "label": np.arange(20) % 2 == 0})
    frame.to_parquet(tmp_path / "t.parquet")
    data = load_file(tmp_path / "t.parquet")
    assert (data.summary.features, data.summary.classes) == (("lit", "n"), ("False", "True"))
    assert set(np.unique(data.train.x[:, 0])) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("columns", "code", "message"),
    [
        ({"a": [1.0, None] * 10, "y": [0, 1] * 10}, "not-finite", "Column 'a' of t.parquet has 10 missing values"),
        ({"a": [[1, 2]] * 20, "y": [0, 1] * 10}, "odd-dtype", "Column 'a' of t.parquet holds list"),
        ({"a": pd.date_range("2020-01-01", periods=20), "y": [0, 1] * 10}, "odd-dtype", "holds timestamp"),
        ({"a": [np.inf, 0.0] * 10, "y": [0, 1] * 10}, "not-finite", "has 10 infinite values"),
        ({"a": [], "y": []}, "too-few", "t.parquet has no rows"),
    ],
)
def test_bad_parquet_tables_are_refused_in_words(columns, code, message, tmp_path):
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    error = refused(tmp_path / "t.parquet")
    assert (error.code, message in error.message) == (code, True), error.message


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
def test_cut_parquet_files_are_refused(keep, tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": np.arange(1000.0), "y": np.arange(1000) % 2}).to_parquet(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    assert refused(path).code == "damaged"


def classes(count: int = 12, size: tuple[int, int] = (10, 12), **options: str) -> dict[str, bytes]:
    made = {}
    for number in range(count):
        for label, shade in (("dark", 40), ("light", 200)):
            pixels = np.full((*size, 3), shade, np.uint8) + RANDOM.integers(0, 9, (*size, 3)).astype(np.uint8)
            made[f"{label}/{number}.png"] = png(pixels, **options)
    return made


def test_images_in_class_folders(tmp_path):
    data = load_file(packed(tmp_path / "a.zip", classes()))
    assert data.summary.classes == ("dark", "light")
    assert data.train.x.shape[1:] == (10, 12, 3)
    assert data.train.x.dtype == np.uint8
    assert all((x.mean() > 100) == y for x, y in zip(data.test.x, data.test.y, strict=True))


def test_a_folder_an_outer_folder_and_a_zip_file_give_the_same_images(tmp_path):
    files = classes()
    for name, content in files.items():
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(content)
    clutter = {"__MACOSX/pets/dark/._0.png": b"junk", "pets/.DS_Store": b"junk", "pets/readme.txt": b"hello"}
    whole = packed(tmp_path / "a.zip", {f"pets/{name}": content for name, content in files.items()} | clutter)
    zipped, folder = load_file(whole), load_file(tmp_path / "pets")
    np.testing.assert_array_equal(zipped.train.x, folder.train.x)
    assert "1 file that is no image was left out." in zipped.summary.notes


def test_parts_are_taken_from_folders(tmp_path):
    files = {f"set/train/{name}": content for name, content in classes().items()}
    files |= {f"set/val/{name}": content for name, content in classes(3).items()}
    files |= {f"set/test/{name}": content for name, content in classes(4).items()}
    data = load_file(packed(tmp_path / "a.zip", files))
    assert (len(data.train), len(data.validation), len(data.test)) == (24, 6, 8)


def test_sizes_that_differ_need_a_choice_and_are_resized_by_it(tmp_path):
    path = packed(tmp_path / "a.zip", classes() | {"dark/wide.png": png(np.full((6, 30, 3), 40, np.uint8))})
    assert "differ in size, from 12 x 10 to 30 x 6 pixels" in refused(path).message
    data = load_file(path, preparation.of({"height": 8, "width": 8, "channels": "grey"}))
    assert data.train.x.shape[1:] == (8, 8)
    assert "Images were resized to 8 x 8 pixels." in data.summary.notes
    prepared = origins.load_dataset(f"file:{path}?height=8&width=8&channels=bgr&scaling=unit")
    assert prepared.train.x.shape[1:] == (8, 8, 3)
    assert prepared.train.x.max() <= 1


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "L"), ("PNG", "1"), ("BMP", "RGB"), ("GIF", "P"), ("WEBP", "RGBA"),
                                            ("PNG", "LA"), ("JPEG", "CMYK"), ("PPM", "RGB")])  # fmt: skip
def test_image_kinds_and_colour_modes(kind, mode, tmp_path):
    data = load_file(packed(tmp_path / "a.zip", classes(8, kind=kind, mode=mode)))
    assert data.train.x.shape[1:] == ((10, 12) if mode in ("L", "1", "LA") else (10, 12, 3))
    light = data.train.x[data.train.y == 1].mean(axis=(1, 2)).mean()
    assert light - data.train.x[data.train.y == 0].mean(axis=(1, 2)).mean() > 100


def test_images_of_sixteen_bits_keep_their_upper_eight(tmp_path):
    files = {f"{label}/{i}.png": png(np.full((9, 9), shade * 256 + 77, np.uint16))
             for label, shade in (("a", 10), ("b", 250)) for i in range(10)}  # fmt: skip
    data = load_file(packed(tmp_path / "a.zip", files))
    assert set(np.unique(data.train.x)) == {10, 250}


def test_images_without_folders_have_no_labels(tmp_path):
    files = {name.replace("/", "_"): content for name, content in classes().items()}
    assert load_file(packed(tmp_path / "a.zip", files)).summary.task == "fidelity"


def test_bad_images_are_refused_in_words(tmp_path):
    path, good = tmp_path / "a.zip", classes()
    assert (
        "'dark/x.png' in a.zip is not a readable image" in refused(packed(path, good | {"dark/x.png": b"no"})).message
    )
    cut = good["dark/1.png"][:-40]
    assert refused(packed(path, good | {"dark/1.png": cut})).code == "damaged"
    assert "lies in no class folder" in refused(packed(path, good | {"x.png": good["dark/0.png"]})).message
    assert refused(packed(path, {"a.exe": b"MZ"})).code == "unknown-format"
    bomb = packed(path, good | {"dark/big.png": png(np.zeros((8000, 8000), np.uint8))})
    assert "more than 50 million" in refused(bomb).message
    assert refused(path, "target=dark").code == "no-column"


def test_a_zip_file_with_a_password_says_so(tmp_path):
    path = packed(tmp_path / "a.zip", classes())
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(signature, at + 1)
    path.write_bytes(content)
    assert "password" in refused(path).message
