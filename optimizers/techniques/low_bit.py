"""Kernels in 8, 4 or 2 bits, without data: smaller than any other conversion makes a file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.params import ParamSet, param
from optimizers.techniques import _low_bit
from optimizers.techniques._training import layers_param

MAIN = "model.tflite"
_BITS = {"int8": 8, "int4": 4, "int2": 2}


class LowBitParams(ParamSet):
    """Of kernels in few bits."""

    bits: Literal["int4", "int8", "int2"] = param(
        "int4",
        label="Bits",
        help="int4 costs the sample models up to two points of accuracy, int8 nothing; int2 costs some of them half of "
        "it or more, so choose single layers for it, or let mixed precision choose.",
    )
    mode: Literal["dynamic", "weight_only"] = _low_bit.mode_param()
    convolutions: Literal["same", "int8"] = _low_bit.convolutions_param()
    granularity: Literal["per_channel", "per_tensor", "block_32", "block_64", "block_128", "block_256"] = param(
        "per_channel",
        label="Weight scales",
        help="One for each output channel, one per tensor (smaller, less precise), or, in 4-bit dense layers that "
        "compute dynamically, one for every so many inputs; other layers then have one per channel.",
        advanced=True,
    )
    clipping: Literal["optimal", "none"] = param(
        "optimal",
        label="Clipping",
        help="Optimal cuts off the largest weights where all others gain more by it, which matters at 4 bits and is "
        "decisive at 2; none lets the largest weight set the scale.",
        advanced=True,
    )
    recurrent: Literal["automatic", "fused", "unrolled"] = _low_bit.recurrent_param()
    layers: str = layers_param()

    @model_validator(mode="after")
    def _blocks(self) -> LowBitParams:
        if self.granularity.startswith("block") and (self.bits != "int4" or self.mode != "dynamic"):
            raise ValueError("blocks need bits 'int4' and mode 'dynamic', LiteRT runs no others")
        return self


def apply(context: StageContext, params: LowBitParams) -> StageReport:
    """Writes ``model.tflite`` with kernels in few bits; everything else, inputs and outputs included, stays float32.

    Figures: ``layers`` with ``bits``, ``weights``, ``scales`` and ``computes`` of each layer, ``mean_bits`` over all
    kernels, ``size_bytes``, and how close the answers to random examples come (``sqnr_db``, ``max_abs_error``).

    Raises:
        NotApplicable: No layer can be stored in fewer bits, or LiteRT cannot run the model.
        ConversionWrong: The file answers in another shape, not finitely, or the same to everything.
    """
    from optimizers.litert import edge_quantizer
    from optimizers.tf import verify

    context.progress(0, 3)
    model = _low_bit.load(context)
    file = _low_bit.float_file(model, params.recurrent, context.seed)
    context.progress(1, 3)
    plan, skipped = _plan(file, params)
    examples = verify.random_inputs(model, context.seed)
    result = edge_quantizer.checked(file.content, file.weights, plan, examples, clip=params.clipping == "optimal")
    context.progress(2, 3)
    found = _low_bit.verified(file, result, examples, "low_bit")
    (context.out / MAIN).write_bytes(result.file)
    context.progress(3, 3)
    return _low_bit.report(MAIN, file, result, skipped, found)


def rehearse(model: Any, params: LowBitParams, held: frozenset[Property]) -> Rehearsal:
    """The same decisions on the same converted file.

    Raises:
        NotApplicable: No layer is meant, or the quantizer fails.
    """
    file = _low_bit.float_file(model, params.recurrent, 0)
    plan, skipped = _plan(file, params)
    return _low_bit.rehearsed(file, plan, skipped)


def _plan(file: _low_bit.FloatFile, params: LowBitParams) -> Any:
    from optimizers.litert.edge_quantizer import Storage

    integers = params.mode == "dynamic"
    per, _, block = params.granularity.removeprefix("per_").partition("_")
    size = int(block or 0)

    def wanted(name: str, weight: Any) -> Storage:
        width = _BITS[params.bits]
        if params.convolutions == "int8" and _low_bit.is_convolution(weight):
            width = 8
        return Storage(width, per, size, integers)  # type: ignore[arg-type]

    return _low_bit.planned(file, params.layers, wanted)


TECHNIQUE = Technique(
    name="low_bit",
    version="2",
    title="Low-bit weights",
    summary="Makes files up to seven times smaller without any data, at a small loss of accuracy; dense and recurrent "
    "layers get faster, convolutions with fewer than 8 bits slower.",
    family="quantization",
    params=LowBitParams,
    accepts=frozenset({"keras", "keras3", "tflite"}),
    produces="tflite",
    apply=apply,
    rehearse=rehearse,
    preserves=frozenset({"sparsity", "structure"}),
    source="https://github.com/google-ai-edge/ai-edge-quantizer",
)
