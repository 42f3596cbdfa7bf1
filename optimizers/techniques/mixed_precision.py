"""Bits for each layer, chosen by what each layer really loses, under a target for the size of the file."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any, Literal

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.errors import NotApplicable
from optimizers.litert.edge_quantizer import checked, quantized
from optimizers.params import ParamSet, param
from optimizers.techniques import _low_bit, _precision
from optimizers.techniques._training import layers_param

MAIN = "model.tflite"
_LOWEST = {"int8": 8, "int4": 4, "int2": 2}


class MixedPrecisionParams(ParamSet):
    """Of bits per layer."""

    target: float = param(
        0.5,
        label="Size of the file",
        help="Most bytes of the file, as a share of the float32 file; smaller costs more accuracy. Small models have "
        "less to save: their file is not weights alone.",
        low=0.05,
        high=1.0,
        step=0.05,
        percent=True,
    )
    lowest_bits: Literal["int4", "int8", "int2"] = param(
        "int4",
        label="Fewest bits",
        help="What the most robust layers may go down to; int2 allows the smallest files, and measuring takes longer.",
    )
    mode: Literal["dynamic", "weight_only"] = _low_bit.mode_param()
    convolutions: Literal["same", "int8"] = _low_bit.convolutions_param()
    examples: int = param(
        512,
        label="Examples to measure on",
        help="Validation examples on which each layer is measured with each number of bits; more tell layers apart "
        "more surely and take proportionally longer. Large models are measured on fewer, and a note says so.",
        low=32,
        high=5000,
        step=32,
        advanced=True,
    )
    recurrent: Literal["automatic", "fused", "unrolled"] = _low_bit.recurrent_param()
    layers: str = layers_param()


def apply(context: StageContext, params: MixedPrecisionParams) -> StageReport:
    """Writes ``model.tflite`` with kernels in as many bits as each layer needs, and no larger than the target.

    For each layer and each way to store it a file is made in which only that layer is stored so, and run in LiteRT on
    validation examples (training examples where there are none). Its damage is how far its answers are from those of
    the float32 file; this is by how much the loss is expected to rise, without the luck of few labels: on held-out
    halves of the sample models' validation parts it chose better than the rise of the loss itself.

    Figures: ``layers`` with ``bits``, ``damage`` and ``loss_rise`` (both in the unit of the loss) of each layer,
    ``target_bytes``, ``predicted_bytes``, ``size_bytes``, ``float32_bytes``, and ``loss`` before and after.

    Raises:
        NotApplicable: The target cannot be reached, no layer can be stored in fewer bits, or LiteRT cannot run the
            model.
        ConversionWrong: The file answers in another shape, not finitely, or the same to everything.
    """
    context.progress(0, 1)
    model = _low_bit.load(context)
    file, found, skipped, most, usual = _prepared(model, params, context.seed)
    total = sum(len(layer) - 1 for layer in found.values()) + 1
    probe = _precision.probe(context, model, params.examples, total)
    tried = checked(file.content, file.weights, _precision.smallest(file, found, most, usual), probe.rows)
    if tried.notes:
        found = _precision.without_integers(found)
    done = count(1)
    found = _precision.measured(file, found, probe, lambda: context.progress(next(done), total))
    taken, predicted = _precision.best(file, found, most, usual)
    result = checked(file.content, file.weights, _precision.together(found, taken), probe.rows)
    if len(result.file) > most:
        raise NotApplicable(f"Unpacked at run time the kernels exceed {most:,} bytes; set mode to weight_only.")
    (context.out / MAIN).write_bytes(result.file)
    figures = {
        **_low_bit.verified(file, result, probe.rows, "mixed_precision"),
        "target_bytes": most,
        "predicted_bytes": predicted,
        "float32_bytes": usual,
        "loss": {
            "float32": probe.loss(probe.answers(file.content)),
            "reached": probe.loss(probe.answers(result.file)),
            "part": probe.part,
            "examples": len(probe.x),
        },
    }
    context.progress(total, total)
    left = {name: _precision.ENOUGH for name, number in taken.items() if not number}
    told = _low_bit.report(MAIN, file, result, {**skipped, **left}, figures)
    layers = {
        name: {
            **_stored(file, name, told),
            "damage": found[name][number].damage,
            "loss_rise": found[name][number].rise,
        }
        for name, number in taken.items()
    }
    return replace(told, notes=(*probe.notes, *tried.notes, *told.notes), figures={**told.figures, "layers": layers})


def rehearse(model: Any, params: MixedPrecisionParams, held: frozenset[Property]) -> Rehearsal:
    """All layers at the same number of bits, the most with which the target is met."""
    file, found, skipped, most, usual = _prepared(model, params, 0)
    plan = _precision.smallest(file, found, most, usual)
    for width in (16, 8, 4):
        alike = _precision.together(found, _precision.alike(found, width))
        if len(quantized(file.content, file.weights, alike)) <= most:
            plan = alike
            break
    touched = _low_bit.described(file, plan)
    left = {name: _precision.ENOUGH for name in found if name not in touched}
    note = "Bits are chosen by measuring each layer on validation examples; until then all layers are shown alike."
    return _low_bit.rehearsed(file, plan, {**skipped, **left}, note)


def _prepared(
    model: Any, params: MixedPrecisionParams, seed: int
) -> tuple[_low_bit.FloatFile, _precision.Choices, dict[str, str], int, int]:
    """The float32 file, the choices for its layers, layers that have none and why, most bytes, and float32 bytes."""
    file = _low_bit.float_file(model, params.recurrent, seed)
    ways = _precision.ways(_LOWEST[params.lowest_bits], integers=params.mode == "dynamic")
    least = 8 if params.convolutions == "int8" else 2
    usual = _low_bit.baseline_bytes(file, seed)
    _, skipped = _low_bit.planned(file, params.layers, lambda name, w: _precision.held(w, ways[-2], least))
    layers = [name for name in file.kernels if name not in skipped]
    found = _precision.choices(file, layers, ways, least_in_convolutions=least)
    return file, found, skipped, int(params.target * usual), usual


def _stored(file: _low_bit.FloatFile, name: str, told: StageReport) -> dict[str, Any]:
    """How a layer is stored, also if it stays in float32."""
    plain = {"bits": 32.0, "weights": sum(w.values.size for w in file.kernels[name])}
    return dict(told.figures["layers"].get(name, plain))


TECHNIQUE = Technique(
    name="mixed_precision",
    version="2",
    title="Mixed precision (bits per layer)",
    summary="Gives each layer as many bits as it needs, measured one by one on validation examples, so that the file "
    "meets a size target at the least loss; takes seconds to minutes.",
    family="quantization",
    params=MixedPrecisionParams,
    accepts=frozenset({"keras", "keras3", "tflite"}),
    produces="tflite",
    apply=apply,
    needs=frozenset({"calibration"}),
    rehearse=rehearse,
    preserves=frozenset({"sparsity", "structure"}),
    source="Dong et al. (2019), HAWQ: Hessian AWare Quantization of Neural Networks with Mixed-Precision; Shoham and "
    "Gersho (1988), Efficient bit allocation for an arbitrary set of quantizers",
)
