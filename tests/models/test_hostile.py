"""Containers and HDF5 files that want to harm, and files that are not what they seem. Hypothesis looks for more."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizers.errors import ModelRefused
from optimizers.models.reader import containers, hdf5, read, strict_json
from optimizers.models.reader.hdf5 import Hdf5
from optimizers.models.reader.limits import Limits
from optimizers.models.reader.parse import parse_model
from optimizers.models.reader.strict_json import parse_json
from optimizers.models.reader.values import words
from tests.models.files import archive, legacy, small_config, weights_bytes


def code_of(path: Path) -> str:
    with pytest.raises(ModelRefused) as caught:
        read(path)
    assert "\n" not in caught.value.message
    return caught.value.code


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "unknown-format"),
        (b"hello, I am a text file", "unknown-format"),
        (b"PK\x03\x04", "bad-file"),
        (b"\x89HDF\r\n\x1a\n", "bad-file"),
        (b"\x1f\x8b\x08\x00garbage", "bad-file"),
        (b"\x1c\x00\x00\x00TFL3" + b"\0" * 64, "tflite"),
        (b"\x80\x04\x95pickle", "unknown-format"),
    ],
)
def test_files_that_are_no_models(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    assert code_of(path) == code


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.99])
def test_truncated_files(keep: float, tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: int(len(whole) * keep)])
    assert code_of(tmp_path / "cut.keras") == "bad-file"
    whole = legacy(tmp_path / "whole.h5", small_config()).read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: int(len(whole) * keep)])
    assert code_of(tmp_path / "cut.h5") in ("bad-file", "weights-only")


def test_weights_only(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    path.write_bytes(weights_bytes())
    assert code_of(path) == "weights-only"


def test_empty_folder_and_unpacked_archive(tmp_path: Path) -> None:
    assert code_of(tmp_path) == "unknown-format"
    zipfile.ZipFile(archive(tmp_path / "a.keras")).extractall(tmp_path / "b")
    assert code_of(tmp_path / "b") == "unknown-format"


def _zip(path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members:
            target.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "..\\evil", "C:/x", "x" * 300])
def test_zip_members_with_unsafe_names(name: str, tmp_path: Path) -> None:
    assert code_of(_zip(tmp_path / "a.zip", [("config.json", b"{}"), (name, b"x")])) == "unsafe-file"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_with_duplicates_links_or_encryption(tmp_path: Path) -> None:
    twice = _zip(tmp_path / "a.zip", [("config.json", b"{}"), ("config.json", b"[]")])
    assert code_of(twice) == "unsafe-file"
    link = zipfile.ZipInfo("config.json")
    link.external_attr = 0o120777 << 16
    assert code_of(_zip(tmp_path / "b.zip", [(link, b"/etc/passwd")])) == "unsafe-file"
    locked = bytearray(_zip(tmp_path / "c.zip", [("config.json", b"{}")]).read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "c.zip").write_bytes(locked)
    assert code_of(tmp_path / "c.zip") == "unsafe-file"


def test_zip_bombs(tmp_path: Path) -> None:
    assert code_of(_zip(tmp_path / "a.zip", [("config.json", b" " * (8 << 20))])) == "too-large"
    assert code_of(_zip(tmp_path / "b.zip", [(f"f{i}", b"") for i in range(600)])) == "too-large"


def test_zip_with_a_false_size(tmp_path: Path) -> None:
    data = bytearray(_zip(tmp_path / "a.zip", [("config.json", b'{"a": 1}')]).read_bytes())
    start = data.index(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<I", 4)
    (tmp_path / "a.zip").write_bytes(data)
    assert code_of(tmp_path / "a.zip") in ("bad-file", "bad-json")


def _tar(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as target:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), "/etc/passwd"
            target.addfile(info, io.BytesIO(data))
    return path


def test_tar_files(tmp_path: Path) -> None:
    regular, link = tarfile.REGTYPE, tarfile.SYMTYPE
    assert code_of(_tar(tmp_path / "a.tar.gz", ("m/saved_model.pb", link, b""))) == "unsafe-file"
    assert code_of(_tar(tmp_path / "b.tar.gz", ("../saved_model.pb", regular, b"x"))) == "unsafe-file"
    assert code_of(_tar(tmp_path / "c.tar.gz", ("a", regular, b"x"), ("a", regular, b"y"))) == "unsafe-file"
    assert code_of(_tar(tmp_path / "d.tar.gz", ("notes.txt", regular, b"x"))) == "unknown-format"
    assert code_of(_tar(tmp_path / "e.tar.gz", ("a", regular, b"\0" * (30 << 20)))) == "too-large"
    assert code_of(_tar(tmp_path / "f.tar.gz", ("m/saved_model.pb", regular, b"\xff" * 20))) == "bad-file"


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


def _external_link(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/x")


def _soft_link(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense/vars/1")


def _external_storage(file: h5py.File) -> None:
    file.create_dataset("probe", (4,), "float32", external=[("/etc/hostname", 0, 16)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    file.create_virtual_dataset("probe", layout)


def _objects(file: h5py.File) -> None:
    file.create_dataset("probe", (2,), h5py.string_dtype())


def _compound(file: h5py.File) -> None:
    file.create_dataset("probe", (2,), np.dtype([("a", "f4"), ("b", "f4")]))


def _references(file: h5py.File) -> None:
    file.create_dataset("probe", (2,), h5py.ref_dtype)


@pytest.mark.parametrize("change", [_external_storage, _virtual, _objects, _compound, _references])
def test_hdf5_arrays_that_are_not_plain(change: Callable[[h5py.File], None]) -> None:
    with pytest.raises(ModelRefused) as caught:
        Hdf5(weights_bytes(change)).array("probe")
    assert caught.value.code == "unsafe-file"


@pytest.mark.parametrize("change", [_external_link, _soft_link])
def test_hdf5_links(change: Callable[[h5py.File], None]) -> None:
    with pytest.raises(ModelRefused) as caught:
        Hdf5(weights_bytes(change)).array("layers/dense/vars/0")
    assert caught.value.code == "unsafe-file"
    with pytest.raises(ModelRefused):
        Hdf5(weights_bytes(change)).array("layers/../layers/dense/vars/1")


def _sparse_giant(file: h5py.File) -> None:
    file.create_dataset("probe", (1 << 20, 1 << 10), "float32", chunks=(1024, 1024))


def test_hdf5_arrays_that_declare_more_than_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelRefused) as caught:
        Hdf5(weights_bytes(_sparse_giant)).array("probe")
    assert caught.value.code == "too-large"
    monkeypatch.setattr(hdf5, "LIMITS", Limits(weight_bytes=30))
    small = Hdf5(weights_bytes())
    assert small.array("layers/dense/vars/0") is not None
    with pytest.raises(ModelRefused):
        small.array("layers/dense/vars/1")


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


def test_hdf5_description_that_is_no_text(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["model_config"] = 3
    assert code_of(tmp_path / "a.h5") == "bad-file"


# properties: whatever a file holds, ``read`` either returns or raises ModelRefused

_QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_WORDS = st.sampled_from(
    words("Functional Sequential Dense InputLayer Bidirectional LSTM Add Lambda x dense relu linear keras.layers keras")
)
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 1 << 40), st.floats(allow_nan=False), _WORDS, st.text(max_size=5)
)
_KEYS = st.sampled_from(
    words(
        "class_name config name layers input_layers output_layers inbound_nodes module units args kwargs batch_shape "
        "activation layer keras_history shared_object_id registered_name cells kernel_size axis build_config dtype"
    )
)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5))


@_QUICK
@given(config=_JSON, dialect=st.sampled_from([2, 3]))
def test_any_json_is_parsed_or_refused(config: Any, dialect: int) -> None:
    with suppress(ModelRefused):
        parse_model(config, dialect)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


_PLACES = [place for place in _places(small_config()) if place]


@_QUICK
@given(place=st.sampled_from(_PLACES), value=_JSON, dialect=st.sampled_from([2, 3]))
def test_a_description_with_one_value_replaced(place: tuple[Any, ...], value: Any, dialect: int) -> None:
    config = small_config()
    target: Any = config
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with suppress(ModelRefused):
        parse_model(config, dialect)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("samples")
    saved_model = folder / "m.zip"
    _zip(saved_model, [("saved_model.pb", b"\x08\x01\x12\x02\x3a\x00"), ("keras_metadata.pb", b"\x0a\x04\x1a\x02hi")])
    return [archive(folder / "a.keras"), legacy(folder / "a.h5", small_config()), saved_model]


@_QUICK
@given(data=st.data())
def test_files_with_bytes_changed(data: st.DataObject, samples: list[Path], tmp_path: Path) -> None:
    content = bytearray(data.draw(st.sampled_from(samples)).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "changed"
    path.write_bytes(content)
    with suppress(ModelRefused):
        spec = read(path)
        for layer in spec.graph.layers:
            file = getattr(spec.weights, "file", None)
            if file is not None and layer.archive_path:
                file.array(f"{layer.archive_path}/vars/0")


@_QUICK
@given(content=st.binary(max_size=200), magic=st.sampled_from([b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b"]))
def test_random_bytes(content: bytes, magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / "random"
    path.write_bytes(magic + content)
    with pytest.raises(ModelRefused):
        read(path)
