"""8-bit weights with 16-bit activations, calibrated on real examples."""

from __future__ import annotations

from typing import Any, Literal

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.params import ParamSet, param
from optimizers.techniques._conversion import calibrated_stage, calibration_param, recurrent_param, rehearsed


class Int16x8Params(ParamSet):
    """Of quantization with 16-bit activations."""

    io: Literal["float32", "int16"] = param(
        "float32",
        label="Inputs and outputs",
        help="With int16 no floating point operation is left, as integer hardware requires; the caller scales.",
        searched=False,  # it is the program around the model that decides
    )
    calibration_samples: int = calibration_param()
    recurrent: Literal["unrolled", "fused"] = recurrent_param("unrolled")


def apply(context: StageContext, params: Int16x8Params) -> StageReport:
    """Writes ``model.tflite`` with int8 weights and int16 activations.

    Raises:
        NotApplicable: An operator has no 16x8 version, or LiteRT cannot run the one that the converter gave.
        ConversionWrong: The file answers in another shape, not finitely, or the same to everything.
    """
    return calibrated_stage(context, "int16x8", params.calibration_samples, io=params.io, recurrent=params.recurrent)


def rehearse(model: Any, params: Int16x8Params, held: frozenset[Property]) -> Rehearsal:
    """The model as it is, and how its kernels are stored."""
    return rehearsed(model, "int16x8", params.recurrent)


TECHNIQUE = Technique(
    name="int16x8",
    version="2",
    title="Int16 activations, 8-bit weights",
    summary="As small as int8 at close to float accuracy; slow on desktop and phone CPUs, meant for signal processors.",
    family="quantization",
    params=Int16x8Params,
    accepts=frozenset({"keras", "keras3"}),
    produces="tflite",
    apply=apply,
    rehearse=rehearse,
    needs=frozenset({"calibration"}),
    preserves=frozenset({"sparsity", "structure"}),
    source="https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant_16x8",
)
