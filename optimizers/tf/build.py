"""Turns a `ModelSpec` into a live model of either Keras, and keeps the files that stages hand to one another."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import keras
import tf_keras

from optimizers.errors import ModelRefused
from optimizers.models.reader import read
from optimizers.models.reader.spec import ArchiveWeights, CheckpointWeights, LayerSpec, ModelSpec
from optimizers.tf import keras3_only
from optimizers.tf.checkpoint import fill_from_checkpoint
from optimizers.tf.dialects import Dialect, Keras2, Keras3
from optimizers.tf.emit import Emitter
from optimizers.tf.ranges import input_ranges
from optimizers.tf.weights import copy_weights, fill_from_archive, fill_from_legacy

if TYPE_CHECKING:
    from optimizers.tf.check import Agreement

_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_tf_keras(spec: ModelSpec) -> tf_keras.Model:
    """The model as tf_keras builds it, in float32, with the file's weights, not compiled.

    Raises:
        ModelRefused: Layers without a Keras 2 counterpart, weights that do not fit, sizes beyond the limits.
    """
    return _with_weights(spec, Keras2())[0]


def build_keras3(spec: ModelSpec) -> Any:
    """The model as Keras 3 builds it, in float32, with the file's weights, not compiled.

    Returns:
        A ``keras.Model``.

    Raises:
        ModelRefused: As `build_tf_keras`.
    """
    return _with_weights(spec, Keras3())[0]


def emit_keras3(spec: ModelSpec) -> tuple[Any, Emitter]:
    """The Keras 3 build with its emitter."""
    return _with_weights(spec, Keras3())


def emit_both(spec: ModelSpec, float_dtype: str = "float32") -> tuple[tuple[Any, Emitter], tuple[Any, Emitter]]:
    """Both builds with their emitters: (tf_keras model, emitter), (Keras 3 model, emitter)."""
    return _with_weights(spec, Keras2(), float_dtype), _with_weights(spec, Keras3(), float_dtype)


def _with_weights(spec: ModelSpec, dialect: Dialect, float_dtype: str = "float32") -> tuple[Any, Emitter]:
    emitter = Emitter(dialect, float_dtype)
    model = emitter.build(spec.root)
    weights = spec.weights
    if isinstance(weights, ArchiveWeights):
        fill_from_archive(spec.root, emitter.layers, weights.file)
    elif not isinstance(weights, CheckpointWeights):
        fill_from_legacy(spec.root, emitter.layers, weights.file)
    elif isinstance(dialect, Keras2):
        fill_from_checkpoint(spec.root, emitter.layers, weights)
    else:
        _, filled = _with_weights(spec, Keras2(), float_dtype)
        copy_weights(spec.root, filled.layers, emitter.layers)
    return model, emitter


def save_working(model: tf_keras.Model, path: Path) -> None:
    """Writes the file that one stage hands to the next: a tf_keras archive without optimizer, losses and metrics.

    Equal models give equal bytes: dates, memory addresses and what the model was compiled with are left out.

    Args:
        model: Built-in layers and those of ``optimizers.tf.layers`` only; wrappers of the toolkit must be stripped.
        path: Must end in ``.keras``. An existing file is replaced.
    """
    if path.suffix != ".keras":
        raise ValueError(f"A working file must be called *.keras, got {path.name!r}.")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        model.save(draft, save_format="keras")
        _write_stable(draft, path)


def _write_stable(draft: Path, path: Path) -> None:
    """Copies an archive without what differs from one saving of a model to the next."""
    with zipfile.ZipFile(draft) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(source.namelist()):
            data = source.read(name)
            if name == "config.json":
                data = json.dumps(_stable_config(json.loads(data), {})).encode()
            elif name == "metadata.json":
                data = json.dumps({"keras_version": tf_keras.__version__}).encode()
            elif name == "model.weights.h5":
                data = _without_training_state(data)
            target.writestr(zipfile.ZipInfo(name, _EPOCH), data)


def _stable_config(value: Any, numbers: dict[int, int]) -> Any:
    """The description with shared objects numbered in order, where tf_keras writes memory addresses."""
    if isinstance(value, list):
        return [_stable_config(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: numbers.setdefault(item, len(numbers)) if key == "shared_object_id" else _stable_config(item, numbers)
        for key, item in value.items()
        if key != "compile_config"
    }


def _without_training_state(data: bytes) -> bytes:
    """The weights alone, copied into a new HDF5 file: deleting from the old one would leave its bytes in place."""
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(data), "r") as source, h5py.File(buffer, "w") as target:
        for name in sorted(set(source) - {"optimizer", "metrics"}):
            source.copy(name, target)
    return buffer.getvalue()


def load_working(path: Path) -> tf_keras.Model:
    """The model in any file that the reader accepts, as tf_keras builds it.

    A model that only Keras 3 can hold comes as one layer (`optimizers.tf.keras3_only`). Raises `ModelRefused`.
    """
    spec = read(path)
    try:
        return build_tf_keras(spec)
    except ModelRefused as error:
        if error.code not in keras3_only.REASONS:
            raise
    return keras3_only.clothed(build_keras3(spec), input_ranges(spec))


def save_keras3(working: Path, out: Path) -> Agreement:
    """Writes a model as a Keras 3 archive, which ``keras.models.load_model`` reads without this package.

    Args:
        working: Any file that the reader accepts, above all one that a stage left.
        out: Must end in ``.keras``. Written only if the file, loaded by Keras itself, does what the model does.

    Returns:
        How far the outputs of the two are apart, on two random examples.

    Raises:
        ModelRefused: ``not-in-keras3`` where Keras 3 has no counterpart or computes something else; also whatever
            reading and building raise.
    """
    from optimizers.tf.check import compare_files

    if out.suffix != ".keras":
        raise ValueError(f"A Keras file must be called *.keras, got {out.name!r}.")
    spec = read(working)
    _refuse_own_activations(spec.root)
    model = build_keras3(spec)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        draft = Path(folder) / out.name
        model.save(draft)
        try:
            loaded = keras.models.load_model(draft, compile=False)
        except Exception as error:
            raise ModelRefused(
                "Keras 3 cannot load its own file of this model, as happens where several nested models share a layer; "
                "keep the Keras 2 file.",
                code="not-in-keras3",
                detail=str(error),
            ) from error
        difference = compare_files(spec, loaded)
        draft.replace(out)
    return difference


def _refuse_own_activations(model: LayerSpec) -> None:
    """Keras 2's hard sigmoid has another slope than Keras 3's; a file with it could be read by nobody else."""
    if "keras2_hard_sigmoid" in (model.options.get("activation"), model.options.get("recurrent_activation")):
        raise ModelRefused(
            f"{model.where[0].upper()}{model.where[1:]} uses the hard_sigmoid of Keras 2, which Keras 3 computes "
            "differently; train the model with sigmoid instead, or keep the Keras 2 file.",
            code="not-in-keras3",
        )
    for layer in model.inside:
        _refuse_own_activations(layer)
