"""8-bit weights, activations quantized while the model runs."""

from __future__ import annotations

from optimizers.declarations import StageContext, StageReport, Technique
from optimizers.techniques._conversion import DynamicRangeParams, convert_stage


def apply(context: StageContext, params: DynamicRangeParams) -> StageReport:
    """Writes ``model.tflite`` with int8 weights and float inputs and outputs. Tensors under 1024 values stay float32.

    Raises:
        NotApplicable: LiteRT has no operators for this model.
        ConversionWrong: The file answers in another shape, not finitely, or the same to everything.
    """
    return convert_stage(context, "dynamic_range", recurrent=params.recurrent, granularity=params.granularity)


TECHNIQUE = Technique(
    name="dynamic_range",
    version="1",
    title="Dynamic range (8-bit weights)",
    summary="Up to four times smaller and often faster without any data, at a small loss of accuracy; "
    "floating point hardware is still needed.",
    family="quantization",
    params=DynamicRangeParams,
    accepts=frozenset({"keras"}),
    produces="tflite",
    apply=apply,
    preserves=frozenset({"sparsity", "structure"}),
    source="https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quant",
)
