"""The ways in which Keras 2 archives were laid out over the years, made from one that tf_keras writes today."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras
from tf_keras import Input, layers

from optimizers.errors import ModelRefused
from optimizers.models.reader import read
from optimizers.tf.build import build_keras3, build_tf_keras
from optimizers.tf.check import agreement_of, run

pytestmark = pytest.mark.filterwarnings("ignore")


def model() -> Any:
    """Layers of equal shapes, so that weights at the wrong place are seen, a nested model and a wrapper."""
    inner = tf_keras.Sequential([Input((6, 4)), layers.Dense(4, name="a"), layers.Dense(4, name="b")], name="inner")
    x = inputs = Input((6, 4))
    x = inner(layers.Dense(4, name="first")(x))
    x = layers.Dense(4, activation="tanh", name="second")(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.ReLU()(x))
    return tf_keras.Model(inputs, layers.BatchNormalization()(layers.Dense(4, name="third")(x)))


def _move(file: h5py.File, rename: Callable[[str], str]) -> None:
    """Moves every array to the path that ``rename`` makes of its own."""
    arrays: dict[str, np.ndarray] = {}
    file.visititems(lambda path, node: arrays.update({path: node[()]}) if isinstance(node, h5py.Dataset) else None)
    for name in list(file):
        del file[name]
    for path, value in arrays.items():
        file[rename(path)] = value


def from_windows(file: h5py.File) -> None:
    r"""One group called ``layers\dense``, because the separator of the system was used."""
    _move(file, lambda path: path.split("/vars/")[0].replace("/", "\\") + "/vars/" + path.split("/vars/")[1])


def counted_one_by_one(file: h5py.File) -> None:
    """Containers under another name, as Keras 2.13 and 2.14 wrote them."""
    _move(file, lambda path: path.replace("layers/", "_layer_checkpoint_dependencies/"))


def counted_by_twos(file: h5py.File) -> None:
    """The same from releases that listed each layer twice: dense, dense_2, dense_4."""
    counted_one_by_one(file)
    _move(file, lambda path: re.sub(r"dense_(\d)", lambda found: f"dense_{2 * int(found[1])}", path))


def counted_oddly(file: h5py.File) -> None:
    """Numbers that no release wrote."""
    counted_one_by_one(file)
    _move(file, lambda path: path.replace("dense_2", "dense_7"))


def rewritten(source: Path, target: Path, change: Callable[[h5py.File], None]) -> Path:
    """A copy of an archive whose weights went through ``change``."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "model.weights.h5":
                buffer = io.BytesIO(data)
                with h5py.File(buffer, "r+") as file:
                    change(file)
                data = buffer.getvalue()
            new.writestr(name, data)
    return target


@pytest.mark.parametrize("change", [from_windows, counted_one_by_one, counted_by_twos])
def test_layouts_of_old_archives(change: Callable[[h5py.File], None], tmp_path: Path) -> None:
    live = model()
    generator = np.random.default_rng(5)
    for weight in live.weights:
        weight.assign(np.abs(generator.standard_normal(weight.shape)) + 0.1)
    inputs = [generator.standard_normal((3, 6, 4)).astype("float32")]
    expected = run(live, inputs)
    live.save(tmp_path / "new.keras")
    old = rewritten(tmp_path / "new.keras", tmp_path / "old.keras", change)
    assert agreement_of(expected, run(build_tf_keras(read(old)), inputs)).relative < 1e-6
    assert agreement_of(expected, run(build_keras3(read(old)), inputs)).relative < 1e-5


def test_numbers_that_fit_no_release(tmp_path: Path) -> None:
    model().save(tmp_path / "new.keras")
    odd = rewritten(tmp_path / "new.keras", tmp_path / "odd.keras", counted_oddly)
    with pytest.raises(ModelRefused, match="cannot be told apart") as refusal:
        build_tf_keras(read(odd))
    assert refusal.value.code == "weights-mismatch"
