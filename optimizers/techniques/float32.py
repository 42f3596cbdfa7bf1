"""The baseline: the model as a LiteRT file, nothing given up."""

from __future__ import annotations

from typing import Any

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.techniques._conversion import FloatParams, convert_stage, rehearsed


def apply(context: StageContext, params: FloatParams) -> StageReport:
    """Writes ``model.tflite`` with float32 weights and activations; it agrees with the model within 1e-4.

    Raises:
        NotApplicable: LiteRT has no operators for this model.
        ConversionWrong: The file does not do what the model does.
    """
    return convert_stage(context, "float32", recurrent=params.recurrent)


def rehearse(model: Any, params: FloatParams, held: frozenset[Property]) -> Rehearsal:
    """The model as it is, and how its kernels are stored."""
    return rehearsed(model, "float32", params.recurrent)


TECHNIQUE = Technique(
    name="float32",
    version="2",
    title="Float32 (no quantization)",
    summary="Converts the model as it is: nothing is lost, and everything else is compared with its size and speed.",
    family="baseline",
    params=FloatParams,
    accepts=frozenset({"keras", "keras3", "tflite"}),
    produces="tflite",
    apply=apply,
    rehearse=rehearse,
    preserves=frozenset({"sparsity", "clusters", "structure"}),
    source="https://ai.google.dev/edge/litert/conversion/tensorflow/overview",
)
