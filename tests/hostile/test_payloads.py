"""The payloads of the corpus are live: loaders that trust their files carry them out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.arrays import arrays
from tests.hostile.code import code
from tests.hostile.files import HostileFile

_TRUSTING = {
    "lambda-of-keras-2.h5": "import tf_keras; tf_keras.models.load_model(path, compile=False)",
    "function-io.write_file.h5": "import tf_keras; tf_keras.models.load_model(path, compile=False)",
    "pickled-x.npz": "import numpy; numpy.load(path, allow_pickle=True)['x']",
    "pickled.keras": "import pickle; pickle.load(open(path, 'rb'))",
}


def _find(name: str, marker: Path) -> HostileFile:
    return next(file for group in (code, arrays) for file in group(marker) if file.name == name)


@pytest.mark.slow
@pytest.mark.parametrize("name", _TRUSTING)
def test_a_loader_that_trusts_the_file_leaves_the_marker(name: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "file.h5"
    path.write_bytes(_find(name, marker).content)
    program = f"path = {str(path)!r}\n{_TRUSTING[name]}"
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False, timeout=120)
    assert marker.exists()
