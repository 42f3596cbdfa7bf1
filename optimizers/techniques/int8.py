"""8-bit weights and activations, calibrated on real examples."""

from __future__ import annotations

from typing import Any, Literal

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.params import ParamSet, param
from optimizers.techniques._conversion import (
    calibrated_stage,
    calibration_param,
    candidates,
    granularity_param,
    recurrent_param,
    rehearsed,
)

_GRANULARITIES = ("shared", "per_tensor", "per_channel")


class Int8Params(ParamSet):
    """Of full integer quantization."""

    io: Literal["float32", "int8"] = param(
        "float32",
        label="Inputs and outputs",
        help="With int8 no floating point operation is left, as microcontrollers and NPUs require.",
        searched=False,  # it is the program around the model that decides
    )
    calibration_samples: int = calibration_param()
    recurrent: Literal["unrolled", "fused"] = recurrent_param("unrolled")
    granularity: Literal["auto", "per_channel", "per_tensor", "shared"] = granularity_param(shared=True)


def apply(context: StageContext, params: Int8Params) -> StageReport:
    """Writes ``model.tflite`` with int8 weights and activations.

    Operators without an int8 version stay float where inputs and outputs do, and a note names them. A model out of
    quantization-aware training gets the ranges that were trained. Where weights were clustered and ``granularity`` is
    auto, figures tell the compressed size of each file tried.

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
        granularities=candidates(params.granularity, context.held, _GRANULARITIES),
    )


def rehearse(model: Any, params: Int8Params, held: frozenset[Property]) -> Rehearsal:
    """The model as it is, and how its kernels are stored."""
    tried = candidates(params.granularity, held, _GRANULARITIES)
    return rehearsed(model, "int8", params.recurrent, granularities=tried)


TECHNIQUE = Technique(
    name="int8",
    version="3",
    title="Full int8 (weights and activations)",
    summary="Up to four times smaller; the fastest on phones, integer hardware and recent server CPUs; "
    "costs some accuracy and needs examples to calibrate.",
    family="quantization",
    params=Int8Params,
    accepts=frozenset({"keras", "keras3", "keras_qat"}),
    produces="tflite",
    apply=apply,
    rehearse=rehearse,
    needs=frozenset({"calibration"}),
    preserves=frozenset({"sparsity", "clusters", "structure"}),
    source="Jacob et al. (2018), Quantization and Training of Neural Networks for Integer-Arithmetic-Only Inference",
)
