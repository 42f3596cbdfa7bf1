"""Models named by a path on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizers.errors import ModelRefused
from optimizers.models.path import ORIGIN
from optimizers.records import digest_of_path


def test_file(tmp_path: Path) -> None:
    file = tmp_path / "my model.keras"
    file.write_bytes(b"content")
    path, ref = ORIGIN.resolve(str(file))
    assert path == file
    assert (ref.uri, ref.name, ref.scope) == (f"file:{file}", "my model.keras", "local")
    assert ref.digest == digest_of_path(file)
    assert ORIGIN.list() == ()


def test_folder_and_double_ending(tmp_path: Path) -> None:
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    assert ORIGIN.resolve(str(tmp_path / "saved"))[1].name == "saved"
    (tmp_path / "packed.tar.gz").write_bytes(b"x")
    assert ORIGIN.resolve(str(tmp_path / "packed.tar.gz"))[1].name == "packed.tar.gz"


@pytest.mark.parametrize("rest", ["", "/nowhere/model.keras"])
def test_missing(rest: str) -> None:
    with pytest.raises(ModelRefused) as caught:
        ORIGIN.resolve(rest)
    assert caught.value.code == "missing-file"
