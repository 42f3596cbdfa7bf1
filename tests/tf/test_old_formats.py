"""Files that Keras 2 writes: HDF5, SavedModel as folder, ZIP and TAR, with tf_keras itself as the judge."""

from __future__ import annotations

import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import Input, layers

from optimizers.errors import ModelRefused
from optimizers.models.reader import read
from optimizers.tf.build import build_keras3, build_tf_keras
from optimizers.tf.check import agreement_of, check_bridge, run
from optimizers.tf.summary import summarize

pytestmark = pytest.mark.filterwarnings("ignore")


def kitchen_sink() -> Any:
    """TensorFlow functions, a nested Sequential, recurrence with the old hard sigmoid, attention, shared layers."""
    inputs = Input((8, 4), name="signal")
    block = tf_keras.Sequential([layers.Conv1D(4, 3, padding="same"), layers.BatchNormalization()], name="block")
    x = tf.nn.relu(block(inputs) + inputs)
    x = layers.MultiHeadAttention(2, 3)(x, x) + block(x)[:, ::1]
    x = tf.concat([x, tf.reduce_mean(x, axis=-1, keepdims=True) * 2.0], axis=-1)
    x = layers.Bidirectional(layers.LSTM(3, recurrent_activation="hard_sigmoid", return_sequences=True))(x)
    x = layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)])(x)
    x = layers.Activation("hard_sigmoid")(layers.Dense(4)(x))
    return tf_keras.Model(inputs, layers.Dense(2, activation="softmax", name="out")(tf.reshape(x, (-1, 4))))


def chain() -> Any:
    model = tf_keras.Sequential(
        [
            layers.Conv2D(3, 3, input_shape=(8, 8, 1), activation=tf.nn.relu),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="swish"),
        ]
    )
    model.layers[0].trainable = False
    return model


@dataclass(frozen=True)
class Saved:
    folder: Path
    inputs: list[np.ndarray]
    outputs: dict[str, list[np.ndarray]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder, generator = tmp_path_factory.mktemp("keras2"), np.random.default_rng(3)
    outputs, inputs = {}, []
    for build in (kitchen_sink, chain):
        model = build()
        for weight in model.weights:
            weight.assign(np.abs(0.4 * generator.standard_normal(weight.shape)) + 0.05)
        x = generator.standard_normal((3, *model.input_shape[1:])).astype("float32")
        inputs.append(x)
        outputs[build.__name__] = run(model, [x])
        model.save(folder / f"{build.__name__}.h5")
        model.save(folder / f"{build.__name__}.keras")
        model.save(folder / build.__name__, save_format="tf")
    pack(folder)
    return Saved(folder, inputs, outputs)


def pack(folder: Path) -> None:
    """The SavedModel of the chain as ``chain.zip`` and ``chain.tar.gz``."""
    with zipfile.ZipFile(folder / "chain.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((folder / "chain").rglob("*")):
            archive.write(file, file.relative_to(folder))
    with tarfile.open(folder / "chain.tar.gz", "w:gz") as archive:
        archive.add(folder / "chain", "./chain")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("kitchen_sink.h5", "Keras 2 HDF5"),
        ("kitchen_sink.keras", "Keras 2 archive"),
        ("kitchen_sink", "SavedModel"),
        ("chain.h5", "Keras 2 HDF5"),
        ("chain.keras", "Keras 2 archive"),
        ("chain", "SavedModel"),
        ("chain.zip", "SavedModel"),
        ("chain.tar.gz", "SavedModel"),
    ],
)
def test_same_outputs_in_both_kerases(name: str, kind: str, saved: Saved) -> None:
    spec = read(saved.folder / name)
    x = saved.inputs[list(saved.outputs).index(name.split(".")[0])]
    expected = saved.outputs[name.split(".")[0]]
    assert spec.format == kind
    assert agreement_of(expected, run(build_tf_keras(spec), [x])).relative < 1e-6
    assert agreement_of(expected, run(build_keras3(spec), [x])).relative < 1e-5


def test_content_decides_not_the_name(saved: Saved, tmp_path: Path) -> None:
    disguised = tmp_path / "model.keras"
    disguised.write_bytes((saved.folder / "chain.h5").read_bytes())
    assert read(disguised).format == "Keras 2 HDF5"


def test_exported_saved_model_has_no_description(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).export(tmp_path / "served", verbose=False)
    with pytest.raises(ModelRefused, match=r"model\.export") as refusal:
        read(tmp_path / "served")
    assert refusal.value.code == "no-keras-metadata"


def test_saved_model_without_variables(saved: Saved, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved.folder / "chain.zip") as old, zipfile.ZipFile(tmp_path / "bare.zip", "w") as new:
        for name in old.namelist():
            if "variables" not in name:
                new.writestr(name, old.read(name))
    with pytest.raises(ModelRefused, match="weights are missing"):
        read(tmp_path / "bare.zip")


def test_damaged_checkpoint(saved: Saved) -> None:
    spec = read(saved.folder / "chain")
    spec.weights.files["variables.index"] = b"nonsense"  # type: ignore[union-attr]
    with pytest.raises(ModelRefused) as refusal:
        build_tf_keras(spec)
    assert refusal.value.code == "bad-file"


def test_bridge_agrees_on_a_saved_model(saved: Saved) -> None:
    assert check_bridge(read(saved.folder / "kitchen_sink")) < 1e-5


def test_summary_of_a_nested_model(saved: Saved) -> None:
    summary = summarize(saved.folder / "kitchen_sink.h5")
    assert summary.format == "Keras 2 HDF5"
    assert summary.keras_version == tf_keras.__version__
    assert [(spec.name, spec.shape, spec.dtype) for spec in summary.inputs] == [("signal", (8, 4), "float32")]
    assert [(spec.name, spec.shape) for spec in summary.outputs] == [("out", (2,))]
    inner = [row for row in summary.layers if row.path == "block"]
    assert [(row.kind, row.output_shape, row.parameters) for row in inner[1:]] == [
        ("Conv1D", (8, 4), 52),
        ("BatchNormalization", (8, 4), 16),
    ]
    outer = [row for row in summary.layers if not row.path]
    assert sum(row.parameters for row in outer) == summary.parameters
    assert summary.trainable_parameters == summary.parameters - 8
    assert summary.bridge_error is not None


def test_summary_of_a_frozen_chain(saved: Saved) -> None:
    summary = summarize(saved.folder / "chain.keras")
    assert [row.kind for row in summary.layers] == ["InputLayer", "Conv2D", "DepthwiseConv2D", "Flatten", "Dense"]
    assert summary.parameters - summary.trainable_parameters == 30
