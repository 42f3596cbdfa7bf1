"""Weights stored in half precision."""

from __future__ import annotations

from typing import Any

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.techniques._conversion import FloatParams, convert_stage, rehearsed


def apply(context: StageContext, params: FloatParams) -> StageReport:
    """Writes ``model.tflite`` with float16 weights, widened to float32 when it is loaded; it agrees within 1e-2.

    Raises:
        NotApplicable: LiteRT has no operators for this model.
        ConversionWrong: The file does not do what the model does, for example because a weight exceeds 65504.
    """
    return convert_stage(context, "float16", recurrent=params.recurrent)


def rehearse(model: Any, params: FloatParams, held: frozenset[Property]) -> Rehearsal:
    """The model as it is, and how its kernels are stored."""
    return rehearsed(model, "float16", params.recurrent)


TECHNIQUE = Technique(
    name="float16",
    version="2",
    title="Float16 weights",
    summary="Halves the file at next to no loss of accuracy; a CPU still computes in float32, so it gets no faster.",
    family="quantization",
    params=FloatParams,
    accepts=frozenset({"keras", "keras3", "tflite"}),
    produces="tflite",
    apply=apply,
    rehearse=rehearse,
    preserves=frozenset({"sparsity", "clusters", "structure"}),
    source="https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_float16_quant",
)
