"""Small sound files of every format, to be cut, bent and disguised."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import h5py
import numpy as np

from tests.models.files import archive, as_bytes, small_config


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return buffer.getvalue()


def tarred(members: Mapping[str, bytes], compressed: bool = True) -> bytes:
    """A ``.tar.gz`` file, or a ``.tar`` file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if compressed else "w") as target:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def keras_archive(config: object = None, weights: bytes | None = None) -> bytes:
    """A ``.keras`` file, of `small_config` unless told otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        return archive(Path(folder) / "model.keras", config, weights).read_bytes()


def keras_members() -> dict[str, bytes]:
    """What is in `keras_archive`, by name."""
    with zipfile.ZipFile(io.BytesIO(keras_archive())) as source:
        return {name: source.read(name) for name in source.namelist()}


def whole_hdf5(config: object = None) -> bytes:
    """An ``.h5`` file with the weights of `small_config`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = as_bytes(small_config() if config is None else config).decode()
        file.attrs["keras_version"] = "3.15.1"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"x", b"dense"]
        weights.create_group("x").attrs["weight_names"] = np.zeros(0, "S1")
        group = weights.create_group("dense")
        group.attrs["weight_names"] = [b"dense/kernel", b"dense/bias"]
        group["dense/kernel"], group["dense/bias"] = np.ones((3, 2), "float32"), np.ones(2, "float32")
    return buffer.getvalue()


@cache
def saved_model_members() -> Mapping[str, bytes]:
    """The files of a SavedModel that tf_keras wrote."""
    import tf_keras

    model = tf_keras.Sequential([tf_keras.layers.Dense(2, "relu", input_shape=(3,), name="dense")])
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, save_format="tf")
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(paths)}


@cache
def tflite() -> bytes:
    """A ``.tflite`` file of one fully connected layer, 3 numbers to 2."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, shape: list[int], buffer: int) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), shape, schema.TensorType.FLOAT32, buffer
        return made

    model, graph, operator, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    empty, weights = schema.BufferT(), schema.BufferT()
    weights.data = np.frombuffer(np.ones((2, 3), "float32").tobytes(), "uint8")
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.tensors = [tensor("x", [1, 3], 0), tensor("kernel", [2, 3], 1), tensor("y", [1, 2], 0)]
    graph.inputs, graph.outputs, graph.operators, graph.name = [0], [2], [operator], b"main"
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [empty, weights]
    model.description = b"made by hand"
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def npz(**arrays: object) -> bytes:
    """An ``.npz`` file, with 40 examples unless told otherwise."""
    buffer = io.BytesIO()
    given = arrays or {"x": np.random.default_rng(0).random((40, 3)), "y": np.arange(40) % 2}
    np.savez(buffer, **given)
    return buffer.getvalue()


def csv(rows: int = 40) -> bytes:
    """A table with a column of numbers, one of words and one to predict."""
    lines = (f"{i / 7:.3f},{('red', 'blue')[i % 2]},{i % 2}" for i in range(rows))
    return "\n".join(["size,colour,label", *lines]).encode()
