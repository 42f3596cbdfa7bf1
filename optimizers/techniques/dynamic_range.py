"""8-bit weights, activations quantized while the model runs."""

from __future__ import annotations

from typing import Any

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.techniques._conversion import DynamicRangeParams, candidates, convert_stage, rehearsed

_GRANULARITIES = ("per_channel", "per_tensor")


def apply(context: StageContext, params: DynamicRangeParams) -> StageReport:
    """Writes ``model.tflite`` with int8 weights and float inputs and outputs. Tensors under 1024 values stay float32.

    Where weights were clustered and ``granularity`` is auto, figures tell the compressed size of each file tried.

    Raises:
        NotApplicable: LiteRT has no operators for this model.
        ConversionWrong: The file answers in another shape, not finitely, or the same to everything.
    """
    tried = candidates(params.granularity, context.held, _GRANULARITIES)
    return convert_stage(context, "dynamic_range", recurrent=params.recurrent, granularities=tried)


def rehearse(model: Any, params: DynamicRangeParams, held: frozenset[Property]) -> Rehearsal:
    """The model as it is, and how its kernels are stored."""
    tried = candidates(params.granularity, held, _GRANULARITIES)
    return rehearsed(model, "dynamic_range", params.recurrent, granularities=tried)


TECHNIQUE = Technique(
    name="dynamic_range",
    version="3",
    title="Dynamic range (8-bit weights)",
    summary="Up to four times smaller and often faster without any data, at a small loss of accuracy; "
    "floating point hardware is still needed.",
    family="quantization",
    params=DynamicRangeParams,
    accepts=frozenset({"keras", "keras3", "tflite"}),
    produces="tflite",
    apply=apply,
    rehearse=rehearse,
    preserves=frozenset({"sparsity", "structure"}),
    source="https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quant",
)
