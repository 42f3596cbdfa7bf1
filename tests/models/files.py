"""Model files written by hand, without Keras: a legal one, and what it takes to spoil it."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Json = dict[str, Any]


def layer(kind: str, name: str, inputs: list[str], module: str | None = "keras.layers", **options: Any) -> Json:
    """One layer in Keras 3 notation, called once on the named layers."""
    tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}} for source in inputs]
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": name, **options},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [{"args": tensors, "kwargs": {}}] if inputs else [],
    }


def functional(*layers: Json) -> Json:
    """A Functional model whose first layer is its input and whose last one is its output."""
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": list(layers),
            "input_layers": [layers[0]["name"], 0, 0],
            "output_layers": [layers[-1]["name"], 0, 0],
        },
    }


def small_config() -> Json:
    """An input of three numbers and one Dense layer with two units."""
    start = layer("InputLayer", "x", [], batch_shape=[None, 3], dtype="float32")
    return functional(start, layer("Dense", "dense", ["x"], units=2, activation="relu"))


def weights_bytes(change: Callable[[h5py.File], None] = lambda file: None) -> bytes:
    """The weights of `small_config` as Keras 3 stores them, after ``change``."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.ones((3, 2), "float32")
        file["layers/dense/vars/1"] = np.ones(2, "float32")
        change(file)
    return buffer.getvalue()


def archive(path: Path, config: Any = None, weights: bytes | None = None, metadata: Any = None) -> Path:
    """A ``.keras`` file. ``config`` and ``metadata`` may be JSON values or raw bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("metadata.json", as_bytes({"keras_version": "3.15.1"} if metadata is None else metadata))
        target.writestr("config.json", as_bytes(small_config() if config is None else config))
        target.writestr("model.weights.h5", weights_bytes() if weights is None else weights)
    return path


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def legacy(path: Path, config: Any) -> Path:
    """A whole-model HDF5 file without weights."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = as_bytes(config).decode()
        file.create_group("model_weights")
    return path


def with_option(option: str, value: Any, kind: str = "Dense") -> Json:
    """`small_config` with one option of its last layer changed."""
    config = copy.deepcopy(small_config())
    last = config["config"]["layers"][-1]
    last["class_name"] = kind
    last["config"][option] = value
    return config
