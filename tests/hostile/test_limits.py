"""What no upload can show: folders, limits set low, and the parts of the reader taken alone."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from optimizers.errors import ModelRefused
from optimizers.models.reader import containers, hdf5, parse, read, strict_json
from optimizers.models.reader.hdf5 import Hdf5
from optimizers.models.reader.limits import Limits
from optimizers.models.reader.parse import parse_model
from optimizers.models.reader.strict_json import parse_json
from tests.hostile.giants import _nested
from tests.models.files import archive, small_config, weights_bytes


def code_of(path: Path) -> str:
    with pytest.raises(ModelRefused) as caught:
        read(path)
    assert "\n" not in caught.value.message
    return caught.value.code


def test_empty_folder_and_unpacked_archive(tmp_path: Path) -> None:
    assert code_of(tmp_path) == "unknown-format"
    zipfile.ZipFile(archive(tmp_path / "a.keras")).extractall(tmp_path / "b")
    assert code_of(tmp_path / "b") == "unknown-format"


def test_folder_with_a_link(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").symlink_to("/etc/hostname")
    assert code_of(tmp_path) == "unsafe-file"


def test_limits_of_file_and_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a.keras")
    monkeypatch.setattr("optimizers.models.reader.LIMITS", Limits(file_bytes=100))
    assert code_of(path) == "too-large"
    for tight in (Limits(json_bytes=100), Limits(json_depth=3), Limits(json_nodes=10)):
        monkeypatch.setattr(strict_json, "LIMITS", tight)
        with pytest.raises(ModelRefused) as caught:
            parse_json(json.dumps(small_config()).encode())
        assert caught.value.code == "too-large"
    monkeypatch.setattr(containers, "LIMITS", Limits(weight_bytes=10))
    with pytest.raises(ModelRefused, match="unpacks to more"):
        containers.ZipContainer(path.read_bytes())


@pytest.mark.parametrize(
    "text", [b"{", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"\xff\xfe", b"9" * 5000]
)
def test_json_that_is_not_strict(text: bytes) -> None:
    with pytest.raises(ModelRefused) as caught:
        parse_json(text)
    assert caught.value.code in ("bad-json", "too-large")


def test_calls_inside_models_count_for_every_call_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    parse_model(_nested(3, calls=4), dialect=3)  # 4 * 4 * 4 calls
    monkeypatch.setattr(parse, "LIMITS", Limits(calls=63))
    with pytest.raises(ModelRefused, match="more than 63 times") as caught:
        parse_model(_nested(3, calls=4), dialect=3)
    assert caught.value.code == "too-large"


@pytest.mark.parametrize("path", ["layers/../layers/dense/vars/1", "./layers/dense/vars/1"])
def test_hdf5_paths_with_dots(path: str) -> None:
    with pytest.raises(ModelRefused) as caught:
        Hdf5(weights_bytes()).array(path)
    assert caught.value.code == "unsafe-file"


def test_hdf5_limit_of_all_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "LIMITS", Limits(weight_bytes=30))
    small = Hdf5(weights_bytes())
    assert small.array("layers/dense/vars/0") is not None
    with pytest.raises(ModelRefused):
        small.array("layers/dense/vars/1")


def test_want_of_memory_is_not_called_damage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(h5py.Dataset, "__getitem__", no_memory)
    with pytest.raises(MemoryError):
        Hdf5(weights_bytes()).array("layers/dense/vars/0")
    monkeypatch.setattr(zipfile.ZipExtFile, "read", no_memory)
    with pytest.raises(MemoryError):
        read(archive(tmp_path / "a.keras"))


def test_hdf5_reads_what_keras_writes() -> None:
    def add(file: h5py.File) -> None:
        file["half"] = np.array([0x3F80, 0xC000], "uint16").view("V2")
        file["packed"] = np.ones((40, 40), "float64")
        file.attrs["names0"], file.attrs["names1"] = ["a", "b"], np.array([b"c"])

    file = Hdf5(weights_bytes(add))
    half = file.array("half")
    assert half is not None
    assert half.tolist() == [1.0, -2.0]
    assert file.array("nowhere") is None
    assert file.texts("/", "names") == ["a", "b", "c"]
    assert file.children("layers/dense/vars") == ["0", "1"]
    with pytest.raises(ModelRefused, match="no array"):
        file.array("layers/dense")
