"""Reads model files from strangers into plain data. No code from a file runs; Keras and TensorFlow are not imported.

``read`` accepts Keras archives (``.keras``, of Keras 3 and of tf_keras), whole-model HDF5 files and SavedModels
(folder, ``.zip`` or ``.tar.gz``); what a file is, its first bytes decide. Every layer, option and value must be on a
list (``catalogue``, ``operations``); everything else raises `ModelRefused` with one of these codes:

===================  ==================================================================
unknown-format       neither of the formats above, or empty
tflite               a LiteRT file (``.tflite``) where a Keras model is needed; `flatbuffer` reads those
weights-only         no description of the model, only its weights
no-keras-metadata    a SavedModel without a description
no-input-shape       a model that was saved before it was built
bad-file             damaged, truncated or unreadable
bad-json             the description is not strict JSON
bad-config           the description is not one of a model
bad-graph            layers, calls or tensors that do not fit together
bad-value            an option with an illegal value
too-large            beyond `LIMITS`
unsafe-file          links, external storage, bad names, encryption, object types
unsafe-config        the graph hands an object to a layer
unsafe-layer         a layer that runs code (Lambda and the like)
toolkit-wrapper      a layer still wrapped by the TensorFlow Model Optimization Toolkit
custom-layer         a layer class that is not part of Keras
custom-function      an activation, regularizer or constraint that is not part of Keras
subclassed-model     a model class that is not part of Keras
unsupported-layer    a layer of Keras that is not supported here
unsupported-op       an operation that is not supported here
unsupported-option   an option that is not supported here
training-flag        a layer that is called with training=True and answers otherwise then
already-quantized    Keras quantized the model before
weights-mismatch     weights that do not fit the layers (raised also when the model is built)
not-in-keras3        cannot be written as a Keras 3 file (raised when it is exported)
input-shape          a LiteRT file that does not take one example of a fixed shape (raised when it is described)
cannot-run           a LiteRT file that LiteRT cannot run (raised when it is described)
bridge-differs       Keras 2 and Keras 3 compute different outputs (raised when it is checked)
===================  ==================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optimizers.errors import ModelRefused
from optimizers.models.reader.containers import (
    GZIP_MAGIC,
    ZIP_MAGIC,
    FolderContainer,
    TarContainer,
    ZipContainer,
    read_bounded,
)
from optimizers.models.reader.dialect import dialect_of
from optimizers.models.reader.hdf5 import MAGIC, Hdf5
from optimizers.models.reader.limits import LIMITS
from optimizers.models.reader.parse import parse_model
from optimizers.models.reader.saved_model import GRAPH, read_saved_model
from optimizers.models.reader.sharing import link_shared_layers
from optimizers.models.reader.spec import ArchiveWeights, LegacyWeights, ModelSpec
from optimizers.models.reader.stored import check_stored
from optimizers.models.reader.strict_json import parse_json
from optimizers.models.reader.values import shown

__all__ = ["LIMITS", "ModelSpec", "read"]

_ARCHIVE_CONFIG, _ARCHIVE_WEIGHTS = "config.json", "model.weights.h5"


def read(path: Path, name: str = "") -> ModelSpec:
    """Everything a model file says, as plain data; weights stay packed until a model is built.

    Args:
        path: A file (``.keras``, ``.h5``, ``.zip``, ``.tar.gz``) or a SavedModel folder. The name does not matter.
        name: What people call the file, for messages; its name on disk if left out.

    Raises:
        ModelRefused: With a code from the table above.
    """
    if path.is_dir():
        return _read_folder(path)
    name, data = shown(name or path.name), read_bounded(path, LIMITS.file_bytes)
    try:
        if data.startswith(MAGIC):
            return _read_hdf5(data)
        if data.startswith(ZIP_MAGIC):
            return _read_zip(ZipContainer(data))
        if data.startswith(GZIP_MAGIC):
            return read_saved_model(TarContainer(data))
    except ModelRefused as refused:
        if refused.code != "bad-file":
            raise
        told = refused.message
        raise ModelRefused(f"{name!r} cannot be read: {told[:1].lower()}{told[1:]}", code=refused.code) from None
    raise _unknown(name, data)


def _unknown(name: str, data: bytes) -> ModelRefused:
    if not data:
        return ModelRefused(f"{name!r} is empty; save the model again and copy the whole file.", code="unknown-format")
    if data[4:8] == b"TFL3":
        return ModelRefused(
            f"{name!r} is a .tflite file, which cannot be trained or converted any more; give the Keras model that it "
            "was made from.",
            code="tflite",
        )
    return ModelRefused(
        f"{name!r} is not a model file: it is neither a Keras archive (.keras), an HDF5 file (.h5), a packed "
        "SavedModel nor a LiteRT file (.tflite); save the model with model.save('model.keras'), or copy it again.",
        code="unknown-format",
    )


def _read_folder(path: Path) -> ModelSpec:
    container = FolderContainer(path)
    if _ARCHIVE_CONFIG in container.names and GRAPH not in container.names:
        raise ModelRefused(
            f"{shown(path.name)!r} is an unpacked Keras archive; give the .keras file itself.", code="unknown-format"
        )
    return read_saved_model(container)


def _read_zip(container: ZipContainer) -> ModelSpec:
    names = container.names
    if _ARCHIVE_CONFIG not in names:
        if any(name.rsplit("/", 1)[-1] == GRAPH for name in names):
            return read_saved_model(container)
        raise ModelRefused(
            f"The ZIP file is neither a Keras archive (it has no {_ARCHIVE_CONFIG}) nor a SavedModel (it has no "
            f"{GRAPH}); save the model with model.save('model.keras').",
            code="unknown-format",
        )
    config = parse_json(container.read(_ARCHIVE_CONFIG, LIMITS.json_bytes))
    version = _version(container)
    dialect = dialect_of(config, version)
    root, notes = parse_model(config, dialect)
    if _ARCHIVE_WEIGHTS not in names:
        raise ModelRefused(
            f"The Keras archive has no {_ARCHIVE_WEIGHTS}, so its weights are missing; save the model again with "
            "model.save('model.keras').",
            code="bad-file",
        )
    weights = ArchiveWeights(Hdf5(container.read(_ARCHIVE_WEIGHTS, LIMITS.weight_bytes)))
    link_shared_layers(root, weights.file)
    check_stored(root, weights)
    return ModelSpec(root, weights, f"Keras {dialect} archive", version, notes)


def _version(container: ZipContainer) -> str:
    if "metadata.json" not in container.names:
        return ""
    metadata: Any = parse_json(container.read("metadata.json", 1 << 20), "metadata.json")
    return shown(metadata.get("keras_version", ""))[:20] if isinstance(metadata, dict) else ""


def _read_hdf5(data: bytes) -> ModelSpec:
    file = Hdf5(data)
    text = file.text("/", "model_config")
    if text is None:
        raise ModelRefused(
            "This HDF5 file has weights but no description of the model; save the whole model with model.save "
            "instead of model.save_weights.",
            code="weights-only",
        )
    config = parse_json(text.encode("utf-8", "replace"))
    version = shown(file.text("/", "keras_version") or "")[:20]
    dialect = dialect_of(config, version)
    root, notes = parse_model(config, dialect)
    weights = LegacyWeights(file)
    check_stored(root, weights)
    return ModelSpec(root, weights, f"Keras {dialect} HDF5", version, notes)
