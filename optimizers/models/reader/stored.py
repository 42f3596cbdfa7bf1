"""Looks for every layer's weights in the file before anything is built, since building a long model takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizers.errors import ModelRefused
from optimizers.models.reader.hdf5 import Hdf5
from optimizers.models.reader.layouts import stored_path
from optimizers.models.reader.spec import ArchiveWeights, LayerSpec, LegacyWeights
from optimizers.models.reader.values import shown

_KERNELS = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"), 1),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), 1),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), 2),
}
"""Layers whose number of weights their options tell, and how many kernels they have beside a bias."""
_WIDTHS = {"Dense": "units", "Conv1D": "filters", "Conv2D": "filters", "Conv3D": "filters"}
"""Layers whose first weight ends in a dimension that an option tells."""


def mismatch(reason: str) -> ModelRefused:
    """The refusal of weights that do not belong to the layers."""
    return ModelRefused(
        f"The weights do not fit the model: {reason}; save the model again with model.save('model.keras').",
        code="weights-mismatch",
    )


def check_values(values: np.ndarray, where: str) -> None:
    """Raises `ModelRefused` for weights that are not finite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ModelRefused(
            f"{where} has weights that are not finite numbers, so the model cannot answer; save it as it was before a "
            "training went astray.",
            code="weights-mismatch",
        )


def check_stored(root: LayerSpec, weights: ArchiveWeights | LegacyWeights) -> None:
    """Checks, for the commonest layers, that the file has as many arrays as they need, of numbers.

    Shapes and all other layers are checked when the weights are put into the built model. Raises `ModelRefused`.
    """
    if isinstance(weights, ArchiveWeights):
        for spec in _used(root, nested=True):
            _check_archive(spec, stored_path(spec.archive_path, weights.file), weights.file)
    else:
        base = "model_weights" if weights.file.node("model_weights") is not None else ""
        for spec in _used(root, nested=False):
            _check_group(spec, f"{base}/{spec.name}", weights.file)


def needed(spec: LayerSpec) -> int | None:
    """How many weights a layer has; None where its options alone do not tell."""
    if spec.kind in _KERNELS:
        return _KERNELS[spec.kind] + (spec.options.get("use_bias", True) is not False)
    if spec.kind == "BatchNormalization":
        return 2 + sum(spec.options.get(option, True) is not False for option in ("center", "scale"))
    return 1 if spec.kind == "Embedding" else None


def _used(model: LayerSpec, *, nested: bool) -> Iterator[LayerSpec]:
    """Layers that the outputs depend on, each as often as it is mentioned."""
    assert model.graph is not None
    layers = model.graph.by_name()
    for name in dict.fromkeys(name for name, _ in model.graph.order):
        spec = layers[name].identity
        if spec.graph is None and not spec.is_operation and not spec.parts:
            yield layers[name] if not nested else spec
        elif nested and spec.graph is not None:
            yield from _used(spec, nested=True)


def _check_archive(spec: LayerSpec, path: str, file: Hdf5) -> None:
    count = needed(spec)
    if count is None:
        return
    stored = file.children(f"{path}/vars")
    if len(stored) != count:
        raise mismatch(f"layer {spec.name!r} needs {count} arrays, the file has {len(stored)} at {shown(path)!r}")
    for number in range(count):
        _check_array(spec, number, file.array(f"{path}/vars/{number}"), f"{path}/vars/{number}")


def _check_group(spec: LayerSpec, path: str, file: Hdf5) -> None:
    count = needed(spec)
    if count is None:
        return
    if file.node(path) is None:
        raise mismatch(f"the file has none for layer {spec.name!r}")
    names = file.texts(path, "weight_names")
    if len(names) != count:
        raise mismatch(f"{spec.where} needs {count} arrays, the file has {len(names)}")
    for name in names:
        values = file.array(f"{path}/{name}")
        if values is None:
            raise mismatch(f"the file lacks the array {shown(name)!r}")
        check_values(values, spec.where)


def _check_array(spec: LayerSpec, number: int, values: np.ndarray | None, path: str) -> None:
    if values is None:
        raise mismatch(f"layer {spec.name!r} needs an array at {shown(path)!r}")
    check_values(values, f"layer {spec.name!r}")
    option = _WIDTHS.get(spec.kind)
    if option is not None and number == 0 and (not values.shape or values.shape[-1] != spec.options.get(option)):
        raise mismatch(
            f"layer {spec.name!r} needs arrays that end in {spec.options.get(option)} numbers, the file has one of "
            f"shape {values.shape}"
        )
