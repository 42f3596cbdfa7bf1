"""8-bit weights and activations, calibrated on real examples."""

from __future__ import annotations

from typing import Literal

from optimizers.declarations import StageContext, StageReport, Technique
from optimizers.params import ParamSet, param
from optimizers.techniques._conversion import calibrated_stage, calibration_param, granularity_param, recurrent_param


class Int8Params(ParamSet):
    """Of full integer quantization."""

    io: Literal["float32", "int8"] = param(
        "float32",
        label="Inputs and outputs",
        help="With int8 no floating point operation is left, as microcontrollers and NPUs require.",
    )
    calibration_samples: int = calibration_param()
    recurrent: Literal["unrolled", "fused"] = recurrent_param("unrolled")
    granularity: Literal["per_channel", "per_tensor"] = granularity_param()


def apply(context: StageContext, params: Int8Params) -> StageReport:
    """Writes ``model.tflite`` with int8 weights and activations.

    Operators without an int8 version stay float where inputs and outputs do, and a note names them.

    Raises:
        NotApplicable: An operator has no int8 version and ``io`` is int8, or a recurrent layer would become a loop.
        ConversionWrong: The file answers in another shape, not finitely, or the same to everything.
    """
    return calibrated_stage(
        context,
        "int8",
        params.calibration_samples,
        io=params.io,
        recurrent=params.recurrent,
        granularity=params.granularity,
    )


TECHNIQUE = Technique(
    name="int8",
    version="1",
    title="Full int8 (weights and activations)",
    summary="Up to four times smaller and fastest on most CPUs and on integer hardware; "
    "costs some accuracy and needs examples to calibrate.",
    family="quantization",
    params=Int8Params,
    accepts=frozenset({"keras"}),
    produces="tflite",
    apply=apply,
    needs=frozenset({"calibration"}),
    preserves=frozenset({"sparsity", "structure"}),
    source="Jacob et al. (2018), Quantization and Training of Neural Networks for Integer-Arithmetic-Only Inference",
)
