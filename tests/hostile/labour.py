"""Files that are sound up to their last layer, or whose first answer would never end."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from tests.hostile.files import HostileFile
from tests.hostile.giants import _call, _chain, _from, _of_a_list, _operation, _picture
from tests.hostile.sound import keras_archive, saved_model_members, whole_hdf5, zipped
from tests.models.files import Json, layer

_MANY = 1190
_MOST_REPEATS = 2400
_TOO_LARGE = ("too-large",)


def labour(marker: Path) -> Iterator[HostileFile]:
    """Long models with a fault at their end, too many multiplications, endless loops, and bombs within the limits."""
    for name, config in _too_many_multiplications():
        yield HostileFile(f"{name}.keras", keras_archive(config, _of_one_layer(name)), codes=_TOO_LARGE)
    for name, last, spoil in _faults():
        config = _chain(*_dense(_MANY), *last)
        yield HostileFile(
            f"{name}.keras", keras_archive(config, _weights(spoil)), codes=("weights-mismatch", "bad-graph")
        )
    yield HostileFile("fault-after-repeats.keras", keras_archive(_repeated()), codes=("bad-graph", "too-large"))
    yield HostileFile("fault-after-all.h5", whole_hdf5(_chain(*_dense(_MANY))), codes=("weights-mismatch",))
    yield HostileFile("endless-loop.tflite", endless_loop(), codes=("cannot-run",), confined=True)
    yield HostileFile("giant-tensor-in-checkpoint.zip", _giant_tensor(), codes=("weights-mismatch",))
    yield HostileFile("bomb-within-limits.keras", _bomb(), codes=("memory", "bad-file"), confined=True)


def _too_many_multiplications() -> Iterator[tuple[str, Json]]:
    wide = layer("UpSampling2D", "wide", ["x"], size=[16, 16])
    yield (
        "convolution",
        _picture(wide, layer("Conv2D", "big", ["wide"], filters=64, kernel_size=[127, 127], padding="same")),
    )
    yield "depthwise", _picture(wide, layer("DepthwiseConv2D", "big", ["wide"], kernel_size=[511, 511], padding="same"))
    pool = layer("MaxPooling2D", "big", ["wide"], pool_size=[511, 511], strides=[1, 1], padding="same")
    yield "pool", _picture(wide, pool)
    long = [None, 12_000, 1024]
    yield "dot", _from(long, _of_a_list(layer("Dot", "big", ["x", "x"], axes=[2, 2])))
    yield "attention", _from(long, _of_a_list(layer("Attention", "big", ["x", "x"])))
    yield "einsum", _from(long, _operation("Einsum", ["x", "x"], subscripts="abc,adc->abd"))


def _of_one_layer(name: str) -> bytes:
    """As many arrays as the layer needs, none of them as large."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        path = {"convolution": "layers/conv2d/vars", "depthwise": "layers/depthwise_conv2d/vars"}.get(name, "layers")
        file[f"{path}/0"], file[f"{path}/1"] = np.ones((1, 64), "float32"), np.ones(64, "float32")
    return buffer.getvalue()


def _dense(count: int) -> list[Json]:
    return [layer("Dense", f"d{i}", [f"d{i - 1}" if i else "x"], units=3) for i in range(count)]


def _faults() -> Iterator[tuple[str, list[Json], Callable[[h5py.File], None]]]:
    """What is wrong at the end of a long chain: a call, or the weights of the last layer."""
    last, where = f"d{_MANY - 1}", f"layers/dense_{_MANY - 1}/vars"

    def drop(file: h5py.File) -> None:
        del file[f"{where}/0"], file[f"{where}/1"]

    def widen(file: h5py.File) -> None:
        del file[f"{where}/0"]
        file[f"{where}/0"] = np.ones((3, 4), "float32")

    def spoil(file: h5py.File) -> None:
        file[f"{where}/1"][...] = np.nan

    yield "last-weights-missing", [], drop
    yield "last-weights-wide", [], widen
    yield "last-weights-not-numbers", [], spoil
    yield "last-call-impossible", [layer("Reshape", "end", [last], target_shape=[7, 7])], lambda file: None


def _weights(change: Callable[[h5py.File], None]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for i in range(_MANY):
            path = f"layers/dense_{i}/vars" if i else "layers/dense/vars"
            file[f"{path}/0"], file[f"{path}/1"] = np.eye(3, dtype="float32"), np.zeros(3, "float32")
        change(file)
    return buffer.getvalue()


def _repeated() -> Json:
    """One layer called as often as is allowed, then a layer that cannot take what it gives."""
    end = layer("Reshape", "end", ["a"], target_shape=[7, 7])
    config = _chain(layer("Activation", "a", ["x"], activation="relu"), end)
    config["config"]["layers"][1]["inbound_nodes"] = [_call("x", 0), *(_call("a", i) for i in range(_MOST_REPEATS - 1))]
    config["config"]["layers"][2]["inbound_nodes"] = [_call("a", _MOST_REPEATS - 1)]
    return config


def endless_loop() -> bytes:
    """A sound ``.tflite`` file with a loop of 2^31 rounds, whose number no file tells."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, 3])])
    def count(x: tf.Tensor) -> tf.Tensor:
        rounds, result = tf.while_loop(
            lambda i, _: i < 2**31 - 1, lambda i, y: (i + 1, tf.sin(y) + x), (tf.constant(0), x)
        )
        return result + tf.cast(rounds, tf.float32)

    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([count.get_concrete_function()]).convert())


def _giant_tensor() -> bytes:
    """A SavedModel whose checkpoint says that a kernel has 2^40 rows, of which it holds one."""
    import tensorflow as tf

    members = dict(saved_model_members())
    with tempfile.TemporaryDirectory() as folder:
        for name, data in members.items():
            if name.startswith("variables/"):
                (Path(folder) / Path(name).name).write_bytes(data)
        reader = tf.train.load_checkpoint(f"{folder}/variables")
        names = sorted(reader.get_variable_to_shape_map())
        kernel = next(name for name in names if "kernel" in name)
        values = [tf.constant(reader.get_tensor(name)) for name in names]
        values = [v[:1] if name == kernel else v for name, v in zip(names, values, strict=True)]
        parts = [f"{1 << 40} 2 0,1:0,2" if name == kernel else "" for name in names]
        tf.raw_ops.SaveV2(prefix=f"{folder}/new", tensor_names=names, shape_and_slices=parts, tensors=values)
        for path in Path(folder).glob("new.*"):
            members[f"variables/{path.name.replace('new', 'variables')}"] = path.read_bytes()
    return zipped(members)


def _bomb() -> bytes:
    """Almost as many weights as are accepted, packed almost as tightly: 2 GiB in some 25 MB."""
    rng, piece = np.random.default_rng(0), 1 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        target.writestr("metadata.json", b'{"keras_version": "3.15.1"}')
        with zipfile.ZipFile(io.BytesIO(keras_archive())) as sound:
            target.writestr("config.json", sound.read("config.json"))
        with target.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range((2 << 30) // piece - 16):
                member.write(rng.bytes(480) + bytes(piece - 480))
    return buffer.getvalue()
