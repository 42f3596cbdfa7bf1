"""Explains why a layer or a model of a class that is not built into Keras cannot be read, and what to do instead."""

from __future__ import annotations

from typing import Any

from optimizers.errors import ModelRefused
from optimizers.models.reader.values import OURS, shown

_FIRST_PARTY = ("keras", "tf_keras", "tensorflow")
_CODE = frozenset({"Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"})
_LOOKUP = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing"})
_TOOLKIT = {
    "PruneLowMagnitude": "give the model that tfmot.sparsity.keras.strip_pruning(model) returns.",
    "ClusterWeights": "give the model that tfmot.clustering.keras.strip_clustering(model) returns.",
    **dict.fromkeys(
        ("QuantizeLayer", "QuantizeWrapper", "QuantizeWrapperV2", "QuantizeAnnotate"),
        "give the float model from before quantization; quantization-aware training can be done here.",
    ),
}
"""Wrappers that the TensorFlow Model Optimization Toolkit leaves in a model, and how to get rid of them."""
WAYS_OUT = {
    **dict.fromkeys(("MelSpectrogram", "STFTSpectrogram"), "compute spectrograms before the model and feed them"),
    **dict.fromkeys(
        ("AutoContrast", "Equalization", "ContrastLimitedAdaptiveHistogramEqualization", "Solarization"),
        "change images before the model",
    ),
    "RandomCrop": "use CenterCrop or Resizing, and crop at random in the training data",
    **dict.fromkeys(("Pipeline", "MaxNumBoundingBoxes"), "do this to the data before the model"),
}
"""Built-in layers that cannot be carried between the Kerases, and what to do instead."""
_APPLICATIONS = ("keras.src.applications.", "tf_keras.src.applications.")
OUR_CLASSES = frozenset(
    {
        "Operation", "RMSNormalization", "LayerScale", "StochasticDepth", "CustomScaleLayer", "CategoryEncoding",
        "SpectralNormalization",
    }
)  # fmt: skip
"""Layer classes that ``optimizers.tf`` registers in the files it writes."""


def is_ours(description: dict[str, Any]) -> bool:
    """Whether a layer is one that this package writes into its own intermediate files."""
    registered = description.get("registered_name") or description.get("class_name")
    return isinstance(registered, str) and registered.startswith(OURS) and registered[len(OURS) :] in OUR_CLASSES


def is_foreign(description: dict[str, Any], kind: str, from_applications: frozenset[str]) -> bool:
    """Whether a class lives outside Keras. ``from_applications`` are names that Keras uses only in its own networks."""
    if is_ours(description):
        return False
    module = str(description.get("module") or "")
    if kind in from_applications:
        return not module.startswith(_APPLICATIONS)
    if module and module.split(".")[0] not in _FIRST_PARTY:
        return True
    registered = description.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        return True
    return "module" in description and description["module"] is None


def refuse_layer(description: dict[str, Any], name: str, foreign: bool) -> ModelRefused:
    """The refusal of one layer."""
    kind = shown(description.get("class_name"))
    bare = kind.rsplit(">", 1)[-1]
    if bare in _CODE:
        return ModelRefused(
            f"Layer {name!r} is a {bare} layer: it runs Python code or a program from outside the file, which is "
            "never done here; replace it by built-in layers and save the model again.",
            code="unsafe-layer",
        )
    if bare in _TOOLKIT:
        return ModelRefused(
            f"Layer {name!r} is a {bare} wrapper of the TensorFlow Model Optimization Toolkit, which was left in the "
            f"model; {_TOOLKIT[bare]}",
            code="toolkit-wrapper",
        )
    if bare in _LOOKUP:
        return ModelRefused(
            f"Layer {name!r} is a {bare} layer, which looks values up in tables; take it out of the model and feed "
            "whole-number ids instead.",
            code="unsupported-layer",
        )
    if foreign:
        return ModelRefused(
            f"Layer {name!r} is of the custom class {kind!r}, whose Python code is not in the file; replace it by "
            "built-in layers and save the model again.",
            code="custom-layer",
        )
    way_out = WAYS_OUT.get(bare, "replace it by other built-in layers")
    return ModelRefused(
        f"Layer {name!r} is of class {kind!r}, which is not supported; {way_out}, and save the model again.",
        code="unsupported-layer",
    )


def refuse_model(description: dict[str, Any]) -> ModelRefused:
    """The refusal of a file whose outermost object is of a custom class."""
    kind = shown(description.get("class_name"))
    config = description.get("config")
    if isinstance(config, dict) and "layers" in config and "input_layers" in config:
        way_out = "if it only wraps layers, save keras.Model(model.inputs, model.outputs) instead."
    else:
        way_out = "build it with the functional API and save it again."
    return ModelRefused(
        f"The model is of the custom class {kind!r} (a subclassed model), whose Python code is not in the file; "
        f"{way_out}",
        code="subclassed-model",
    )
