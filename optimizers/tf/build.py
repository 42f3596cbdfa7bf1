"""Turns a `ModelSpec` into a live model of either Keras, and keeps the files that stages hand to one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tf_keras

from optimizers.models.reader import read
from optimizers.models.reader.spec import ArchiveWeights, CheckpointWeights, ModelSpec
from optimizers.tf.checkpoint import fill_from_checkpoint
from optimizers.tf.dialects import Dialect, Keras2, Keras3
from optimizers.tf.emit import Emitter
from optimizers.tf.weights import copy_weights, fill_from_archive, fill_from_legacy


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
    """Writes the file that one stage hands to the next: a tf_keras archive without optimizer state.

    Args:
        model: Built-in layers and those of ``optimizers.tf.layers`` only; wrappers of the toolkit must be stripped.
        path: Must end in ``.keras``. An existing file is replaced.
    """
    if path.suffix != ".keras":
        raise ValueError(f"A working file must be called *.keras, got {path.name!r}.")
    optimizer, model.optimizer = getattr(model, "optimizer", None), None
    try:
        model.save(path, save_format="keras")
    finally:
        model.optimizer = optimizer


def load_working(path: Path) -> tf_keras.Model:
    """The model in any file that the reader accepts, as tf_keras builds it. Raises `ModelRefused`."""
    return build_tf_keras(read(path))
